"""Does a score tell the sick from the healthy? ROC and precision-recall curves, their areas, operating points.

One row is one patient (`patient_level` makes it so of several scans). The score is whatever grows with suspicion: the
predicted volume of a lesion in mL, its highest probability, a classifier's output.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ctatlas.measure.intervals import CONFIDENCE, Interval, Proportion, normal_quantile, proportion


@dataclass(frozen=True, slots=True)
class Curve:
    """What every threshold gives: a case is called sick where its score is at least the threshold.

    Attributes
    ----------
    thresholds : (t,) float64
        Falling, from inf (nobody is called) through every score that occurs.
    true_positives, false_positives : (t,) int64
    n_positive, n_negative : int
    """

    thresholds: np.ndarray
    true_positives: np.ndarray
    false_positives: np.ndarray
    n_positive: int
    n_negative: int

    @property
    def sensitivity(self) -> np.ndarray:
        """True-positive rate at each threshold."""
        return np.asarray(self.true_positives / self.n_positive)

    @property
    def false_positive_rate(self) -> np.ndarray:
        """One minus specificity at each threshold."""
        return np.asarray(self.false_positives / self.n_negative)

    @property
    def precision(self) -> np.ndarray:
        """Share of the called that are sick; 1 where nobody is called, by convention."""
        called = self.true_positives + self.false_positives
        return np.where(called == 0, 1.0, self.true_positives / np.maximum(called, 1))


@dataclass(frozen=True, slots=True)
class Area:
    """The area under a ROC curve.

    Attributes
    ----------
    value : float
    variance : float
        DeLong's; 0 where every sick patient scores above every healthy one.
    interval : Interval
    n_positive, n_negative : int
    """

    value: float
    variance: float
    interval: Interval
    n_positive: int
    n_negative: int


@dataclass(frozen=True, slots=True)
class AreaDifference:
    """Two scores on the same patients: `first` minus `second`.

    Attributes
    ----------
    first, second : Area
    difference : float
    interval : Interval
    z, p : float
        Two-sided; p is 1 and z 0 where the difference has no variance and is none.
    """

    first: Area
    second: Area
    difference: float
    interval: Interval
    z: float
    p: float


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What one threshold gives: called where the score is at least `threshold`."""

    threshold: float
    sensitivity: Proportion
    specificity: Proportion
    positive_predictive_value: Proportion
    negative_predictive_value: Proportion


