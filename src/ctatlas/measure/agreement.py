"""Do two volumes agree, case by case? Lin's concordance and the limits of Bland and Altman."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctatlas.measure.intervals import CONFIDENCE, Interval, normal_quantile


@dataclass(frozen=True, slots=True)
class Limits:
    """Bland and Altman's limits of agreement, in the unit of the volumes.

    Attributes
    ----------
    n : int
    bias : float
        Mean of second minus first.
    sd : float
        Of the differences, ddof 1.
    low, high : float
        bias ∓ 1.96 sd (at 95 %): between them lie that many of the differences, if these are normal.
    bias_interval, low_interval, high_interval : Interval
        How sure each is.
    """

    n: int
    bias: float
    sd: float
    low: float
    high: float
    bias_interval: Interval
    low_interval: Interval
    high_interval: Interval


def concordance(first: np.ndarray, second: np.ndarray) -> float:
    """Return Lin's concordance correlation coefficient: how close pairs lie to the line of identity.

    Parameters
    ----------
    first, second : (n,) float
        Of the same cases.

    Returns
    -------
    float
        2·cov/(var + var + (mean − mean)²) with ddof 0, in [−1, 1]; nan for fewer than two cases, or where all values
        are one and the same.

    Notes
    -----
    Source: Lin 1989.

    Examples
    --------
    >>> round(concordance(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])), 6)  # 4/7
    0.571429
    """
    first, second = _pairs(first, second)
    if len(first) < 2:
        return math.nan
    spread = float(first.var() + second.var() + (first.mean() - second.mean()) ** 2)
    shared = float(np.mean((first - first.mean()) * (second - second.mean())))
    return 2 * shared / spread if spread > 0 else math.nan


def limits_of_agreement(first: np.ndarray, second: np.ndarray, confidence: float = CONFIDENCE) -> Limits | None:
    """Return the limits between which second minus first lies, or None for fewer than three cases.

    Notes
    -----
    Source: Bland and Altman 1999: variance of the bias sd²/n, of a limit sd²·(1/n + z²/(2(n−1))); Student's t.
    """
    from scipy.stats import t as student

    first, second = _pairs(first, second)
    n = len(first)
    if n < 3:
        return None
    differences = second - first
    bias, sd = float(differences.mean()), float(differences.std(ddof=1))
    z, t = normal_quantile(confidence), float(student.ppf(0.5 + confidence / 2, n - 1))
    low, high = bias - z * sd, bias + z * sd
    of_bias, of_limit = t * sd / math.sqrt(n), t * sd * math.sqrt(1 / n + z * z / (2 * (n - 1)))
    around = [
        Interval(value - half, value + half) for value, half in ((bias, of_bias), (low, of_limit), (high, of_limit))
    ]
    return Limits(n, bias, sd, low, high, *around)


def _pairs(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"values have shapes {first.shape} and {second.shape}; expected one of each a case")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("a value is not finite")
    return first, second
