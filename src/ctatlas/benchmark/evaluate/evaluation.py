"""What an evaluation gave: one row a number, what failed, and what a person should know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import TYPE_CHECKING

from ctatlas.benchmark.evaluate.lesions import LesionResults
from ctatlas.benchmark.evaluate.notes import Note
from ctatlas.benchmark.evaluate.volumes import Agreement
from ctatlas.measure.records import Measurement

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("case", "structure", "metric", "tolerance_mm", "value", "implementation", "status")


@dataclass(frozen=True, slots=True)
class Failure:
    """A case of which something could not be evaluated."""

    case: str
    stage: str
    reason: str


@dataclass(frozen=True, slots=True)
class Middle:
    """Mean and median of a metric over the cases in which it has a value."""

    metric: str
    tolerance_mm: float | None
    n: int
    mean: float | None
    median: float | None


@dataclass(frozen=True, slots=True)
class StructureSummary:
    """One structure over all cases.

    Attributes
    ----------
    n : int
        Cases in which it was looked for in both masks.
    missed : int
        Cases in which it is there and was not found.
    false_positives : int
        Cases in which it is not there and was found.
    no_prediction : int
        Cases without a prediction of it on the same voxels.
    middles : tuple of Middle
    """

    structure: str
    n: int
    missed: int
    false_positives: int
    no_prediction: int
    middles: tuple[Middle, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The outcome of an evaluation.

    Attributes
    ----------
    measurements : tuple of Measurement
        By case, structure, metric and tolerance.
    failures : tuple of Failure
        Cases that could not be read, have no prediction, or lie on another grid.
    notes : tuple of Note
        What else should be known.
    facts : mapping
        How it was made, in words of JSON: `run.json`.
    lesions : LesionResults
        What was asked to be listed.
    volumes : tuple of Agreement
        Over cases, where `volume_error_ml` was measured.
    """

    measurements: tuple[Measurement, ...]
    failures: tuple[Failure, ...] = ()
    notes: tuple[Note, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    lesions: LesionResults = field(default_factory=LesionResults)
    volumes: tuple[Agreement, ...] = ()

    def to_pandas(self) -> pd.DataFrame:
        """Return the measurements as a table with the columns of `metrics.csv`; what is undefined is nan."""
        import pandas as pd

        table = pd.DataFrame([cells(row) for row in self.measurements], columns=list(COLUMNS))
        return table.astype({"tolerance_mm": "float64", "value": "float64"})

    def summary(self) -> tuple[StructureSummary, ...]:
        """Return each structure over all cases, in the order in which they first occur."""
        of_each: dict[str, list[Measurement]] = {}
        for row in self.measurements:
            of_each.setdefault(row.structure, []).append(row)
        return tuple(_summary(name, rows) for name, rows in of_each.items())


def cells(row: Measurement) -> tuple[object, ...]:
    """Return a measurement in the order of `COLUMNS`."""
    return tuple(getattr(row, column) for column in COLUMNS)


def _summary(structure: str, rows: Sequence[Measurement]) -> StructureSummary:
    status = {row.case: row.status for row in rows}
    counts = {name: list(status.values()).count(name) for name in set(status.values())}
    without = counts.get("missing_prediction", 0) + counts.get("geometry_mismatch", 0)
    return StructureSummary(
        structure=structure,
        n=len(status) - without,
        missed=counts.get("pred_absent", 0),
        false_positives=counts.get("gt_absent", 0),
        no_prediction=without,
        middles=tuple(_middles(rows)),
    )


def _middles(rows: Iterable[Measurement]) -> list[Middle]:
    values: dict[tuple[str, float | None], list[float]] = {}
    for row in rows:
        found = values.setdefault((row.metric, row.tolerance_mm), [])
        if row.value is not None:
            found.append(row.value)
    return [
        Middle(metric, tolerance, len(found), fmean(found) if found else None, median(found) if found else None)
        for (metric, tolerance), found in values.items()
    ]
