"""How far a proportion or a mean may be off: Wilson's interval, and the bootstrap that draws patients.

Several scans or lesions of one patient resemble each other, so whoever draws them one by one gets intervals that are
too narrow: here whole patients are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95
DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a value lies with the stated confidence; both ends included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Proportion:
    """`count` of `n`, with its interval.

    Attributes
    ----------
    count, n : int
    interval : Interval
        [0, 1] when `n` is 0: nothing is known.
    """

    count: int
    n: int
    interval: Interval

    @property
    def value(self) -> float | None:
        """The share, or None of nothing."""
        return self.count / self.n if self.n else None


def normal_quantile(confidence: float) -> float:
    """Return how many standard deviations to either side hold that share of a normal distribution."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; expected between 0 and 1")
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def proportion(count: int, n: int, confidence: float = CONFIDENCE) -> Proportion:
    """Return a share with its Wilson interval, which stays within [0, 1] and is honest for few.

    Raises
    ------
    ValueError
        When `count` is not between 0 and `n`.

    Notes
    -----
    Source: Wilson 1927; centre (p + z²/2n)/(1 + z²/n), half width z/(1 + z²/n)·√(p(1−p)/n + z²/4n²).

    Examples
    --------
    >>> ten = proportion(10, 10).interval
    >>> round(ten.low, 3), ten.high
    (0.722, 1.0)
    """
    if not 0 <= count <= n:
        raise ValueError(f"{count} of {n} is no proportion")
    if n == 0:
        return Proportion(0, 0, Interval(0.0, 1.0))
    z = normal_quantile(confidence)
    share, shrink = count / n, 1 + z * z / n
    centre = (share + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if count == 0 else centre - half
    high = 1.0 if count == n else centre + half
    return Proportion(count, n, Interval(low, high))


def bootstrap(
    statistic: Callable[[np.ndarray], float],
    patients: Sequence[Hashable],
    rng: np.random.Generator,
    *,
    strata: Sequence[Hashable] | None = None,
    draws: int = DRAWS,
    confidence: float = CONFIDENCE,
) -> Interval | None:
    """Return the percentile interval of a statistic over patients drawn with replacement.

    Parameters
    ----------
    statistic : callable
        From the indices of the rows drawn (a patient's rows together, as often as drawn) to a number; nan where the
        draw allows none, which is left out.
    patients : sequence
        Whose each row is.
    rng : numpy.random.Generator
    strata : sequence, optional
        A patient's class, a row each; as many patients of each are drawn as there are. A patient with rows of
        several classes counts as a class of its own kind.
    draws : int
        At least 2000 for a 95 % interval.
    confidence : float

    Returns
    -------
    Interval or None
        None when fewer than two patients, or fewer than half of the draws, give a value.

    Notes
    -----
    Source: Efron and Tibshirani 1993, chapter 13 (percentile), with whole patients as units.
    """
    rows = _rows_by(patients)
    if len(rows) < 2:
        return None
    groups = _patients_by_stratum(rows, strata)
    values = np.empty(draws)
    for number in range(draws):
        drawn = np.concatenate([group[rng.integers(len(group), size=len(group))] for group in groups])
        values[number] = statistic(np.concatenate([rows[patient] for patient in drawn]))
    values = values[np.isfinite(values)]
    if len(values) < draws / 2:
        return None
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def bootstrap_ratio(
    parts: Sequence[float] | np.ndarray,
    wholes: Sequence[float] | np.ndarray,
    patients: Sequence[Hashable],
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
    confidence: float = CONFIDENCE,
) -> Interval | None:
    """Return the percentile interval of Σ parts / Σ wholes over patients drawn with replacement, all draws at once.

    Parameters
    ----------
    parts, wholes : (n,) float
        Such as the lesions found and those there are, a row a scan.
    patients : sequence
        Whose each row is.
    rng, draws, confidence
        As `bootstrap`.

    Returns
    -------
    Interval or None
        As `bootstrap`.
    """
    rows = _rows_by(patients)
    if len(rows) < 2:
        return None
    sums = np.array([[np.take(one, own).sum() for one in (parts, wholes)] for own in rows], np.float64)
    times = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=draws)
    drawn = times @ sums
    drawn = drawn[drawn[:, 1] > 0]
    if len(drawn) < draws / 2:
        return None
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def _rows_by(patients: Sequence[Hashable]) -> list[np.ndarray]:
    """Return each patient's rows, patients in the order of their first row."""
    rows: dict[Hashable, list[int]] = {}
    for row, patient in enumerate(patients):
        rows.setdefault(patient, []).append(row)
    return [np.array(each) for each in rows.values()]


def _patients_by_stratum(rows: list[np.ndarray], strata: Sequence[Hashable] | None) -> list[np.ndarray]:
    if strata is None:
        return [np.arange(len(rows))]
    groups: dict[frozenset[Hashable], list[int]] = {}
    for patient, own in enumerate(rows):
        groups.setdefault(frozenset(strata[row] for row in own), []).append(patient)
    return [np.array(each) for each in groups.values()]
