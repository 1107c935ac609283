"""Where tasks are done: in this process, or in several on this machine. A cluster is one more class of this kind."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Protocol

from ctatlas.execution.perform import Listener, Outcome, Performer, attempt
from ctatlas.progress import SILENT, Progress

if TYPE_CHECKING:
    from ctatlas.execution.task import Task


class Executor(Protocol):
    """Do tasks, and give their outcomes as they come, in any order; one failure does not stop the rest.

    What tasks write does not depend on the executor. A task and what does it can be pickled.
    """

    def outcomes(
        self, tasks: Sequence[Task], *, do: Performer, timeout_s: float | None, progress: Progress
    ) -> Iterator[Outcome]:
        """Do every task once.

        Raises
        ------
        OutputError
            When the disk is full or read-only: no other case could be written either.
        """


class ThisProcess:
    """One task after the other; progress hears the stages of each case."""

    def outcomes(
        self, tasks: Sequence[Task], *, do: Performer, timeout_s: float | None, progress: Progress
    ) -> Iterator[Outcome]:
        """Do every task once."""
        for number, task in enumerate(tasks, start=1):
            prefix = f"{task.case} ({number} of {len(tasks)}): " if len(tasks) > 1 else ""
            yield attempt(task, Listener(progress, prefix), do, timeout_s)


class LocalPool:
    """Several processes, each with its share of the cores; what a worker loads, it keeps. Progress hears the cases."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def outcomes(
        self, tasks: Sequence[Task], *, do: Performer, timeout_s: float | None, progress: Progress
    ) -> Iterator[Outcome]:
        """Do every task once."""
        workers = min(self.workers, len(tasks))
        progress.stage("cases", len(tasks))
        threads = max(1, (os.cpu_count() or 1) // workers)
        spawn = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_begin_worker, initargs=(threads,))
        pending = {pool.submit(_attempt_in_worker, task, do, timeout_s): task for task in tasks}
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


def _attempt_in_worker(task: Task, do: Performer, timeout_s: float | None) -> Outcome:
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        return attempt(task, Listener(SILENT), do, timeout_s)
    except KeyboardInterrupt:
        os._exit(130)  # what was half-written is gone; a pool's worker would take the next task instead
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the pool sends a second one when it misses the first worker
    raise KeyboardInterrupt
