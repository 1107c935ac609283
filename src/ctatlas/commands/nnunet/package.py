"""What `nnunet plan` and `nnunet train` share: raw data of a source, and nnU-Net's programs heard while they work."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ctatlas.commands.cases import Manner, run_tasks, state_of
from ctatlas.commands.console import say_table, tell
from ctatlas.execution import Outcome, Task, done_among, perform_among
from ctatlas.models.nnunet.tree import dataset_folder
from ctatlas.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from ctatlas.training.nnunet import Folders

_AT_MOST_PROCESSES = 8
_AT_MOST_ROWS = 50


@dataclass(frozen=True, slots=True)
class Options:
    """What was said about the data set to make."""

    number: int
    name: str | None
    structures: tuple[str, ...]
    label_set: str | None
    layout: str | None


def make_raw_data(source: Path, where: Folders, options: Options, manner: Manner) -> int:
    """Write an atlas or a folder as raw data and return the exit code: 3 when cases failed, which are left out.

    Raises
    ------
    AtlasError, ScanError, ModelError, OutputError
    """
    from ctatlas.atlas.raw import complete, pairs_of, raw_data, raw_tasks
    from ctatlas.commands.scans import refuse_output_within_input
    from ctatlas.execution import room_for
    from ctatlas.execution.result import said_in_a_line

    refuse_output_within_input(source, where.raw)
    gathered = pairs_of(source, label_set_name=options.label_set, layout=options.layout)
    wanted = [name for text in options.structures for name in text.split(",") if name.strip()]
    data = raw_data(where.raw, options.number, gathered, name=options.name, wanted=wanted)
    for remark in data.remarks:
        tell(remark)
    tasks = raw_tasks(data)
    with said_in_a_line(data.folder):
        data.folder.mkdir(exist_ok=True)
    room_for([task for task in tasks if done_among(task) is None], where.raw).refuse_too_little(where.raw)
    outcomes: list[Outcome] = []

    def remember(found: Sequence[Outcome]) -> None:
        outcomes.extend(found)
        if not manner.quiet:
            _say(found)

    # Not quiet, so that outcomes are told to `remember`.
    code = run_tasks(tasks, data.folder, replace(manner, quiet=False), remember, do=_keep)
    complete(data, outcomes)
    return code


def _keep(task: Task, progress: Progress) -> Outcome:
    return done_among(task) or perform_among(task, progress)


def raw_folder(where: Folders, number: int) -> Path:
    """Return the raw data of a data set; raises `ModelError` when there are none."""
    return dataset_folder(where.raw, str(number))


def plan_words(number: int, planner: str, configurations: Sequence[str], processes: Sequence[int] = ()) -> list[str]:
    """Return the call of nnU-Net's planner."""
    from ctatlas.training.nnunet import PLAN

    words = [PLAN, "-d", str(number), "-pl", planner, *(["-c", *configurations] if configurations else [])]
    return [*words, "-np", *map(str, processes or [processes_of()])]


def processes_of() -> int:
    """Return how many processes nnU-Net gets: what its variable says, else the cores, at most eight."""
    told = os.environ.get("nnUNet_def_n_proc", "")  # noqa: SIM112 - nnU-Net spells it so
    return int(told) if told.isdecimal() and int(told) else min(_AT_MOST_PROCESSES, os.cpu_count() or 1)


@contextmanager
def listening(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Pass on to the terminal what a program says, beside the results."""

    def hear(line: str) -> None:
        if not quiet:
            text = line if line.isprintable() else "".join(letter if letter.isprintable() else " " for letter in line)
            print(text, file=sys.stderr)

    yield hear


def _say(outcomes: Sequence[Outcome]) -> None:
    rows = [[outcome.case, state_of(outcome)] for outcome in outcomes]
    say_table(["case", "state"], rows[:_AT_MOST_ROWS])
    if len(rows) > _AT_MOST_ROWS:
        tell(f"and {len(rows) - _AT_MOST_ROWS} more cases")
