"""Lesions of an evaluation: listed case by case, counted over cases, and whether they tell patients apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ctatlas.anatomy import structures
from ctatlas.benchmark.reading.metadata import Metadata, no_metadata, read_metadata
from ctatlas.benchmark.reading.text import number
from ctatlas.errors import TableError
from ctatlas.measure.detection import Detection, Lesion, LesionCase, LesionRule, detections, lesions_of_pair
from ctatlas.measure.intervals import Interval, Proportion
from ctatlas.measure.pairing import pairs
from ctatlas.measure.patients import PatientDetection, ScoredCase, patient_detection, scored_by_volume
from ctatlas.volume import Segmentation

ALL = "all"
BY_VOLUME = "predicted mL"
LESIONS, SUMMARY, DETECTION = "lesions.csv", "lesions_summary.csv", "detection.csv"
_SEED = 0  # the same masks give the same intervals
_GROUP = "lesion"  # of the table of structures

Table = tuple[Sequence[str], Iterable[Sequence[object]]]


@dataclass(frozen=True, slots=True)
class KnownOfCases:
    """What a table says of the cases.

    Attributes
    ----------
    patients : mapping of str to str
        Case -> patient.
    scores : mapping
        Name of a score -> case -> score.
    """

    patients: Mapping[str, str]
    scores: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class PatientsOf:
    """How well a structure's lesions tell patients with one from those without, by one score."""

    structure: str
    score: str
    found: PatientDetection


@dataclass(frozen=True, slots=True)
class LesionResults:
    """All about lesions; empty where nobody asked.

    Attributes
    ----------
    cases : tuple of LesionCase
        Every case and structure that was looked at, with or without lesions.
    counted : tuple of Detection
    patients : tuple of PatientsOf
    """

    cases: tuple[LesionCase, ...] = ()
    counted: tuple[Detection, ...] = ()
    patients: tuple[PatientsOf, ...] = ()


