"""Do the tasks of a command, and say what would be done, is being done, and was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import cast

from ctatlas.commands.console import say_json, say_table, showing_progress, tell
from ctatlas.execution import (
    FAILURES,
    Outcome,
    Patience,
    Performer,
    Task,
    done_before,
    perform,
    perform_all,
    perform_one,
    write_failures,
)
from ctatlas.results import NOTICE, expected_bytes

SOME_FAILED = 3
Details = Callable[[Outcome], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Manner:
    """How to work and to talk; nothing of it changes a result."""

    workers: int = 1
    patience: Patience = field(default_factory=Patience)
    as_json: bool = False
    quiet: bool = False
    debug: bool = False


@dataclass(frozen=True, slots=True)
class Foretold:
    """What a look at a case's headers tells before any work."""

    lines: tuple[str, ...] = ()
    is_refused: bool = False


def run_tasks(
    tasks: Sequence[Task],
    out: Path,
    manner: Manner,
    say_done: Callable[[Sequence[Outcome]], None],
    *,
    do: Performer = perform,
    failures: str = FAILURES,
    details: Details | None = None,
) -> int:
    """Do what is not yet done, say what came of it, and return the exit code.

    Parameters
    ----------
    tasks : sequence of Task
        A single one that fails raises; of several, and of a job's share, each failure is a row of a table.
    out : Path
        Where the table of failures goes.
    manner : Manner
    say_done : callable
        Says what is there now, in a way that fits the command.
    do : callable, optional
        How one task is done.
    failures : str, optional
        What the table of failures is called.
    details : callable, optional
        What JSON tells of a case that was done beside its summary.
    """
    if len(tasks) == 1 and failures == FAILURES:
        with showing_progress(quiet=manner.quiet) as progress:
            outcomes = [perform_one(tasks[0], progress=progress, do=do, patience=manner.patience)]
    else:
        outcomes = _many(tasks, out / failures, manner, do)
    n_failed = sum(outcome.state == "failed" for outcome in outcomes)
    if manner.as_json:
        makes = {task.case: task.makes for task in tasks}
        say_json({"notice": NOTICE, "cases": [_as_json(each, makes[each.case], details) for each in outcomes]})
    elif not manner.quiet:
        say_done(outcomes)
    if n_failed:
        tell(f"{n_failed} of {len(outcomes)} failed: {out / failures}")
    return SOME_FAILED if n_failed else 0


def say_plan(
    tasks: Sequence[Task], foretold: Mapping[str, Foretold] = MappingProxyType({}), *, as_json: bool = False
) -> None:
    """Say what tasks would do: how many files and bytes they read and write; write nothing.

    Parameters
    ----------
    tasks : sequence of Task
    foretold : mapping, optional
        What is known of cases already.
    as_json : bool, optional
    """
    rows = [_planned(task, foretold.get(task.case, Foretold())) for task in tasks]
    if as_json:
        say_json({"cases": rows})
        return
    for case, known in foretold.items():
        for line in known.lines:
            is_named = len(tasks) == 1 or line.startswith(f"{case}: ")
            tell(line if is_named else f"{case}: {line}")
    columns = ["case", "would", "reads files", "reads MB", "writes files", "about MB", "to"]
    say_table(columns, [_cells(row) for row in rows])


def state_of(outcome: Outcome) -> str:
    """Return an outcome's state in words for a table."""
    return "there already" if outcome.state == "there" else outcome.state


def _many(tasks: Sequence[Task], failures: Path, manner: Manner, do: Performer) -> list[Outcome]:
    outcomes: list[Outcome] = []
    try:
        with showing_progress(quiet=manner.quiet) as progress:
            doing = perform_all(tasks, workers=manner.workers, progress=progress, do=do, patience=manner.patience)
            for outcome in doing:
                outcomes.append(outcome)
                if outcome.state == "failed":
                    tell(f"{outcome.case}: {outcome.stage}: {outcome.reason}")
                    if manner.debug and outcome.trace:
                        tell(outcome.trace)
    finally:  # also when interrupted
        write_failures(failures.parent, outcomes, failures.name)
    order = {task.case: number for number, task in enumerate(tasks)}
    return sorted(outcomes, key=lambda outcome: order[outcome.case])


def _as_json(outcome: Outcome, makes: Sequence[str], details: Details | None) -> dict[str, object]:
    said: dict[str, object] = {"case": outcome.case, "state": outcome.state, "folder": str(outcome.folder)}
    if outcome.state == "failed":
        return said | {"stage": outcome.stage, "reason": outcome.reason}
    return said | {"files": list(makes)} | dict(outcome.summary) | dict(details(outcome) if details else {})


def _planned(task: Task, known: Foretold) -> dict[str, object]:
    would = "refuse" if known.is_refused else "skip" if done_before(task) is not None else task.step
    is_work = would == task.step
    return {
        "case": task.case,
        "would": would,
        "reads_files": len(task.inputs),
        "reads_bytes": task.input_bytes,
        "writes_files": len(task.makes) + 1 if is_work else 0,  # and run.json
        "writes_bytes_about": (task.bytes_about or expected_bytes(task.makes, task.input_bytes)) if is_work else 0,
        "folder": str(task.folder),
        "says": list(known.lines),
    }


def _cells(row: Mapping[str, object]) -> list[str]:
    read, written = (f"{cast('int', row[key]) / 1e6:.1f}" for key in ("reads_bytes", "writes_bytes_about"))
    counts = str(row["reads_files"]), read, str(row["writes_files"]), written
    return [str(row["case"]), str(row["would"]), *counts, str(row["folder"])]
