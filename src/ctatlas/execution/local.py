"""Do many tasks on this machine, one after another or in several processes; one failure does not stop the rest."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ctatlas.errors import CtatlasError, OutputError
from ctatlas.execution.result import result_folder, whole_record
from ctatlas.progress import SILENT, Progress

if TYPE_CHECKING:
    from ctatlas.execution.task import Task

_NO_PLACE_LEFT = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one task.

    Attributes
    ----------
    state : str
        "done" now, "there" before and whole, or "failed".
    summary : mapping
        What the work returned, now or then.
    stage, reason : str
        Where and why it failed.
    trace : str
        The traceback of a bug; empty for what a user can mend.
    """

    case: str
    folder: Path
    state: Literal["done", "there", "failed"]
    summary: Mapping[str, object] = field(default_factory=dict)
    stage: str = ""
    reason: str = ""
    trace: str = ""


Performer = Callable[["Task", Progress], Outcome]


def done_before(task: Task) -> Outcome | None:
    """Return what an earlier run made, if it is whole and what the task would give now."""
    record = whole_record(task.folder)
    if record is None or not task.is_answered_by(record):
        return None
    summary = record.get("summary")
    return Outcome(task.case, task.folder, "there", summary if isinstance(summary, dict) else {})


def perform(task: Task, progress: Progress = SILENT) -> Outcome:
    """Do one task unless its result is there and whole.

    Raises
    ------
    CtatlasError
        What the work raises; nothing is left behind then.
    """
    if before := done_before(task):
        return before
    record = task.record()
    with result_folder(task.folder, record, task.makes) as folder:
        summary = task.work(folder, progress)
        record["summary"] = summary
    return Outcome(task.case, task.folder, "done", summary)


def perform_in_place(task: Task, progress: Progress = SILENT) -> Outcome:
    """Do one task in its folder as that stands, without a record: for work whose files are each whole by themselves.

    Raises
    ------
    CtatlasError
        What the work raises.
    """
    return Outcome(task.case, task.folder, "done", task.work(task.folder, progress))


def perform_all(
    tasks: Sequence[Task], *, workers: int = 1, progress: Progress = SILENT, do: Performer = perform
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

    Raises
    ------
    OutputError
        When the disk is full or read-only: no other case could be written either.
    """
    if workers > 1 and len(tasks) > 1:
        yield from _in_processes(tasks, min(workers, len(tasks)), progress, do)
        return
    for number, task in enumerate(tasks, start=1):
        prefix = f"{task.case} ({number} of {len(tasks)}): " if len(tasks) > 1 else ""
        yield _attempt(task, _Listener(progress, prefix), do)


class _Listener:
    """Pass progress on under the case's name, and remember the stage for the table of failures."""

    def __init__(self, progress: Progress, prefix: str = "") -> None:
        self.progress, self.prefix, self.name = progress, prefix, "start"

    def stage(self, name: str, total: int) -> None:
        self.name = name
        self.progress.stage(self.prefix + name, total)

    def advance(self, steps: int = 1) -> None:
        self.progress.advance(steps)


def _attempt(task: Task, listener: _Listener, do: Performer) -> Outcome:
    try:
        return do(task, listener)
    except CtatlasError as error:
        if isinstance(error, OutputError) and getattr(error.__cause__, "errno", None) in _NO_PLACE_LEFT:
            raise
        return Outcome(task.case, task.folder, "failed", stage=listener.name, reason=str(error))
    except MemoryError:
        reason = "not enough memory for this scan"
        return Outcome(task.case, task.folder, "failed", stage=listener.name, reason=reason)
    except Exception as error:  # noqa: BLE001 - a worker reports one case of many
        reason = f"a bug: {type(error).__name__}: {error}".replace("\n", " ")
        trace = traceback.format_exc()
        return Outcome(task.case, task.folder, "failed", stage=listener.name, reason=reason, trace=trace)


def _in_processes(tasks: Sequence[Task], workers: int, progress: Progress, do: Performer) -> Iterator[Outcome]:
    progress.stage("cases", len(tasks))
    threads = max(1, (os.cpu_count() or 1) // workers)
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_begin_worker, initargs=(threads,))
    pending = {pool.submit(_attempt_in_worker, task, do): task for task in tasks}
    try:
        for future in as_completed(pending):
            progress.advance()
            yield _outcome(future, pending[future])
        pool.shutdown()
    except BaseException:  # interrupted, or the disk is full: the workers tidy up and go
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
        for child in multiprocessing.active_children():
            child.join(timeout=10)
        raise


def _outcome(future: Future[Outcome], task: Task) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        reason = "a worker process died, probably for lack of memory; run again with fewer workers"
        return Outcome(task.case, task.folder, "failed", stage="start", reason=reason)


def _begin_worker(threads: int) -> None:
    """Leave Ctrl-C to the parent, who ends its workers by SIGTERM, and share the cores."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("CTATLAS_THREADS", str(threads))


def _attempt_in_worker(task: Task, do: Performer) -> Outcome:
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        return _attempt(task, _Listener(SILENT), do)
    except KeyboardInterrupt:
        os._exit(130)  # what was half-written is gone; a pool's worker would take the next task instead
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the pool sends a second one when it misses the first worker
    raise KeyboardInterrupt
