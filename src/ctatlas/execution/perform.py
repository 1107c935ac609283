"""Do one task, and say what became of it."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ctatlas.errors import CtatlasError, OutputError
from ctatlas.execution.result import result_folder, sweep, whole_record
from ctatlas.execution.time_limit import TimeIsUp, time_limit
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
        sweep(task.folder)
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


def too_long(timeout_s: float | None) -> str:
    """Say that time is up."""
    return f"took longer than {timeout_s or 0:g} s; a longer --timeout or a smaller scan may do"


class Listener:
    """Pass progress on under the case's name, and remember the stage for the table of failures."""

    def __init__(self, progress: Progress, prefix: str = "") -> None:
        self.progress, self.prefix, self.name = progress, prefix, "start"

    def stage(self, name: str, total: int) -> None:
        """Hear that a new stage begins."""
        self.name = name
        self.progress.stage(self.prefix + name, total)

    def advance(self, steps: int = 1) -> None:
        """Hear that so many steps of the stage are done."""
        self.progress.advance(steps)


def attempt(task: Task, listener: Listener, do: Performer, timeout_s: float | None = None) -> Outcome:
    """Do one task of many: whatever it raises becomes an outcome.

    Raises
    ------
    OutputError
        When the disk is full or read-only: no other case could be written either.
    """
    try:
        with time_limit(timeout_s):
            return do(task, listener)
    except TimeIsUp:
        return Outcome(task.case, task.folder, "failed", stage=listener.name, reason=too_long(timeout_s))
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
