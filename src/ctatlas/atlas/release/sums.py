"""SHA256SUMS: what `sha256sum -c` of coreutils reads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ctatlas.atlas.release.spool import Hashes
from ctatlas.atomic import whole_file
from ctatlas.errors import AtlasError
from ctatlas.hashing import sha256_file

SUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def write_sums(folder: Path, known: Hashes) -> None:
    """Write the hash of every file of a folder, sorted by path; those that are known are not computed."""
    names = files_in(folder)
    with whole_file(folder / SUMS) as file:
        for name in names:
            if name != SUMS:
                file.write(f"{known.get(name) or sha256_file(folder / name)}  {name}\n".encode())


def read_sums(folder: Path) -> Hashes:
    """Return the hash of each file that is listed.

    Raises
    ------
    AtlasError
        When the list is missing or has a line that is none.
    """
    found = Hashes()
    try:
        with (folder / SUMS).open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                said = _LINE.fullmatch(line.rstrip("\n"))
                if said is None:
                    raise AtlasError(f"{folder / SUMS}: line {number} is no hash with a name")
                found[said[2]] = said[1]
    except (OSError, UnicodeDecodeError):
        raise AtlasError(f"{folder}: has no {SUMS} that can be read; expected a release of ctatlas") from None
    return found


def files_in(folder: Path) -> Iterator[str]:
    """Return the relative paths of all files below a folder, sorted; what lies at its top is listed at once."""
    return _below(_sorted(folder), "")


def _below(entries: list[os.DirEntry[str]], prefix: str) -> Iterator[str]:
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _below(_sorted(Path(entry.path)), f"{prefix}{entry.name}/")
        elif not entry.is_dir():
            yield prefix + entry.name


def _sorted(folder: Path) -> list[os.DirEntry[str]]:
    """List a folder in the order of the paths that begin there; of one that can't be read nothing."""
    with suppress(PermissionError), os.scandir(folder) as entries:
        return sorted(entries, key=lambda one: f"{one.name}/" if one.is_dir(follow_symlinks=False) else one.name)
    return []
