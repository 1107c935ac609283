"""Choose the results that a person should look at: of each structure the worst, then the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ctatlas.measure.metrics import Better, metrics
from ctatlas.measure.records import Measurement
from ctatlas.volume import safe_name

_SHOWN = ("ok", "pred_absent", "gt_absent")
# From a value to how bad it is
_BADNESS: dict[Better, Callable[[float], float]] = {
    "higher": lambda value: -value,
    "lower": lambda value: value,
    "zero": abs,
    "one": lambda value: abs(value - 1),
}


@dataclass(frozen=True, slots=True)
class Worst:
    """One of the worst results, and the file of its picture."""

    rank: int
    result: Measurement

    @property
    def picture(self) -> str:
        """Where its picture lies in the output."""
        return f"worst/{self.rank:02d}-{safe_name(self.result.case)}-{safe_name(self.result.structure)}.png"


def worst_results(rows: Iterable[Measurement], n: int) -> list[Worst]:
    """Choose the worst results by the first metric that was measured.

    The worst case of every structure comes before the second-worst of any, so that small structures, which are hard for
    every model, don't crowd out the rest; among those of one turn the worst value comes first.

    Parameters
    ----------
    rows : iterable of Measurement
    n : int
        How many, at most.
    """
    judged = _of_first_metric(rows)
    of_each: dict[str, list[Measurement]] = {}
    for row in sorted(judged, key=lambda row: (-_badness(row), row.structure, row.case)):
        of_each.setdefault(row.structure, []).append(row)
    turns = [(turn, row) for several in of_each.values() for turn, row in enumerate(several)]
    turns.sort(key=lambda one: (one[0], -_badness(one[1])))
    return [Worst(rank, row) for rank, (_, row) in enumerate(turns[:n], start=1)]


def _of_first_metric(rows: Iterable[Measurement]) -> Sequence[Measurement]:
    """Return the rows by which results are judged, at each structure's first tolerance; what is perfect is none."""
    every = list(rows)
    of_it = [row for row in every if row.metric == every[0].metric]
    first: dict[str, float | None] = {}
    for row in of_it:
        first.setdefault(row.structure, row.tolerance_mm)
    perfect = {"higher": 1.0, "lower": 0.0, "zero": 0.0, "one": 1.0}
    return [
        row
        for row in of_it
        if row.status in _SHOWN
        and row.tolerance_mm == first[row.structure]
        and row.value != perfect[metrics()[row.metric].better]
    ]


def _badness(row: Measurement) -> float:
    """Return how bad a result is; one without a value, as the distance to a mask that is not there, is the worst."""
    return math.inf if row.value is None else _BADNESS[metrics()[row.metric].better](row.value)
