"""Results with a row a case and a column a structure, as Touchstone keeps them: `name,aorta,…`, a file a metric."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ctatlas.anatomy import structure_called
from ctatlas.benchmark.flags import Flag, error, note
from ctatlas.benchmark.reading.measured import STATUSES, Measured, refuse_impossible
from ctatlas.benchmark.reading.text import TextTable, number, read_text_table
from ctatlas.benchmark.scores import Floats
from ctatlas.errors import TableError

_ID_COLUMNS = ("name", "case", "case_id", "image_id", "id", "bdmap_id", "")
# Columns that people add for themselves; none is a structure.
_NO_STRUCTURES = {"", "average", "avg", "mean", "median", "sd", "std", "total", "index", "unnamed: 0", "fold", "split"}
_UNSAID, _MISSED = STATUSES.index(""), STATUSES.index("pred_absent")


def read_wide(path: Path, model: str, metric: str, *, is_fraction: bool) -> tuple[Measured, list[Flag]]:
    """Read one file of one model.

    Returns
    -------
    Measured, list of Flag
        Blank and NaN are "no value". What is no number, a case given twice with different values and a column given
        twice with different values are left out, and flagged.

    Raises
    ------
    TableError
        When nothing of the file can be used.
    """
    table = read_text_table(path)
    where = (model, metric)
    id_column = _id_column(table)
    columns, flags = _columns(table, id_column, where)
    if not columns:
        raise TableError(f"{path}: no column of a structure; expected 'name' and a column a structure")
    values, faults = _numbers(table, columns, id_column, where)
    cases, values, twice = _one_row_a_case([row[id_column] for row in table.rows], values, where)
    names = [table.header[column] for column in columns]
    values, impossible = refuse_impossible(values, where, cases, names, is_fraction=is_fraction)
    status = np.full(values.shape, _UNSAID, np.uint8)
    if is_fraction:
        status[values == 0] = _MISSED
    if not cases:
        raise TableError(f"{path}: no row of a case; expected one a case")
    long_lines = [
        error("row_too_long", f"line {line} has more cells than the header; the rest of it is left out",
              model=model, metric=metric)
        for line in table.too_long
    ]  # fmt: skip
    measured = Measured(model, metric, tuple(cases), tuple(names), values, status, free_names=True)
    return measured, [*flags, *faults, *twice, *impossible, *long_lines]


def _id_column(table: TextTable) -> int:
    lowered = [name.lower() for name in table.header]
    for wanted in _ID_COLUMNS:
        if wanted in lowered:
            return lowered.index(wanted)
    if structure_called(table.header[0]) is None:
        return 0
    raise TableError(f"{table.path}: no column 'name'; expected one with the case ids")


def _columns(table: TextTable, id_column: int, where: tuple[str, str]) -> tuple[list[int], list[Flag]]:
    """Choose the columns of structures: numbers, each once."""
    model, metric = where
    chosen: dict[str, int] = {}
    dropped: set[str] = set()
    flags: list[Flag] = []
    for column, name in enumerate(table.header):
        cells = [row[column] for row in table.rows]
        if column == id_column:
            continue
        if name.lower() in _NO_STRUCTURES or (cells and all(number(cell) is None for cell in cells)):
            text = f"column {name!r} is no structure; it is left out"
            flags.append(note("unknown_column", text, model=model, metric=metric))
        elif (known := structure_called(name) or name) not in chosen:
            chosen[known] = column
        elif [row[chosen[known]] for row in table.rows] == cells:
            text = f"column {name!r} stands there twice with the same values; one is taken"
            flags.append(note("duplicate_column", text, model=model, metric=metric, structure=name))
        else:
            dropped.add(known)
            text = f"columns {table.header[chosen[known]]!r} and {name!r} are one structure and differ; both left out"
            flags.append(error("duplicate_column", text, model=model, metric=metric, structure=name))
    return [column for known, column in chosen.items() if known not in dropped], flags


def _numbers(
    table: TextTable, columns: Sequence[int], id_column: int, where: tuple[str, str]
) -> tuple[Floats, list[Flag]]:
    model, metric = where
    flags: list[Flag] = []
    values = np.full((len(table.rows), len(columns)), np.nan)
    for i, row in enumerate(table.rows):
        for j, column in enumerate(columns):
            value = number(row[column])
            if value is None:
                text = f"{row[column][:40]!r}; expected a number, or nothing where there is none; the value is left out"
                place = {"model": model, "metric": metric, "structure": table.header[column], "case": row[id_column]}
                flags.append(error("text_in_number", text, **place))
            else:
                values[i, j] = value
    return values, flags


def _one_row_a_case(
    names: Sequence[str], values: Floats, where: tuple[str, str]
) -> tuple[list[str], Floats, list[Flag]]:
    model, metric = where
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows_of.setdefault(name, []).append(row)
    nameless = error("no_case_id", "a row without a case id; it is left out", model=model, metric=metric)
    flags = [nameless for _ in rows_of.pop("", ())]
    keep: list[tuple[str, int]] = []
    for name, rows in rows_of.items():
        if _all_alike(values[row] for row in rows):
            keep.append((name, rows[0]))
            if len(rows) > 1:
                text = f"{len(rows)} rows with the same values; one is taken"
                flags.append(note("duplicate_case", text, model=model, metric=metric, case=name))
        else:
            text = f"{len(rows)} rows with different values, and nothing says which is right; the case is left out"
            flags.append(error("duplicate_case", text, model=model, metric=metric, case=name))
    return [name for name, _ in keep], values[[row for _, row in keep]], flags


def _all_alike(rows: Iterable[Floats]) -> bool:
    first, *others = rows
    return all(np.array_equal(first, other, equal_nan=True) for other in others)
