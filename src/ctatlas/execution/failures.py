"""The table of what failed: `failures.csv`, one row a case; jobs that share the work have one each."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.atomic import whole_file
from ctatlas.execution.result import said_in_a_line

if TYPE_CHECKING:
    from ctatlas.execution.perform import Outcome

FAILURES = "failures.csv"
_COLUMNS = ("case", "stage", "reason")
_OF_A_JOB = re.compile(r"failures-\d+-of-\d+\.csv")


def write_failures(folder: Path, outcomes: Iterable[Outcome], name: str = FAILURES) -> None:
    """Write the cases that failed, with stage and reason; where none did, remove the table of an earlier run.

    That of one of several jobs is written even then: it tells `gather_failures` that the job ran.

    Raises
    ------
    OutputError
        When the folder can't be written to.
    """
    rows = [(outcome.case, outcome.stage, outcome.reason) for outcome in outcomes if outcome.state == "failed"]
    path = folder / name
    if rows or _OF_A_JOB.fullmatch(name):
        _write(path, rows)
    else:
        _remove(path)


def failures_of_job(number: int, total: int) -> str:
    """Return what the table of one of several jobs is called."""
    return f"failures-{number}-of-{total}.csv"


def gather_failures(folder: Path) -> int:
    """Make one `failures.csv` of the tables of jobs, and remove these; return how many rows they had.

    Where nothing failed in any job, the table of what had failed before goes; where no job ran, nothing is altered.

    Raises
    ------
    OutputError
        When the folder can't be written to.
    """
    tables = [path for path in sorted(folder.glob("failures-*.csv")) if _OF_A_JOB.fullmatch(path.name)]
    tables = [path for path in tables if _is_ours(path)]
    rows = sorted({row for path in tables for row in _rows(path)})
    if rows:
        _write(folder / FAILURES, rows)
    elif tables:
        _remove(folder / FAILURES)
    for path in tables:
        _remove(path)
    return len(rows)


def _rows(path: Path) -> list[tuple[str, ...]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [tuple(row) for row in csv.reader(file)][1:]


def _remove(path: Path) -> None:
    if _is_ours(path):
        with said_in_a_line(path):
            path.unlink()


def _write(path: Path, rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerows([_COLUMNS, *rows])
    with said_in_a_line(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(text.getvalue().encode())


def _is_ours(path: Path) -> bool:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8").startswith(",".join(_COLUMNS) + "\n")
    return False
