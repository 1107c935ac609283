"""Places to write to: the folder is made when there is something to put into it, not before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ctatlas.atomic import whole_file
from ctatlas.errors import OutputError


@contextmanager
def whole_file_in_its_folder(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing, with the folders it lies in; it appears whole or not at all.

    Raises
    ------
    OutputError
        When the place can't be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path.parent}: can't be made: {error.strerror or error}; choose another folder.") from error
    with whole_file(path) as file:
        yield file