def patient_level(
    patients: Sequence[Hashable], truth: Sequence[bool] | np.ndarray, score: Sequence[float] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Make one row a patient of one a scan: sick if any scan is, the highest score of all.

    Returns
    -------
    truth : (p,) bool
    score : (p,) float64
        In the order in which patients first occur.
    """
    row_of = {patient: row for row, patient in enumerate(dict.fromkeys(patients))}
    rows = np.array([row_of[patient] for patient in patients], dtype=np.intp)
    sick, highest = np.zeros(len(row_of), bool), np.full(len(row_of), -np.inf)
    np.logical_or.at(sick, rows, np.asarray(truth, bool))
    np.maximum.at(highest, rows, np.asarray(score, np.float64))
    return sick, highest


def roc_curve(truth: np.ndarray, score: np.ndarray) -> Curve:
    """Return what every threshold gives.

    Parameters
    ----------
    truth : (n,) bool
    score : (n,) float
        Finite.

    Raises
    ------
    ValueError
        When there is no sick or no healthy patient, or a score is not finite.
    """
    truth, score = _checked(truth, score)
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    last_of_ties = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
    hits = np.cumsum(truth[order])[last_of_ties]
    called = last_of_ties + 1
    return Curve(
        np.append(np.inf, falling[last_of_ties]),
        np.append(0, hits),
        np.append(0, called - hits),
        int(truth.sum()),
        int((~truth).sum()),
    )


def area(truth: np.ndarray, score: np.ndarray, confidence: float = CONFIDENCE) -> Area:
    """Return the area under the ROC curve with DeLong's variance and an interval that stays within [0, 1].

    The interval is Wald's on the logit. At an area of exactly 1 or 0 DeLong's variance is 0 and says nothing; then
    the patients are paired off, sick with healthy, min(m, n) independent pairs all ordered alike, and the interval is
    the exact binomial one of that.

    Raises
    ------
    ValueError
        As `roc_curve`.

    Notes
    -----
    Source: DeLong, DeLong and Clarke-Pearson 1988; midranks after Sun and Xu 2014; at the ends Clopper and Pearson.
    """
    truth, score = _checked(truth, score)
    (value,), covariance = _delong(truth, score[None])
    return _with_interval(float(value), float(covariance[0, 0]), truth, confidence)


def compare_areas(
    truth: np.ndarray, first: np.ndarray, second: np.ndarray, confidence: float = CONFIDENCE
) -> AreaDifference:
    """Compare two scores on the same patients by DeLong's test.

    Notes
    -----
    Source: DeLong, DeLong and Clarke-Pearson 1988: z = (A₁−A₂)/√(V₁+V₂−2C₁₂).
    """
    truth, first = _checked(truth, first)
    truth, second = _checked(truth, second)
    values, covariance = _delong(truth, np.stack([first, second]))
    areas = [_with_interval(float(values[k]), float(covariance[k, k]), truth, confidence) for k in (0, 1)]
    difference = float(values[0] - values[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    error = math.sqrt(max(variance, 0.0))
    z = difference / error if error > 0 else (0.0 if difference == 0 else math.copysign(math.inf, difference))
    half = normal_quantile(confidence) * error
    interval = Interval(difference - half, difference + half)
    return AreaDifference(areas[0], areas[1], difference, interval, z, math.erfc(abs(z) / math.sqrt(2)))


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the precision-recall curve as Σ (Rₖ − Rₖ₋₁)·Pₖ; its chance level is the prevalence.

    Notes
    -----
    Source: scikit-learn `average_precision_score`; no interpolation between points.
    """
    curve = roc_curve(truth, score)
    return float(np.sum(np.diff(curve.sensitivity) * curve.precision[1:]))


def operating_point(
    truth: np.ndarray, score: np.ndarray, threshold: float, confidence: float = CONFIDENCE
) -> OperatingPoint:
    """Return what a threshold gives, every share with its Wilson interval."""
    truth, score = _checked(truth, score)
    called = score >= threshold
    hits, alarms = int((called & truth).sum()), int((called & ~truth).sum())
    n_sick, n_well = int(truth.sum()), int((~truth).sum())
    rests = n_well - alarms
    return OperatingPoint(
        float(threshold),
        proportion(hits, n_sick, confidence),
        proportion(rests, n_well, confidence),
        proportion(hits, hits + alarms, confidence),
        proportion(rests, rests + n_sick - hits, confidence),
    )


def threshold_for_sensitivity(truth: np.ndarray, score: np.ndarray, at_least: float) -> float:
    """Return the highest threshold that still finds that share of the sick, so the most specific one."""
    curve = roc_curve(truth, score)
    return float(curve.thresholds[int(np.argmax(curve.sensitivity >= at_least))])


def threshold_for_specificity(truth: np.ndarray, score: np.ndarray, at_least: float) -> float:
    """Return the lowest threshold that still leaves that share of the healthy alone; inf calls nobody."""
    curve = roc_curve(truth, score)
    specific = (curve.n_negative - curve.false_positives) / curve.n_negative >= at_least
    return float(curve.thresholds[np.flatnonzero(specific)[-1]])


def _checked(truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, score = np.asarray(truth, bool), np.asarray(score, np.float64)
    if truth.ndim != 1 or truth.shape != score.shape:
        raise ValueError(f"truth has shape {truth.shape}, score {score.shape}; expected one of each a patient")
    if not truth.any() or truth.all():
        raise ValueError(f"{int(truth.sum())} of {len(truth)} patients are sick; a ROC curve needs both kinds")
    if not np.isfinite(score).all():
        raise ValueError("a score is not finite")
    return truth, score


def _delong(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the areas (s,) and their covariance (s, s) of scores (s, n)."""
    from scipy.stats import rankdata

    sick, well = scores[:, truth], scores[:, ~truth]
    m, n = sick.shape[1], well.shape[1]
    among_all = rankdata(np.concatenate([sick, well], axis=1), axis=1)
    above_well = (among_all[:, :m] - rankdata(sick, axis=1)) / n  # share of the healthy below each sick patient
    below_sick = 1 - (among_all[:, m:] - rankdata(well, axis=1)) / m
    return above_well.mean(axis=1), _covariance(above_well) / m + _covariance(below_sick) / n


def _covariance(parts: np.ndarray) -> np.ndarray:
    if parts.shape[1] < 2:
        return np.full((len(parts), len(parts)), np.nan)
    return np.atleast_2d(np.cov(parts))


def _with_interval(value: float, variance: float, truth: np.ndarray, confidence: float) -> Area:
    n_positive, n_negative = int(truth.sum()), int((~truth).sum())
    if math.isnan(variance):  # one patient of a kind
        interval = Interval(0.0, 1.0)
    elif value in {0.0, 1.0}:
        bound = ((1 - confidence) / 2) ** (1 / min(n_positive, n_negative))
        interval = Interval(bound, 1.0) if value else Interval(0.0, 1 - bound)
    else:
        centre = math.log(value / (1 - value))
        half = normal_quantile(confidence) * math.sqrt(variance) / (value * (1 - value))
        interval = Interval(1 / (1 + math.exp(half - centre)), 1 / (1 + math.exp(-half - centre)))
    return Area(value, variance, interval, n_positive, n_negative)
