"""Files that a text header names: only plain ones in its own folder, so that no header can show what lies elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

from ctatlas.errors import ScanError
from ctatlas.volume.limits import AT_MOST_ALONG_AXIS


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