def wanted_lesions(asked: Sequence[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return which of the structures to list the lesions of: those asked for, or all that the table calls lesions."""
    known = structures()
    return tuple(
        name for name in names if name in asked or (ALL in asked and name in known and known[name].group == _GROUP)
    )


def lesions_in(
    case: str, gt: Segmentation, pred: Segmentation, names: Sequence[str], by: LesionRule
) -> tuple[LesionCase, ...]:
    """List and match the lesions of one case; both sides on one grid."""
    return tuple(lesions_of_pair(pair, gt.grid.affine, case=case, by=by) for pair in pairs(gt, pred, names))


def lesion_case_of(record: Mapping[str, object]) -> LesionCase:
    """Return what a record in JSON says; the way back of `dataclasses.asdict`."""
    rows: list[Mapping[str, object]] = list(record["lesions"])  # type: ignore[call-overload]
    return LesionCase(str(record["case"]), str(record["structure"]), tuple(Lesion(**row) for row in rows))  # type: ignore[arg-type]


def known_of_cases(names: Sequence[str], metadata: Path | None = None, score: str | None = None) -> KnownOfCases:
    """Read whose each case is, and its score.

    Parameters
    ----------
    names : sequence of str
        Of the cases.
    metadata : Path, optional
        A table with a row a case: its patient, and perhaps a score.
    score : str, optional
        The column of that table by which patients are told apart, beside the predicted volume.

    Raises
    ------
    TableError
        When the table can't be read, or has no such column, or a cell of it is no number.
    """
    if score and not metadata:
        raise TableError(f"a column {score!r} for scores and no table of metadata that could have it; give both")
    told = read_metadata(metadata, names)[0] if metadata else no_metadata(names)
    patients = {name: str(patient) for name, patient in zip(names, told.patients, strict=True)}
    return KnownOfCases(patients, _scores(told, names, score, metadata) if score else {})


def counted_lesions(cases: Sequence[LesionCase], by: LesionRule, known: KnownOfCases) -> LesionResults:
    """Count lesions over cases and patients."""
    if not cases:
        return LesionResults()
    rng = np.random.default_rng(_SEED)
    counted = detections(cases, by, patients=known.patients, rng=rng)
    return LesionResults(tuple(cases), counted, tuple(_patients(cases, known, rng)))


def lesion_tables(found: LesionResults) -> dict[str, Table]:
    """Return the tables by the names of their files; none where no lesion was asked for."""
    if not found.cases:
        return {}
    columns = [field.name for field in fields(Lesion)]
    rows = [[getattr(lesion, name) for name in columns] for case in found.cases for lesion in case.lesions]
    return {
        LESIONS: (columns, rows),
        SUMMARY: (_SUMMARY_COLUMNS, map(_summary_row, found.counted)),
        DETECTION: (_DETECTION_COLUMNS, [row for each in found.patients for row in _detection_rows(each)]),
    }


def _patients(cases: Sequence[LesionCase], known: KnownOfCases, rng: np.random.Generator) -> Iterator[PatientsOf]:
    for structure in dict.fromkeys(case.structure for case in cases):
        by_volume = scored_by_volume(case for case in cases if case.structure == structure)
        yield PatientsOf(structure, BY_VOLUME, patient_detection(by_volume, patients=known.patients, rng=rng))
        for name, values in known.scores.items():
            scored = [
                ScoredCase(each.case, each.is_sick, values[each.case]) for each in by_volume if each.case in values
            ]
            yield PatientsOf(structure, name, patient_detection(scored, patients=known.patients, rng=rng))


def _scores(told: Metadata, names: Sequence[str], score: str, path: Path | None) -> dict[str, dict[str, float]]:
    """Return the scores of a column by case; an empty cell leaves the case out of that curve."""
    if score not in told.columns:
        raise TableError(f"{path}: has no column {score!r} for scores; it has {', '.join(told.columns) or 'none'}")
    values = {name: number(cell) for name, cell in zip(names, told.columns[score], strict=True)}
    if odd := [name for name, value in values.items() if value is None or np.isinf(value)]:
        cell = told.columns[score][names.index(odd[0])]
        raise TableError(f"{path}: {odd[0]}: the score {cell[:40]!r} is no number")
    return {score: {name: value for name, value in values.items() if value is not None and value == value}}  # noqa: PLR0124


_SUMMARY_COLUMNS = (
    "structure",
    "rule",
    "threshold",
    "size_class",
    "n_cases",
    "n_lesions",
    "n_found",
    "sensitivity",
    "ci_low",
    "ci_high",
    "by_patient_low",
    "by_patient_high",
    "n_predicted",
    "n_right",
    "precision",
    "precision_low",
    "precision_high",
    "false_positives_per_scan",
    "false_positives_low",
    "false_positives_high",
    "f1",
    "sq",
    "pq",
    "missed_ml",
    "invented_ml",
)


def _summary_row(each: Detection) -> tuple[object, ...]:
    return (
        each.structure,
        each.rule,
        each.threshold,
        each.size_class,
        each.n_cases,
        *_share(each.sensitivity, n_first=True),
        *_ends(each.sensitivity_by_patient),
        *_share(each.precision, n_first=True),
        each.false_positives_per_scan,
        *_ends(each.false_positives_by_patient),
        each.f1,
        each.sq,
        each.pq,
        each.missed_ml,
        each.invented_ml,
    )


_SHARES = ("sensitivity", "specificity", "positive_predictive_value", "negative_predictive_value")
_DETECTION_COLUMNS = (
    "structure",
    "score",
    "n_positive",
    "n_negative",
    "prevalence",
    "auc",
    "auc_low",
    "auc_high",
    "average_precision",
    "average_precision_low",
    "average_precision_high",
    "operating_point",
    "threshold",
    *(f"{name}{end}" for name in _SHARES for end in ("_count", "_n", "", "_low", "_high")),
)


def _detection_rows(each: PatientsOf) -> Iterator[tuple[object, ...]]:
    """Return a row an operating point, and one without a point where patients are all of one kind."""
    found = each.found
    area = found.area
    head = (
        each.structure,
        each.score,
        found.n_positive,
        found.n_negative,
        found.prevalence,
        *((area.value, area.interval.low, area.interval.high) if area else (None,) * 3),
        found.average_precision,
        *_ends(found.average_precision_interval),
    )
    if not found.points:
        yield (*head, *(None,) * (len(_DETECTION_COLUMNS) - len(head)))
    for named in found.points:
        shares = [getattr(named.point, name) for name in _SHARES]
        yield (*head, named.chosen, named.point.threshold, *(cell for share in shares for cell in _share(share)))


def _share(share: Proportion, *, n_first: bool = False) -> tuple[object, ...]:
    counts = (share.n, share.count) if n_first else (share.count, share.n)
    return (*counts, share.value, share.interval.low, share.interval.high)


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (interval.low, interval.high) if interval else (None, None)
