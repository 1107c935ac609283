"""Whether paired differences tend to be above 0: Wilcoxon's signed-rank test, many pairs at once."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ctatlas.benchmark.scores import Floats

Zeros = Literal["wilcox", "pratt", "zsplit"]
DECIMALS = 9  # of differences in percent: what is equal on paper must tie, whatever float noise says
# Differences. Source: scipy.stats.wilcoxon, method "auto"
_EXACT_UP_TO = 50
_EXACT_WITH_TIES_UP_TO = 13


def one_sided(differences: Floats, zeros: Zeros = "wilcox") -> Floats:
    """Test whether the differences of each row tend to be above 0.

    Parameters
    ----------
    differences : (pairs, n) float64
        Without nan.
    zeros : str
        "wilcox" drops zeros, "pratt" ranks and then drops them, "zsplit" gives half of their ranks to either side.

    Returns
    -------
    (pairs,) float64
        1 where all differences are 0: there is nothing to claim.

    Notes
    -----
    The p-values of scipy.stats.wilcoxon, method "auto": exact up to 50 differences without ties and zeros, up to 13
    with them; otherwise the normal approximation without continuity correction.
    """
    rounded = np.round(differences, DECIMALS)
    p = np.ones(len(rounded))
    differ = np.flatnonzero(rounded.any(axis=1))
    n = rounded.shape[1]
    if n > _EXACT_UP_TO:
        p[differ] = _scipys(rounded[differ], zeros) if differ.size else 1.0
        return p
    for row in differ:  # each row by itself decides whether the exact test is right
        tied = len(np.unique(np.abs(rounded[row]))) < n or not rounded[row].all()
        by_hand = tied and n <= _EXACT_WITH_TIES_UP_TO
        p[row] = _exact_with_ties(rounded[row], zeros) if by_hand else _scipys(rounded[row][None], zeros)[0]
    return p


def rank_biserial(differences: Floats) -> Floats:
    """Return (W+ - W-) / (W+ + W-) of each row of (pairs, n) differences; zeros are dropped; 0 where all are 0."""
    ranks = _ranks(differences, "wilcox")
    total = ranks.sum(axis=1)
    signed = (np.sign(differences) * ranks).sum(axis=1)
    return np.asarray(np.divide(signed, total, out=np.zeros(len(total)), where=total > 0))


def _scipys(rows: Floats, zeros: Zeros) -> Floats:
    from scipy import stats

    with np.errstate(invalid="ignore", divide="ignore"):
        tested = stats.wilcoxon(rows, zero_method=zeros, alternative="greater", axis=1)
    return np.asarray(np.nan_to_num(tested.pvalue, nan=1.0))


def _exact_with_ties(row: Floats, zeros: Zeros) -> float:
    """Return the share of all ways to choose signs of which the positive ranks sum up to as much or more.

    scipy tries them one by one, a second a pair; sums of doubled ranks, whole numbers, can be counted instead.
    """
    doubled = np.rint(2 * _ranks(row[None], zeros)[0]).astype(int)
    doubled = np.where(row == 0, 0, doubled)  # whatever becomes of zeros, it is the same for all signs
    ways = np.zeros(doubled.sum() + 1)
    ways[0] = 1
    for rank in doubled[doubled > 0]:
        ways[rank:] = ways[rank:] + ways[:-rank]
    return float(ways[doubled[row > 0].sum() :].sum() / ways.sum())


def _ranks(rows: Floats, zeros: Zeros) -> Floats:
    """Rank the sizes of the differences; with "wilcox" zeros get no rank."""
    from scipy import stats

    sizes = np.abs(rows)
    if zeros == "wilcox":
        sizes = np.where(sizes == 0, np.nan, sizes)
    return np.nan_to_num(stats.rankdata(sizes, axis=1, nan_policy="omit"))
