"""Do one small thing to many items, in several processes; the results come in the order of the items."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_ITEMS_AT_ONCE = 16  # sent to a process in one go


def in_processes(doing: Callable[[Item], Result], items: Sequence[Item], *, workers: int) -> Iterator[Result]:
    """Do something to every item; with one worker, or few items, in this process.

    Parameters
    ----------
    doing : callable
        Picklable, as are items and results. What it raises is raised here, and ends the work.
    """
    if workers < 2 or len(items) <= _ITEMS_AT_ONCE:
        yield from map(doing, items)
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_leave_ctrl_c_to_the_parent)
    try:
        yield from pool.map(doing, items, chunksize=_ITEMS_AT_ONCE)
        pool.shutdown()
    except BaseException:  # interrupted, or no room left: what is being written is written whole, nothing new begun
        pool.shutdown(wait=True, cancel_futures=True)
        raise


def _leave_ctrl_c_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
