"""A folder of results that is whole or absent at any instant, whoever is interrupted when.

Work goes on in a hidden folder inside the target, so that permission and free space are those of the target. What is
done moves into place by renaming; `run.json` comes last and marks the whole. A folder whose `run.json` says otherwise
is made again.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ctatlas.errors import OutputError
from ctatlas.locks import held

RECORD = "run.json"
_PARTIAL = ".ctatlas-partial"
_CONTENT = "content"
_INTERRUPTIONS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGALRM") if hasattr(signal, name)]
_AT_MOST_BYTES = 2**26
_NO_NAMES = {"", ".", "..", RECORD, _PARTIAL}  # of a record that somebody else wrote


def whole_record(folder: Path) -> dict[str, object] | None:
    """Read a result's record if the result is whole: every file there, of the size it had.

    Returns
    -------
    dict or None
        The content of `run.json`; None when there is no result, or not all of one.
    """
    record = _record(folder)
    if record is None or record.get("whole") is not True:
        return None
    files = record.get("files")
    sizes = files if isinstance(files, dict) else {"": -1}
    with suppress(OSError, ValueError):  # a name may hold what none can
        if all((folder / name).stat().st_size == size for name, size in sizes.items()):
            return record
    return None


@contextmanager
def result_folder(folder: Path, record: Mapping[str, object], makes: Sequence[str] = ()) -> Iterator[Path]:
    """Give an empty folder to fill; what is in it becomes the result when the block ends well, and vanishes otherwise.

    Parameters
    ----------
    folder : Path
        Where the result goes. Other files in it stay as they are; those of an older result there are replaced.
    record : mapping
        What `run.json` says besides the list of files; read when the block has ended.
    makes : sequence of str
        Files that the result will hold, relative to the folder; refused now when something else stands in their place,
        rather than after the work.

    Raises
    ------
    OutputError
        When the place can't be written to, belongs to somebody else's files, or another process is at work on it.
    """
    created = [path for path in (folder, *folder.parents) if not path.exists()]
    partial = folder / _PARTIAL
    try:
        with said_in_a_line(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with alone_in(folder):
            try:
                with said_in_a_line(folder):
                    _refuse_to_replace(folder, makes)
                    shutil.rmtree(partial, ignore_errors=True)
                    (partial / _CONTENT).mkdir(parents=True)
                yield partial / _CONTENT
                with said_in_a_line(folder):
                    _move_into_place(partial, folder, record)
            finally:
                with uninterrupted():
                    shutil.rmtree(partial, ignore_errors=True)
    except BaseException:
        with uninterrupted():
            for path in created:
                with suppress(OSError):
                    path.rmdir()
        raise


def sweep(folder: Path) -> None:
    """Remove what a process left that was killed when the result was whole, and before it had tidied up."""
    partial = folder / _PARTIAL
    if partial.exists():
        with suppress(OutputError), alone_in(folder):
            shutil.rmtree(partial, ignore_errors=True)


def _record(folder: Path) -> dict[str, object] | None:
    try:
        if (folder / RECORD).stat().st_size > _AT_MOST_BYTES:
            return None
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _tops(record: Mapping[str, object] | None) -> set[str]:
    files = record.get("files") if record else None
    tops = {str(name).split("/", 1)[0] for name in files} if isinstance(files, dict) else set()
    return {name for name in tops if name not in _NO_NAMES and "\0" not in name}


def _refuse_to_replace(folder: Path, makes: Sequence[str]) -> None:
    ours = _tops(_record(folder))
    names = dict.fromkeys(name.split("/", 1)[0] for name in makes)
    strangers = [name for name in names if name not in ours and (folder / name).exists()]
    if strangers:
        raise OutputError(
            f"{folder}: {', '.join(strangers)} stands there already and is no result of ctatlas; "
            "choose another output folder, or move it away"
        )


def _move_into_place(partial: Path, folder: Path, record: Mapping[str, object]) -> None:
    content = partial / _CONTENT
    files = {path.relative_to(content).as_posix(): path for path in sorted(content.rglob("*")) if path.is_file()}
    sizes = {name: path.stat().st_size for name, path in files.items()}
    old, new = _tops(_record(folder)), {name.split("/", 1)[0] for name in files}
    # While things move, the folder is marked as not whole, and all names that may be ours are on the list.
    moving = {**record, "whole": False, "files": dict.fromkeys(sorted(old | new), 0)}
    before = written(partial / "before", moving)
    after = written(partial / "after", {**record, "whole": True, "files": sizes})
    for path in (*files.values(), before, after):
        flush(path)
    replaced = partial / "replaced"
    replaced.mkdir()
    with uninterrupted():
        before.replace(folder / RECORD)
        flush(folder)
        for name in sorted(old | new):
            if (folder / name).exists():
                (folder / name).rename(replaced / name)
            if name in new:
                (content / name).rename(folder / name)
        after.replace(folder / RECORD)
        flush(folder)


def written(path: Path, record: Mapping[str, object]) -> Path:
    """Write a record."""
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hear Ctrl-C, SIGTERM and the alarm of a time-out only when the block is over; it is one of milliseconds."""
    if threading.current_thread() is not threading.main_thread():  # other threads are never interrupted
        yield
        return
    heard: list[int] = []
    usual = {number: signal.signal(number, lambda n, _: heard.append(n)) for number in _INTERRUPTIONS}
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler or signal.SIG_DFL)
    for late in heard:
        signal.raise_signal(late)


def flush(path: Path) -> None:
    """Wait until the disk has it; folders can't be flushed on every system."""
    with suppress(PermissionError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder against a second process."""
    if os.name == "nt":  # folders can't be opened there
        yield
        return
    with said_in_a_line(folder):
        handle = os.open(folder, os.O_RDONLY)
    try:
        if not held(handle):
            raise OutputError(f"{folder}: another ctatlas is writing here; wait or choose another folder")
        yield
    finally:
        os.close(handle)


@contextmanager
def said_in_a_line(place: Path) -> Iterator[None]:
    """Turn what the operating system refuses into an `OutputError`."""
    try:
        yield
    except OutputError:
        raise
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(f"{error.filename or place}: is a file, expected a folder; choose another output") from error
    except OSError as error:
        raise OutputError(f"{place}: can't be written ({error.strerror}); nothing half-written was left") from error
