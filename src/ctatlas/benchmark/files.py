"""The tables of a benchmark as CSV: full precision, an empty cell where a number is undefined."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

from ctatlas.benchmark.analysis import Analysis, left_out
from ctatlas.benchmark.flags import Flag
from ctatlas.benchmark.pairwise import Comparison, Effect
from ctatlas.benchmark.ranks import RankRow
from ctatlas.benchmark.subgroups import SubgroupRow
from ctatlas.benchmark.summary import SummaryRow
from ctatlas.volume import whole_file

FAILURES = "failures.csv"


def write_tables(analysis: Analysis, folder: Path) -> list[str]:
    """Write every table into an existing folder, and return their names.

    Raises
    ------
    OutputError
        When the folder can't be written to.
    """
    tables: dict[str, tuple[type, Iterable[object]]] = {
        "summary.csv": (SummaryRow, analysis.summary),
        "pairwise.csv": (Comparison, analysis.comparisons),
        "effects.csv": (Effect, analysis.effects),
        "ranks.csv": (RankRow, (row for ranking in analysis.rankings for row in ranking.rows())),
        "subgroups.csv": (SubgroupRow, analysis.subgroups),
        "warnings.csv": (Flag, analysis.flags),
    }
    for name, (kind, rows) in tables.items():
        columns = [field.name for field in fields(kind)] if is_dataclass(kind) else []
        write_csv(folder / name, columns, ([getattr(row, column) for column in columns] for row in rows))
    failed = left_out(analysis.flags)
    if failed:
        write_csv(folder / FAILURES, ["case", "stage", "reason"], failed)
    elif (folder / FAILURES).is_file():
        (folder / FAILURES).unlink()
    return [*tables, *([FAILURES] if failed else [])]


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write one table, whole or not at all."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows([_cell(value) for value in row] for row in rows)
    with whole_file(path) as file:
        file.write(text.getvalue().encode())


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "" if value != value else repr(value)  # noqa: PLR0124 - nan
    return "" if value is None else value
