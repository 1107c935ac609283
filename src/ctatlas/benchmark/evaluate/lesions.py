"""Lesions of an evaluation: listed case by case, counted over cases, and whether they tell patients apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from ctatlas.anatomy import structures
from ctatlas.benchmark.evaluate.patients import (
    DETECTION_COLUMNS,
    PAIRS_COLUMNS,
    KnownOfCases,
    PatientsOf,
    ScoresCompared,
    compared_scores,
    detection_rows,
    ends,
    pairs_row,
    patients_of,
    scored_structures,
    share_cells,
)
from ctatlas.measure.detection import Detection, Lesion, LesionCase, LesionRule, detections, lesions_of_pair
from ctatlas.measure.pairing import pairs
from ctatlas.volume import Segmentation

ALL = "all"
LESIONS, SUMMARY = "lesions.csv", "lesions_summary.csv"
DETECTION, PAIRS = "detection.csv", "detection_pairs.csv"
_SEED = 0  # the same masks give the same intervals
_GROUP = "lesion"  # of the table of structures

Table = tuple[Sequence[str], Iterable[Sequence[object]]]


@dataclass(frozen=True, slots=True)
class LesionResults:
    """All about lesions; empty where nobody asked.

    Attributes
    ----------
    cases : tuple of LesionCase
        Every case and structure that was looked at, with or without lesions.
    counted : tuple of Detection
    patients : tuple of PatientsOf
    compared : tuple of ScoresCompared
    """

    cases: tuple[LesionCase, ...] = ()
    counted: tuple[Detection, ...] = ()
    patients: tuple[PatientsOf, ...] = ()
    compared: tuple[ScoresCompared, ...] = ()


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


def counted_lesions(cases: Sequence[LesionCase], by: LesionRule, known: KnownOfCases) -> LesionResults:
    """Count lesions over cases and patients."""
    if not cases:
        return LesionResults()
    rng = np.random.default_rng(_SEED)
    counted = detections(cases, by, patients=known.patients, rng=rng)
    scored = scored_structures(cases, known)
    return LesionResults(tuple(cases), counted, patients_of(scored, known, rng), compared_scores(scored, known))


def lesion_tables(found: LesionResults) -> dict[str, Table]:
    """Return the tables by the names of their files; none where no lesion was asked for."""
    if not found.cases:
        return {}
    columns = [field.name for field in fields(Lesion)]
    rows = [[getattr(lesion, name) for name in columns] for case in found.cases for lesion in case.lesions]
    return {
        LESIONS: (columns, rows),
        SUMMARY: (_SUMMARY_COLUMNS, map(_summary_row, found.counted)),
        DETECTION: (DETECTION_COLUMNS, [row for each in found.patients for row in detection_rows(each)]),
        PAIRS: (PAIRS_COLUMNS, map(pairs_row, found.compared)),
    }


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
    "lesion_dsc",
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
        *share_cells(each.sensitivity, n_first=True),
        *ends(each.sensitivity_by_patient),
        *share_cells(each.precision, n_first=True),
        each.false_positives_per_scan,
        *ends(each.false_positives_by_patient),
        each.f1,
        each.sq,
        each.pq,
        each.lesion_dsc,
        each.missed_ml,
        each.invented_ml,
    )
