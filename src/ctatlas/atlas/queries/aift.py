"""AIFT: a place is worth asking when its parts are unsure and differ from each other."""

from __future__ import annotations

import numpy as np

from ctatlas.atlas.queries.candidates import Candidates
from ctatlas.atlas.queries.strategies import best, strategy

FLOOR = 1e-3  # keeps diversity bounded: with exact zeros the logarithm of the rounding error decides alone
MAJORITY = 0.25


def aift_score(
    patches: np.ndarray, *, floor: float = FLOOR, share: float = 1.0, entropy: float = 1.0, diversity: float = 1.0
) -> np.ndarray:
    """Sum entropies and pairwise symmetric divergences of the parts of each place.

    Parameters
    ----------
    patches : (n, m) float
        Probability of the structure in each of m parts.
    floor : float
        Probabilities are kept this far from 0 and 1.
    share : float
        Which share of the parts counts: those that look most like the majority, so that a few wrong ones don't.
    entropy, diversity : float
        Weights; 0 leaves a term out.

    Returns
    -------
    (n,) float
        The sum over the matrix of entropies (diagonal) and divergences (each pair twice); not divided by m².

    Notes
    -----
    Source: Zhou, CVPR 2017, and its demo; natural logarithms.
    """
    kept = _majority(np.asarray(patches, np.float64), share)
    p = kept.clip(floor, 1 - floor)
    logs, opposite = np.log(p), np.log(1 - p)
    unsure = -(p * logs + (1 - p) * opposite).sum(axis=1)
    difference = p[:, :, None] - p[:, None, :]
    odds = logs - opposite
    apart = (difference * (odds[:, :, None] - odds[:, None, :])).sum(axis=(1, 2))
    total: np.ndarray = entropy * unsure + diversity * apart
    return total


def _majority(patches: np.ndarray, share: float) -> np.ndarray:
    """Keep the parts with the highest probability where the mean is above one half, else those with the lowest."""
    ordered = np.sort(patches, axis=1)
    n = int(np.floor(share * patches.shape[1] + 0.5))  # half away from zero
    mostly = patches.mean(axis=1) > 0.5
    return np.where(mostly[:, None], ordered[:, ::-1][:, :n], ordered[:, :n])


def _score(candidates: Candidates) -> np.ndarray:
    found = np.zeros(len(candidates))
    for start in range(0, len(found), 4096):  # a matrix of parts a place: bounded memory
        part = candidates.patches[start : start + 4096]
        found[start : start + 4096] = aift_score(part) / max(1, part.shape[1]) ** 2
    return found


strategy(
    "aift",
    _score,
    about="entropy of a place's parts plus their bounded diversity",
    source="Zhou 2017 (AIFT); patents exist, see the manual",
)(best)
