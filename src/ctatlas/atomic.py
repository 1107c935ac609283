"""Write a file whole or not at all."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from secrets import token_hex
from typing import TYPE_CHECKING, BinaryIO

from ctatlas.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_REASONS = {
    errno.ENOSPC: "the disk is full; make room and try again",
    errno.EDQUOT: "the disk quota is used up; make room and try again",
    errno.EACCES: "no permission to write there; choose another folder",
    errno.EPERM: "no permission to write there; choose another folder",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENOENT: "its folder does not exist; make the folder first",
    errno.ENOTDIR: "part of the path is a file; choose another folder",
    errno.EISDIR: "a folder of that name stands there; choose another name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when the block has ended well.

    The bytes go to a hidden temporary name in the same folder, are flushed to the disk and renamed over the target.
    When the block or the disk fails, the temporary file is removed and what stood at `path` before stays as it was.

    Raises
    ------
    OutputError
        When the place cannot be written to.
    """
    temporary = path.with_name(f".{path.name[:200]}.{token_hex(4)}.part")
    try:
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        flush_folder(path.parent)
    except OutputError:
        raise
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        raise OutputError(f"{path}: cannot be written: {reason}.") from error


def flush_folder(folder: Path) -> None:
    """Make a rename outlive a power cut; not every file system allows it, and then it is not needed."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
