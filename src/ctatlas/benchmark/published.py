"""Figures that others published, to stand beside what was measured."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from ctatlas.anatomy import structure_called
from ctatlas.benchmark.scores import AVERAGE
from ctatlas.errors import TableError
from ctatlas.measure.metrics import metrics

_NOT_A_NAME = re.compile(r"[^a-z0-9]+")
_FAMILIES = ("nnunet", "monai", "visionlanguage")  # what Touchstone's folders put before a model's name


@dataclass(frozen=True, slots=True)
class Figure:
    """One published mean, in percent as printed; None where nothing was."""

    model: str
    structure: str
    metric: str
    mean: float
    sd: float | None
    note: str


@dataclass(frozen=True, slots=True)
class Published:
    """One table of published figures.

    Attributes
    ----------
    test_set : str
        What the models were tested on: figures of another set of cases are no measure of these.
    kind : str
        The kind of mean of the average.
    remark : str
        What is not stated, and the licence.
    """

    name: str
    title: str
    test_set: str
    kind: str
    remark: str
    source: str
    figures: tuple[Figure, ...]


@cache
def published() -> Mapping[str, Published]:
    """Return all tables by name.

    Raises
    ------
    TableError
        When a table contradicts itself; the message names the row.
    """
    tables = {
        row["name"]: Published(**row, figures=tuple(map(_figure, _rows(row["name"])))) for row in _rows("published")
    }
    for table in tables.values():
        keys = [(figure.model, figure.structure, figure.metric) for figure in table.figures]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise TableError(f"benchmark/data/{table.name}.csv: {' '.join(sorted(twice)[0])} is given twice")
    return MappingProxyType(tables)


def chosen(names: Sequence[str]) -> list[Published]:
    """Look tables up by name; "all" is every one.

    Raises
    ------
    TableError
        When there is no table of that name.
    """
    wanted = list(published()) if "all" in names else list(dict.fromkeys(names))
    if unknown := [name for name in wanted if name not in published()]:
        raise TableError(f"no published figures {unknown[0]!r}; there are {', '.join(published())}, or 'all'")
    return [published()[name] for name in wanted]


def same_model(one: str, other: str) -> bool:
    """Tell whether two spellings mean one model.

    >>> same_model("nnU-Net_MedNeXt", "MedNeXt"), same_model("STU-Net-B", "stu_net_b")
    (True, True)
    >>> same_model("UNETR", "Swin UNETR")
    False
    """
    return bool(_keys(one) & _keys(other))


def _keys(name: str) -> set[str]:
    bare = _NOT_A_NAME.sub("", name.lower())
    return {bare, *(bare.removeprefix(family) for family in _FAMILIES if bare != family)}


def _rows(name: str) -> list[dict[str, str]]:
    text = files("ctatlas.benchmark").joinpath("data", f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), strict=True))


def _figure(row: dict[str, str]) -> Figure:
    structure, metric = row["structure"], row["metric"]
    if (structure != AVERAGE and structure_called(structure) is None) or metric not in metrics() or not row["source"]:
        raise TableError(f"benchmark/data: {row['model']}, {structure}, {metric}: unknown, or without a source")
    return Figure(
        row["model"], structure, metric, float(row["mean"]), float(row["sd"]) if row["sd"] else None, row["note"]
    )
