"""The results of many models on common axes: model, case, structure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ctatlas.measure.metrics import Better, metrics

AVERAGE = "average"  # over all structures
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Metric:
    """How to read a number.

    Attributes
    ----------
    name : str
        "dsc", "nsd", …
    tolerance_mm : float or None
        Set only where results hold several tolerances of one metric.
    unit : str
        Of the values as they are reported: "%", "mm", "mL", or empty.
    better : str
        "higher", "lower", or "zero" and "one": the nearer to that.
    """

    name: str
    unit: str
    better: Better
    tolerance_mm: float | None = None

    @property
    def label(self) -> str:
        """Name it in tables: "dsc", or "nsd@2mm" where there are several tolerances."""
        return self.name if self.tolerance_mm is None else f"{self.name}@{self.tolerance_mm:g}mm"

    @property
    def title(self) -> str:
        """Name it in text and figures: "DSC", "NSD at 2 mm"."""
        tolerance = "" if self.tolerance_mm is None else f" at {self.tolerance_mm:g} mm"
        word = self.name.upper() if len(self.name) <= 5 else self.name.replace("_", " ")
        return word + tolerance

    def goodness(self, values: Floats) -> Floats:
        """Turn values so that more is better, in the same unit."""
        if self.better == "higher":
            return values
        perfect = {"lower": 0.0, "zero": 0.0, "one": self.from_fraction}[self.better]
        return -np.abs(values - perfect)

    @property
    def errs_both_ways(self) -> bool:
        """Whether a value may lie on either side of the perfect one, so that less is not better."""
        return self.better in ("zero", "one")

    @property
    def off_title(self) -> str:
        """Name how far a value lies from the perfect one."""
        return f"distance of {self.title} from {'0' if self.better == 'zero' else '1'}"

    @property
    def from_fraction(self) -> float:
        """Return what a value as written is multiplied with: fractions are reported in percent."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def digits(self) -> int:
        """Return how many decimals of a value a reader can use."""
        return 1 if self.unit == "%" else 2

    @property
    def is_score(self) -> bool:
        """Whether it lies in 0 to 100 %, and 0 is a structure that was missed."""
        return self.unit == "%" and self.better == "higher"


def known_metric(name: str, tolerance_mm: float | None = None) -> Metric:
    """Look a metric up."""
    row = metrics()[name]
    return Metric(name, "%" if row.unit == "fraction" else row.unit, row.better, tolerance_mm)


@dataclass(frozen=True)
class Scores:
    """The values of one metric.

    Attributes
    ----------
    values : (models, cases, structures) float64
        In the metric's unit; nan where there is none.
    has_row : (models, cases) bool
        Whether the model's table has a row of the case at all.
    has_structure : (models, structures) bool
        Whether the model's table has the structure at all.
    tolerances_mm : tuple of float
        All that the tables state, ascending; structures may have their own.
    implementations : tuple of str
        Whose definitions the tables say they follow.
    """

    metric: Metric
    models: tuple[str, ...]
    cases: tuple[str, ...]
    structures: tuple[str, ...]
    values: Floats
    has_row: Bools
    has_structure: Bools
    tolerances_mm: tuple[float, ...] = ()
    implementations: tuple[str, ...] = ()

    @cached_property
    def with_results(self) -> npt.NDArray[np.intp]:
        """Return which models have a value of this metric."""
        return np.flatnonzero(np.isfinite(self.values).any(axis=(1, 2)))

    @cached_property
    def common(self) -> Bools:
        """Return the (cases, structures) in which every model has a value that has results of the structure at all."""
        there = np.isfinite(self.values)[self.with_results]
        evaluates = np.asarray(there.any(axis=1))  # (models, structures)
        everybody = np.asarray((there | ~evaluates[:, None, :]).all(axis=0))
        return np.asarray(everybody & there.any(axis=0))

    @cached_property
    def common_structures(self) -> Bools:
        """Return the structures of which every model has results."""
        evaluates = np.isfinite(self.values)[self.with_results].any(axis=1)
        return np.asarray(evaluates.all(axis=0) & self.common.any(axis=0))

    def of_cohort(self, cohort: str) -> Floats:
        """Return the values of a cohort, nan outside of it.

        Parameters
        ----------
        cohort : str
            "own": all that a model has; "common": the cases in which all models have a value, for the average only of
            structures that all models have.
        """
        return self.values if cohort == "own" else np.where(self.common[None], self.values, np.nan)

    def case_means(self, cohort: str) -> Floats:
        """Return the (models, cases) mean over structures within a case."""
        values = self.of_cohort(cohort)
        if cohort == "common":
            values = values[:, :, self.common_structures]
        return nan_mean(values, axis=2)

    def columns(self) -> Iterator[Column]:
        """Yield each structure and the average per case, with the cases in which all models have a value.

        Of a structure, all models that have results of it; where these share no case there is no column.
        """
        by_structure = self.of_cohort("common")
        for s, name in enumerate(self.structures):
            yield from _column(name, by_structure[:, :, s])
        yield from _column(AVERAGE, self.case_means("common"))


@dataclass(frozen=True)
class Column:
    """The values of one structure, or of the average, without gaps.

    Attributes
    ----------
    models : (m,) int
        Places in the models of the scores.
    cases : (n,) int
    values : (m, n) float64
    """

    structure: str
    models: npt.NDArray[np.intp]
    cases: npt.NDArray[np.intp]
    values: Floats

    @property
    def n(self) -> int:
        """Return the number of cases."""
        return len(self.cases)


def _column(name: str, values: Floats) -> Iterator[Column]:
    there = np.isfinite(values)
    models = np.flatnonzero(there.any(axis=1))
    cases = np.flatnonzero(there[models].all(axis=0))
    if models.size and cases.size:
        yield Column(name, models, cases, values[np.ix_(models, cases)])


@dataclass(frozen=True)
class Results:
    """All that was read.

    Attributes
    ----------
    missed : (models, cases, structures) bool
        The reference has the structure, the model has nothing.
    spurious, absent : (models, structures) int
        Cases without the structure in the reference in which the model has it all the same, and all such cases; zeros
        where the tables don't say.
    """

    models: tuple[str, ...]
    cases: tuple[str, ...]
    structures: tuple[str, ...]
    scores: tuple[Scores, ...]
    missed: Bools
    spurious: npt.NDArray[np.int64]
    absent: npt.NDArray[np.int64]


def nan_mean(values: Floats, axis: int) -> Floats:
    """Return the mean of what is there, nan where nothing is; numpy's own warns of the latter."""
    there = np.isfinite(values)
    count = there.sum(axis=axis)
    total = np.where(there, values, 0.0).sum(axis=axis)
    return np.asarray(np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0))
