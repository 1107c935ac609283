"""SHA256SUMS: what `sha256sum -c` of coreutils reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ctatlas.atomic import whole_file
from ctatlas.errors import AtlasError
from ctatlas.hashing import sha256_file

SUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def write_sums(folder: Path, known: Mapping[str, str]) -> None:
    """Write the hash of every file of a folder, sorted by path.

    Parameters
    ----------
    folder : Path
    known : mapping of str to str
        Hashes that need not be computed, by relative path.
    """
    names = files_in(folder) - {SUMS}
    lines = [f"{known.get(name) or sha256_file(folder / name)}  {name}\n" for name in sorted(names)]
    with whole_file(folder / SUMS) as file:
        file.write("".join(lines).encode())


def read_sums(folder: Path) -> dict[str, str]:
    """Return the hash of each file that is listed.

    Raises
    ------
    AtlasError
        When the list is missing or has a line that is none.
    """
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise AtlasError(f"{folder}: has no {SUMS} that can be read; expected a release of ctatlas") from None
    found = [_LINE.fullmatch(line) for line in lines]
    if None in found:
        raise AtlasError(f"{folder / SUMS}: line {found.index(None) + 1} is no hash with a name")
    return {line[2]: line[1] for line in found if line}


def files_in(folder: Path) -> set[str]:
    """Return the relative paths of all files below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
