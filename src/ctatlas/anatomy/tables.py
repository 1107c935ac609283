"""Rows of the CSV files in `data/`."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from ctatlas.errors import ModelError

DATA = Path(__file__).parent / "data"


def rows(name: str) -> list[dict[str, str]]:
    """Read one table, a dict of text a row; `name` is its path below `data/`."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def words(cell: str) -> tuple[str, ...]:
    """Split a cell that holds several names, separated by semicolons."""
    return tuple(word for word in cell.split(";") if word)


def refuse_faults(name: str, faults: Iterable[str]) -> None:
    """Raise one error that names every fault of a table, if it has any.

    Raises
    ------
    ModelError
        When there is a fault.
    """
    if found := list(faults):
        raise ModelError(f"anatomy/data/{name}: {'; '.join(found)}")
