"""Files that a text header names: only plain ones in its own folder, so that no header can show what lies elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ctatlas.atomic import whole_file
from ctatlas.errors import OutputError, ScanError
from ctatlas.volume.limits import AT_MOST_ALONG_AXIS

_DATA_ENDINGS = {".mhd": ".zraw", ".nhdr": ".raw.gz"}  # as ITK and 3D Slicer call them
_SAYABLE = re.compile(r"(?!list|local)[\w+(-][\w .+()-]*", re.IGNORECASE)  # the rest means something in some header


def data_file(header: Path) -> Path | None:
    """Return which file beside a header gets the voxels when it is written; None where they follow the header."""
    ending = _DATA_ENDINGS.get(header.suffix.lower())
    return header.with_suffix(ending) if ending else None


@contextmanager
def whole_files(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a header and where its voxels go, the same file unless the header's ending says otherwise.

    Both appear when the block has ended well, the header last and never beside the voxels of another.

    Raises
    ------
    OutputError
        When a place cannot be written to, or no header can name it.
    """
    data = data_file(path)
    if data is not None and not _SAYABLE.fullmatch(data.name):
        raise OutputError(f"{path}: no header can name {data.name!r}; choose a name of letters, digits, - and _.")
    with whole_file(path) as header:
        if data is None:
            yield header, header
            return
        with whole_file(data) as voxels:
            yield header, voxels
            for file in (voxels, header):
                file.flush()
                os.fsync(file.fileno())  # for the disk may be full
            path.unlink(missing_ok=True)


def beside(header: Path, name: str) -> Path:
    """Return the file of this name in the header's folder.

    Raises
    ------
    ScanError
        When the name leads elsewhere, directly or by a link, or no plain file bears it.
    """
    where = header.name
    if not name or not name.isprintable() or re.search(r"[/\\]", name) or name in (".", "..") or name[1:2] == ":":
        raise ScanError(f"{where}: takes its voxels from {name!r}; expected the name of a file in its own folder.")
    file = header.with_name(name)
    try:
        folder, target = header.parent.resolve(), file.resolve()
        if target.parent != folder:
            raise ScanError(
                f"{where}: takes its voxels from {name}, a link that leads out of the folder; copy the file."
            )
        if not target.is_file():
            raise ScanError(f"{where}: {name}, the file with its voxels, is missing; copy it to the header's folder.")
    except (OSError, RuntimeError) as error:
        raise ScanError(f"{where}: {name}, the file with its voxels, cannot be read: {error}.") from error
    return file


def numbered(pattern: str, first: int, last: int, step: int, where: str) -> list[str]:
    """Return the names that a pattern such as ``slice%03d.raw`` gives for first, first + step, … up to last.

    Raises
    ------
    ScanError
        When the pattern has not exactly one number, or there are none or too many names.
    """
    parts = re.fullmatch(r"([^%]*)%(0?\d{0,2})d([^%]*)", pattern)
    if parts is None or step == 0 or not 0 < (n := (last - first) // step + 1) <= AT_MOST_ALONG_AXIS:
        raise ScanError(f"{where}: names its files by {pattern} {first} {last} {step}, which is broken.")
    before, width, after = parts.groups()
    return [f"{before}{number:{width}d}{after}" for number in range(first, first + n * step, step)]
