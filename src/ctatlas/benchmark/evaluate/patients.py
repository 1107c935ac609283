"""Whether a model tells patients with a lesion from those without, by the volume it predicts or by other scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from ctatlas.benchmark.reading.metadata import Metadata, no_metadata, read_metadata
from ctatlas.benchmark.reading.text import number
from ctatlas.errors import TableError
from ctatlas.measure.detection import LesionCase
from ctatlas.measure.intervals import Interval, Proportion
from ctatlas.measure.patients import (
    PatientDetection,
    ScoredCase,
    compare_scores,
    patient_detection,
    scored_by_volume,
)
from ctatlas.measure.roc import AreaDifference

BY_VOLUME = "predicted mL"
VOLUME = "volume"  # how a person calls it
Scored = Mapping[str, Mapping[str, tuple[ScoredCase, ...]]]  # structure -> score -> its cases


@dataclass(frozen=True, slots=True)
class KnownOfCases:
    """What is known of the cases beside their masks.

    Attributes
    ----------
    patients : mapping of str to str
        Case -> patient.
    scores : mapping
        Name of a score -> case -> score.
    thresholds : mapping of str to float
        Name of a score -> from which on a patient is called; set beforehand.
    """

    patients: Mapping[str, str]
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PatientsOf:
    """How well a structure's lesions tell patients with one from those without, by one score."""

    structure: str
    score: str
    found: PatientDetection


@dataclass(frozen=True, slots=True)
class ScoresCompared:
    """Two scores on the same patients."""

    structure: str
    first: str
    second: str
    found: AreaDifference


def known_of_cases(names: Sequence[str], metadata: Path | None = None, scores: Sequence[str] = ()) -> KnownOfCases:
    """Read whose each case is, and its scores.

    Parameters
    ----------
    names : sequence of str
        Of the cases.
    metadata : Path, optional
        A table with a row a case: its patient, and perhaps scores.
    scores : sequence of str
        Columns of that table by which patients are told apart, beside the predicted volume; each with `:NUMBER` behind
        it from where on a patient is called, as in "probability:0.5" and "volume:1" (mL).

    Raises
    ------
    TableError
        When the table can't be read, or has no such column, or a cell of it is no number.
    """
    wanted = dict(map(_parted, scores))
    columns = [name for name in wanted if name != VOLUME]
    if columns and not metadata:
        raise TableError(f"a column {columns[0]!r} for scores and no table of metadata that could have it; give both")
    told = read_metadata(metadata, names)[0] if metadata else no_metadata(names)
    return KnownOfCases(
        {name: str(patient) for name, patient in zip(names, told.patients, strict=True)},
        {column: _score(told, names, column, metadata) for column in columns},
        {BY_VOLUME if name == VOLUME else name: at for name, at in wanted.items() if at is not None},
    )


def scored_structures(cases: Sequence[LesionCase], known: KnownOfCases) -> Scored:
    """Give every case of each structure its scores; a case without one is left out of that score."""
    scored: dict[str, dict[str, tuple[ScoredCase, ...]]] = {}
    for structure in dict.fromkeys(case.structure for case in cases):
        by_volume = scored_by_volume(case for case in cases if case.structure == structure)
        scored[structure] = {BY_VOLUME: by_volume}
        for name, values in known.scores.items():
            scored[structure][name] = tuple(
                ScoredCase(each.case, each.is_sick, values[each.case]) for each in by_volume if each.case in values
            )
    return scored


def patients_of(scored: Scored, known: KnownOfCases, rng: np.random.Generator) -> tuple[PatientsOf, ...]:
    """Measure each score of each structure."""
    return tuple(
        PatientsOf(
            structure,
            score,
            patient_detection(
                cases,
                patients=known.patients,
                thresholds=[known.thresholds[score]] if score in known.thresholds else [],
                rng=rng,
            ),
        )
        for structure, scores in scored.items()
        for score, cases in scores.items()
    )


def compared_scores(scored: Scored, known: KnownOfCases) -> tuple[ScoresCompared, ...]:
    """Compare each two scores of a structure on the cases that have both."""
    return tuple(
        ScoresCompared(structure, first, second, difference)
        for structure, scores in scored.items()
        for first, second in combinations(scores, 2)
        if (difference := compare_scores(scores[first], scores[second], patients=known.patients))
    )


def _parted(text: str) -> tuple[str, float | None]:
    """Part a score from its threshold; a column's own name may hold a colon."""
    name, colon, last = text.rpartition(":")
    threshold = number(last.strip()) if colon else None
    if threshold is None or not np.isfinite(threshold):
        return text.strip(), None
    return name.strip(), threshold


def _score(told: Metadata, names: Sequence[str], column: str, path: Path | None) -> dict[str, float]:
    """Return the scores of a column by case; an empty cell leaves the case out."""
    if column not in told.columns:
        raise TableError(f"{path}: has no column {column!r} for scores; it has {', '.join(told.columns) or 'none'}")
    values = {name: number(cell) for name, cell in zip(names, told.columns[column], strict=True)}
    if odd := [name for name, value in values.items() if value is None or np.isinf(value)]:
        cell = told.columns[column][names.index(odd[0])]
        raise TableError(f"{path}: {odd[0]}: the score {cell[:40]!r} is no number")
    return {name: value for name, value in values.items() if value is not None and not np.isnan(value)}


_SHARES = ("sensitivity", "specificity", "positive_predictive_value", "negative_predictive_value")
DETECTION_COLUMNS = (
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


def detection_rows(each: PatientsOf) -> Iterator[tuple[object, ...]]:
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
        *ends(found.average_precision_interval),
    )
    if not found.points:
        yield (*head, *(None,) * (len(DETECTION_COLUMNS) - len(head)))
    for named in found.points:
        shares = [getattr(named.point, name) for name in _SHARES]
        yield (*head, named.chosen, named.point.threshold, *(cell for share in shares for cell in share_cells(share)))


PAIRS_COLUMNS = (
    "structure",
    "first",
    "second",
    "n_positive",
    "n_negative",
    "auc_first",
    "auc_second",
    "difference",
    "difference_low",
    "difference_high",
    "z",
    "p",
)


def pairs_row(each: ScoresCompared) -> tuple[object, ...]:
    """Return a row of `detection_pairs.csv`."""
    found = each.found
    return (
        each.structure,
        each.first,
        each.second,
        found.first.n_positive,
        found.first.n_negative,
        found.first.value,
        found.second.value,
        found.difference,
        *ends(found.interval),
        found.z,
        found.p,
    )


def share_cells(share: Proportion, *, n_first: bool = False) -> tuple[object, ...]:
    """Return counts, share and ends of a proportion, one cell each."""
    counts = (share.n, share.count) if n_first else (share.count, share.n)
    return (*counts, share.value, share.interval.low, share.interval.high)


def ends(interval: Interval | None) -> tuple[float | None, float | None]:
    """Return both ends of an interval, or two empty cells."""
    return (interval.low, interval.high) if interval else (None, None)
