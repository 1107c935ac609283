"""The table of metrics: names, units, which way is better, and what each needs to be computed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal, cast, get_args

from ctatlas.errors import ModelError

Better = Literal["higher", "lower", "zero", "one"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table.

    Attributes
    ----------
    name : str
    unit : str
        "fraction", "mm" or "mL".
    better : str
        Which way is better; "zero" and "one" name the perfect value of what may err to both sides.
    needs : str
        What it is computed from: the family of metrics it belongs to, such as "counts" or "surface".
    takes_tolerance : bool
        Whether every value belongs to a tolerance in mm.
    meaning, source : str
    """

    name: str
    unit: str
    better: Better
    needs: str
    takes_tolerance: bool
    meaning: str
    source: str


@cache
def metrics() -> Mapping[str, Metric]:
    """Return all metrics by name, in the order in which they are shown.

    Raises
    ------
    ModelError
        When the table is not in order.
    """
    text = files("ctatlas.measure").joinpath("data", "metrics.csv").read_text(encoding="utf-8")
    rows = [_metric(row) for row in csv.DictReader(text.splitlines(), strict=True)]
    table = {row.name: row for row in rows}
    if len(table) < len(rows):
        raise ModelError("measure/data/metrics.csv: a metric is given twice")
    return MappingProxyType(table)


def chosen_metrics(names: Iterable[str]) -> tuple[Metric, ...]:
    """Look metrics up by name.

    Raises
    ------
    ModelError
        When there is no metric of that name, or none was asked for.
    """
    names = tuple(dict.fromkeys(names))
    if unknown := [name for name in names if name not in metrics()]:
        raise ModelError(f"no metric {unknown[0]!r}; there are {', '.join(metrics())}")
    if not names:
        raise ModelError("no metric was asked for")
    return tuple(metrics()[name] for name in names)


def _metric(row: dict[str, str]) -> Metric:
    if row["better"] not in get_args(Better) or row["tolerance"] not in ("yes", "no") or not all(row.values()):
        raise ModelError(f"measure/data/metrics.csv: the row of {row['name']!r} is not complete")
    return Metric(
        row["name"],
        row["unit"],
        cast("Better", row["better"]),
        row["needs"],
        row["tolerance"] == "yes",
        row["meaning"],
        row["source"],
    )
