"""Does a prediction tell patients with a lesion from those without? By its predicted volume, or any other score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctatlas.measure.detection import LesionCase
from ctatlas.measure.intervals import Interval, bootstrap
from ctatlas.measure.roc import (
    Area,
    AreaDifference,
    OperatingPoint,
    area,
    average_precision,
    compare_areas,
    operating_point,
    patient_level,
    threshold_for_sensitivity,
    threshold_for_specificity,
)

if TYPE_CHECKING:
    import numpy as np

FIXED = 0.9  # the sensitivity and the specificity at which operating points are stated by default


@dataclass(frozen=True, slots=True)
class ScoredCase:
    """One scan: whether its reference has the lesion, and how strongly the prediction suspects one.

    Attributes
    ----------
    case : str
    is_sick : bool
    score : float
        Whatever grows with suspicion: predicted volume in mL, a probability.
    """

    case: str
    is_sick: bool
    score: float


@dataclass(frozen=True, slots=True)
class NamedPoint:
    """An operating point and how its threshold was come by: "given", or chosen on these very patients."""

    chosen: str
    point: OperatingPoint


@dataclass(frozen=True, slots=True)
class PatientDetection:
    """How well patients with and without a lesion are told apart.

    Attributes
    ----------
    n_positive, n_negative : int
        Patients, not scans.
    area : Area or None
        Under the ROC curve; None when all patients are of one kind.
    average_precision : float or None
        Its chance level is the prevalence.
    average_precision_interval : Interval or None
        Of a bootstrap of patients within each kind.
    points : tuple of NamedPoint
    """

    n_positive: int
    n_negative: int
    area: Area | None
    average_precision: float | None
    average_precision_interval: Interval | None
    points: tuple[NamedPoint, ...]

    @property
    def prevalence(self) -> float | None:
        """Share of patients with a lesion, at which the predictive values of the points hold."""
        n = self.n_positive + self.n_negative
        return self.n_positive / n if n else None


def scored_by_volume(cases: Iterable[LesionCase]) -> tuple[ScoredCase, ...]:
    """Score each case of a structure by the volume that was predicted, in mL."""
    return tuple(
        ScoredCase(
            case.case,
            bool(case.of("reference")),
            float(sum(lesion.volume_ml for lesion in case.of("prediction"))),
        )
        for case in cases
    )


def compare_scores(
    first: Sequence[ScoredCase], second: Sequence[ScoredCase], *, patients: Mapping[str, str] | None = None
) -> AreaDifference | None:
    """Compare two scores of the same patients by DeLong's test, over the cases that have both.

    Returns
    -------
    AreaDifference or None
        First minus second; None when all of these patients are of one kind.
    """
    scores = {case.case: case.score for case in second}
    shared = [case for case in first if case.case in scores]
    whose = patients or {}
    names = [whose.get(case.case, case.case) for case in shared]
    sick = [case.is_sick for case in shared]
    truth, one = patient_level(names, sick, [case.score for case in shared])
    _, other = patient_level(names, sick, [scores[case.case] for case in shared])
    return compare_areas(truth, one, other) if truth.any() and not truth.all() else None


def patient_detection(
    cases: Sequence[ScoredCase],
    *,
    patients: Mapping[str, str] | None = None,
    thresholds: Sequence[float] = (),
    sensitivities: Sequence[float] = (FIXED,),
    specificities: Sequence[float] = (FIXED,),
    rng: np.random.Generator,
) -> PatientDetection:
    """Measure detection over patients: the highest score of a patient's scans counts, sick if any scan is.

    Parameters
    ----------
    cases : sequence of ScoredCase
    patients : mapping of str to str, optional
        Case -> patient; each case is a patient of its own where it says nothing.
    thresholds : sequence of float
        Set beforehand: a patient is called sick from that score on.
    sensitivities, specificities : sequence of float
        For which thresholds are chosen on these patients; what they give is therefore flattering.
    rng : numpy.random.Generator
        For the bootstrap.

    Raises
    ------
    ValueError
        When a score is not finite.
    """
    whose = patients or {}
    names = [whose.get(case.case, case.case) for case in cases]
    truth, score = patient_level(names, [case.is_sick for case in cases], [case.score for case in cases])
    n_positive = int(truth.sum())
    if not truth.any() or truth.all():
        return PatientDetection(n_positive, len(truth) - n_positive, None, None, None, ())
    chosen = [("given", threshold) for threshold in thresholds]
    chosen += [(f"sensitivity >= {at:g}", threshold_for_sensitivity(truth, score, at)) for at in sensitivities]
    chosen += [(f"specificity >= {at:g}", threshold_for_specificity(truth, score, at)) for at in specificities]
    return PatientDetection(
        n_positive,
        len(truth) - n_positive,
        area(truth, score),
        average_precision(truth, score),
        bootstrap(
            lambda rows: average_precision(truth[rows], score[rows]), range(len(truth)), rng, strata=truth.tolist()
        ),
        tuple(NamedPoint(how, operating_point(truth, score, threshold)) for how, threshold in chosen),
    )
