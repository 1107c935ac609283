"""Where tasks are done: in this process, or in several on this machine. A cluster is one more class of this kind."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from functools import partial
from typing import TYPE_CHECKING, Protocol

from ctatlas.execution.perform import Listener, Outcome, Performer, attempt
from ctatlas.progress import SILENT, Progress

if TYPE_CHECKING:
    from ctatlas.execution.task import Task


_WHEN_THE_PARENT_DIES = 1  # PR_SET_PDEATHSIG. Source: Linux, prctl.h
_LOOK_S = 1.0  # how often the parent looks for workers that hang
_SLACK, _START_S = 1.5, 30.0  # what a task may take beyond its time-out; what a worker may take to start


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
    """Several processes, each with its share of the cores; what a worker loads, it keeps. Progress hears the cases.

    When a worker dies, or hangs where no time-out can reach it, the tasks that were in work are done again alone, so
    that the one to blame costs no other its result.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def outcomes(
        self, tasks: Sequence[Task], *, do: Performer, timeout_s: float | None, progress: Progress
    ) -> Iterator[Outcome]:
        """Do every task once."""
        progress.stage("cases", len(tasks))
        workers = min(self.workers, len(tasks))
        waiting: deque[Task] = deque(tasks)
        suspects: list[Task] = []
        attempting = partial(_attempt_in_worker, do=do, timeout_s=timeout_s)
        while waiting:
            pool = _Pool(workers, attempting, timeout_s)
            for outcome in pool.outcomes(waiting):
                progress.advance()
                yield outcome
            suspects += pool.suspects
        for task in suspects:
            alone = _Pool(1, attempting, timeout_s)
            yield from alone.outcomes(deque([task]))
            if alone.suspects:
                yield Outcome(task.case, task.folder, "failed", stage="start", reason=alone.fault)
            progress.advance()


class _Pool:
    """Worker processes until one of them dies; each is given the next task when it has done one.

    Attributes
    ----------
    suspects : list of Task
        In work when a worker died.
    """

    def __init__(self, workers: int, attempting: Callable[[Task], Outcome], timeout_s: float | None) -> None:
        import multiprocessing  # here and below: who works alone has no need of it
        from concurrent.futures import ProcessPoolExecutor

        threads = max(1, (os.cpu_count() or 1) // workers)
        spawn = multiprocessing.get_context("spawn")
        is_tied = threading.current_thread() is threading.main_thread()  # the system tells the end of that thread
        begin = partial(_begin_worker, threads, is_tied=is_tied)
        self.pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=begin)
        self.workers, self.attempting = workers, attempting
        self.patience_s = None if timeout_s is None else _SLACK * timeout_s + _START_S
        self.suspects: list[Task] = []
        self.fault = "a worker process died, probably for lack of memory; run again with fewer workers"

    def outcomes(self, waiting: deque[Task]) -> Iterator[Outcome]:
        """Do tasks from the front; those in work when a worker dies become suspects."""
        from multiprocessing import active_children

        in_work: dict[Future[Outcome], tuple[Task, float]] = {}
        try:
            while in_work or (waiting and not self.suspects):
                self._hand_out(waiting, in_work)
                done, _ = wait(in_work, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
                for future in done:
                    task, _ = in_work.pop(future)
                    try:
                        yield future.result()
                    except BrokenExecutor:
                        self.suspects.append(task)
                self._end_what_hangs(in_work)
            self.pool.shutdown()
        except BaseException:  # interrupted, or the disk is full: the workers tidy up and go
            self.pool.shutdown(wait=False, cancel_futures=True)
            for child in active_children():
                child.terminate()
            for child in active_children():
                child.join(timeout=10)
            raise

    def _hand_out(self, waiting: deque[Task], in_work: dict[Future[Outcome], tuple[Task, float]]) -> None:
        while waiting and not self.suspects and len(in_work) < self.workers:
            task = waiting.popleft()
            try:
                in_work[self.pool.submit(self.attempting, task)] = task, time.monotonic()
            except BrokenExecutor:
                self.suspects.append(task)

    def _end_what_hangs(self, in_work: Mapping[Future[Outcome], tuple[Task, float]]) -> None:
        """Kill the workers when one heeds no time-out: compiled code that never returns."""
        from multiprocessing import active_children

        began = min((began for _, began in in_work.values()), default=math.inf)
        if self.patience_s is not None and time.monotonic() - began > self.patience_s:
            self.fault = f"hung in compiled code, and was ended after {self.patience_s:.0f} s"
            for child in active_children():
                child.kill()


def _begin_worker(threads: int, *, is_tied: bool) -> None:
    """Leave Ctrl-C to the parent, who ends its workers by SIGTERM, and share the cores."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("CTATLAS_THREADS", str(threads))
    if is_tied and sys.platform == "linux":
        _be_killed_with_the_parent()
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _be_killed_with_the_parent() -> None:
    """Let the system end this worker with its parent: compiled code may let no thread of it run for long.

    Until then it would hold the folder of its case against whoever starts the program again.
    """
    import ctypes

    ctypes.CDLL(None).prctl(_WHEN_THE_PARENT_DIES, signal.SIGKILL)


def _end_with_the_parent() -> None:
    """Leave when the parent was killed: nobody would ever tell the worker to."""
    from multiprocessing import parent_process

    if parent := parent_process():
        parent.join()
        os._exit(130)


def _attempt_in_worker(task: Task, *, do: Performer, timeout_s: float | None) -> Outcome:
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
