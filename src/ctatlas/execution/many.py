"""Do many tasks, and those that fail again where that was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctatlas.errors import CtatlasError
from ctatlas.execution.executors import Executor, LocalPool, ThisProcess
from ctatlas.execution.perform import Outcome, Performer, perform, too_long
from ctatlas.execution.time_limit import TimeIsUp, time_limit
from ctatlas.progress import SILENT, Progress

if TYPE_CHECKING:
    from ctatlas.execution.task import Task


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a task may take, and how often one that failed is tried again."""

    timeout_s: float | None = None
    retries: int = 0


def perform_one(task: Task, *, progress: Progress = SILENT, do: Performer = perform, patience: Patience) -> Outcome:
    """Do the only task there is.

    Raises
    ------
    CtatlasError
        What the work raises in the last try, or that it took too long.
    """
    for tries_left in range(patience.retries, -1, -1):
        try:
            with time_limit(patience.timeout_s):
                return do(task, progress)
        except TimeIsUp:
            fault: CtatlasError = CtatlasError(f"{task.case}: {too_long(patience.timeout_s)}")
        except CtatlasError as error:
            fault = error
        if not tries_left:
            raise fault
    raise AssertionError("retries are counted from 0")


def perform_all(
    tasks: Sequence[Task],
    *,
    workers: int = 1,
    progress: Progress = SILENT,
    do: Performer = perform,
    patience: Patience = Patience(),
    executor: Executor | None = None,
) -> Iterator[Outcome]:
    """Do every task, and give the outcomes as they come.

    Parameters
    ----------
    tasks : sequence of Task
        With more than one worker their order of completion is open; what is written is not.
    workers : int
        Processes; 1 means this one.
    progress : Progress
        With one worker it hears the stages of each case, with several the number of cases.
    do : callable, optional
        How one task is done: `perform` or `perform_in_place`.
    patience : Patience, optional
    executor : Executor, optional
        Where to do them, instead of in so many workers.

    Raises
    ------
    OutputError
        When the disk is full or read-only: no other case could be written either.
    """
    where = executor or (LocalPool(workers) if workers > 1 and len(tasks) > 1 else ThisProcess())
    left = list(tasks)
    for tries_left in range(patience.retries, -1, -1):
        tasks_by_name = {(task.folder, task.case): task for task in left}  # several may share a folder, or a case
        left = []
        doing = where.outcomes(list(tasks_by_name.values()), do=do, timeout_s=patience.timeout_s, progress=progress)
        for outcome in doing:
            if outcome.state == "failed" and tries_left:
                left.append(tasks_by_name[outcome.folder, outcome.case])
            else:
                yield outcome
        if not left:
            return
