"""Cases in groups: the values of a column of metadata, ages and other numbers in bands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ctatlas.benchmark.flags import Flag, note
from ctatlas.benchmark.reading import Metadata
from ctatlas.benchmark.reading.text import MISSING, number
from ctatlas.errors import TableError

NOT_STATED = "not stated"
AT_MOST_GROUPS = 30
_AT_MOST_PLAIN_NUMBERS = 12  # with more distinct values, numbers come in bands
_NOT_SAID = MISSING - {"none"}  # "none" is an answer: no pathology
_AGE = re.compile(r"0*(\d+(?:\.\d*)?)\s*([YMWD]?)", re.IGNORECASE)  # "63", "50.00", DICOM's "063Y"
_YEARS = {"": 1.0, "Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}


@dataclass(frozen=True)
class Grouping:
    """One column as groups.

    Attributes
    ----------
    names : tuple of str
        In their natural order; cases without a value are in none of them, but counted under "not stated".
    of_case : (cases,) int
        Place of each case's group, -1 for none.
    """

    column: str
    names: tuple[str, ...]
    of_case: npt.NDArray[np.intp]


def groupings(metadata: Metadata, wanted: Sequence[str] = ()) -> tuple[list[Grouping], list[Flag]]:
    """Make groups of the columns asked for, else of every column that falls into few enough groups.

    Raises
    ------
    TableError
        When a column was asked for that is not there, or has too many values.
    """
    by_name = {name.lower(): name for name in metadata.columns}
    if unknown := [name for name in wanted if name.lower() not in by_name]:
        raise TableError(f"no column {unknown[0]!r} in the metadata; there are {', '.join(metadata.columns)}")
    names = [by_name[name.lower()] for name in wanted] or list(metadata.columns)
    found: list[Grouping] = []
    flags: list[Flag] = []
    for name in names:
        grouping = grouped(name, metadata.columns[name])
        if 2 <= len(grouping.names) <= AT_MOST_GROUPS:
            found.append(grouping)
            continue
        text = f"column {name!r} has {len(grouping.names)} values; expected 2 to {AT_MOST_GROUPS}; no sub-groups of it"
        if wanted and len(grouping.names) > AT_MOST_GROUPS:
            raise TableError(text)
        flags.append(note("no_subgroups", text))
    return found, flags


def grouped(column: str, cells: Sequence[str]) -> Grouping:
    """Put the cells of a column into groups.

    Ages go into closed decades 18–29, 30–39, …, 90+, younger ones into <18, as Touchstone has them; other numbers with
    many values into four bands of about equal size; everything else by its text, whatever the case of letters.
    """
    stated = [cell.lower() not in _NOT_SAID for cell in cells]
    if column.lower() in ("age", "patient_age", "patientage"):
        ages = [_years(cell) if is_stated else None for cell, is_stated in zip(cells, stated, strict=True)]
        return _banded(column, [None if age is None else _decade(age) for age in ages])
    numbers = [number(cell) for cell in cells]
    if all(value is not None for value in numbers):
        values = np.array(numbers, float)
        if len(np.unique(values[np.isfinite(values)])) > _AT_MOST_PLAIN_NUMBERS:
            return _quarters(column, values)
        return _banded(column, [(value, f"{value:g}") if np.isfinite(value) else None for value in values])
    spelling: dict[str, str] = {}
    for cell, is_stated in zip(cells, stated, strict=True):
        if is_stated:
            spelling.setdefault(cell.lower(), cell)
    order = {key: place for place, key in enumerate(sorted(spelling))}
    return _banded(
        column,
        [
            (order[cell.lower()], spelling[cell.lower()]) if is_stated else None
            for cell, is_stated in zip(cells, stated, strict=True)
        ],
    )


def _banded(column: str, bands: Sequence[tuple[float, str] | None]) -> Grouping:
    names = [name for _, name in sorted({band for band in bands if band})]
    place = {name: place for place, name in enumerate(names)}
    return Grouping(column, tuple(names), np.array([place[band[1]] if band else -1 for band in bands], np.intp))


def _years(cell: str) -> float | None:
    match = _AGE.fullmatch(cell)
    return float(match[1]) * _YEARS[match[2].upper()] if match else None


def _decade(age: float) -> tuple[float, str]:
    low = 0 if age < 18 else 18 if age < 30 else min(90, int(age) // 10 * 10)
    return low, {0: "<18", 18: "18–29", 90: "90+"}.get(low, f"{low}–{low + 9}")


def _quarters(column: str, values: npt.NDArray[np.float64]) -> Grouping:
    there = np.isfinite(values)
    edges = np.unique(np.quantile(values[there], (0, 0.25, 0.5, 0.75, 1)))
    band = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, max(0, len(edges) - 2))
    names = [f"{low:.4g}–{high:.4g}" for low, high in pairwise(edges)] or [f"{edges[0]:.4g}"]
    return _banded(column, [(int(b), names[b]) if ok else None for b, ok in zip(band, there, strict=True)])
