"""The table of what failed: `failures.csv`, one row a case."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.atomic import whole_file
from ctatlas.execution.result import said_in_a_line

if TYPE_CHECKING:
    from ctatlas.execution.perform import Outcome

FAILURES = "failures.csv"
_COLUMNS = ("case", "stage", "reason")


def write_failures(folder: Path, outcomes: Iterable[Outcome], name: str = FAILURES) -> None:
    """Write the cases that failed, with stage and reason; where none did, remove the table of an earlier run.

    Raises
    ------
    OutputError
        When the folder can't be written to.
    """
    rows = [(outcome.case, outcome.stage, outcome.reason) for outcome in outcomes if outcome.state == "failed"]
    path = folder / name
    if not rows:
        if _is_ours(path):
            with said_in_a_line(path):
                path.unlink()
        return
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerows([_COLUMNS, *rows])
    with said_in_a_line(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(text.getvalue().encode())


def _is_ours(path: Path) -> bool:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8").startswith(",".join(_COLUMNS) + "\n")
    return False
