"""A result of a few files in a folder that holds those of other tasks, too, as nnU-Net lays out predictions.

Each task's record stands in `runs/<case>.json` and comes last: files without one, or of other bytes than it says, are
not its result.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.execution.perform import Outcome
from ctatlas.execution.result import alone_in, flush, said_in_a_line, uninterrupted, written
from ctatlas.hashing import sha256_file
from ctatlas.progress import SILENT, Progress

if TYPE_CHECKING:
    from ctatlas.execution.task import Task

RUNS = "runs"
_PARTIAL = ".ctatlas-partial"
_AT_MOST_BYTES = 2**26


def record_among(task: Task) -> Mapping[str, object] | None:
    """Read the record that a task's files have, if they have one, whatever they are by now."""
    path = task.folder / RUNS / f"{task.case}.json"
    try:
        if path.stat().st_size > _AT_MOST_BYTES:
            return None
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def done_among(task: Task) -> Outcome | None:
    """Return what an earlier run made, if its files are byte by byte what it left and what the task would give now."""
    record = record_among(task)
    if record is None or not task.is_answered_by(record):
        return None
    files, summary = record.get("files"), record.get("summary")
    hashes = files if isinstance(files, dict) else {}
    with suppress(OSError):
        if all(name in hashes and sha256_file(task.folder / name) == hashes[name] for name in task.makes):
            return Outcome(task.case, task.folder, "there", summary if isinstance(summary, dict) else {})
    return None


def perform_among(task: Task, progress: Progress = SILENT) -> Outcome:
    """Do one task and put its files among those of others, in place of what stands under their names.

    Raises
    ------
    CtatlasError
        What the work raises; nothing is left behind then.
    """
    record = task.record()
    with _partial(task) as partial:
        summary = task.work(partial, progress)
        files = {name: sha256_file(partial / name) for name in task.makes}
        record |= {"files": files, "summary": dict(summary)}
        with said_in_a_line(task.folder), uninterrupted():
            _move(task, partial, record)
    return Outcome(task.case, task.folder, "done", summary)


@contextmanager
def _partial(task: Task) -> Iterator[Path]:
    """Give a folder to fill that nobody else works in and that is gone afterwards."""
    partial = task.folder / f"{_PARTIAL}-{task.case}"
    with said_in_a_line(task.folder):
        partial.mkdir(parents=True, exist_ok=True)
    with alone_in(partial):
        try:
            with said_in_a_line(partial):
                for left in partial.iterdir():  # by a run that was killed
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            yield partial
        finally:
            with uninterrupted():
                shutil.rmtree(partial, ignore_errors=True)


def _move(task: Task, partial: Path, record: Mapping[str, object]) -> None:
    runs = task.folder / RUNS
    runs.mkdir(exist_ok=True)
    for name in task.makes:
        flush(partial / name)
        (task.folder / name).parent.mkdir(exist_ok=True)
        (partial / name).replace(task.folder / name)
    new = written(partial / "record", record)
    flush(new)
    new.replace(runs / f"{task.case}.json")
    flush(runs)
    flush(task.folder)
