"""A file that has come in part: what it is of, and whether the server still has the same."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ctatlas.models.fetch.address import Address
from ctatlas.models.fetch.connection import Answer, CutError


@dataclass(slots=True)
class Part:
    """A file begun: which source it is of, and in which state that was.

    Attributes
    ----------
    path : Path
    source : str
        The address that was asked.
    stamp : str
        What the server calls that state.
    sha256, revision : str
        What the hub says of it.
    total : int, optional
        How many bytes it will have.
    """

    path: Path
    source: str
    stamp: str = ""
    sha256: str = ""
    total: int | None = None
    revision: str = ""

    @property
    def size(self) -> int:
        """Count the bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def remember(self) -> None:
        """Write down beside the part what it is of."""
        text = json.dumps({name: value for name, value in asdict(self).items() if name != "path"})
        _notes(self.path).write_text(text, encoding="utf-8")

    def forget(self) -> None:
        """Remove the part and what was noted of it."""
        self.path.unlink(missing_ok=True)
        _notes(self.path).unlink(missing_ok=True)


def begun(path: Path, address: Address) -> Part:
    """Return what an earlier call left of the same source, or a fresh beginning."""
    with suppress(OSError, ValueError, TypeError):
        found = Part(path=path, **json.loads(_notes(path).read_text(encoding="utf-8")))
        texts = (found.source, found.stamp, found.sha256, found.revision)
        sound = all(isinstance(each, str) for each in texts) and isinstance(found.total, int | None)
        if sound and found.source == address.url and path.is_file():
            return found
    part = Part(path, address.url)
    part.forget()
    return part


def agree(part: Part, answer: Answer, begin: int, known_bytes: int | None) -> int:
    """Find out from which byte on the server gives the file, and note the state in which it has it."""
    total = total_of(answer)
    same = answer.status == 206 and _first_byte(answer) == begin and part.total in {None, total}
    if part.sha256 and answer.sha256 and part.sha256 != answer.sha256:
        same = False
    if begin and not same:
        if answer.status != 200:  # another part than was asked for, or none: from the beginning, then
            part.forget()
            part.stamp = part.sha256 = ""
            part.total = None
            raise CutError("the file changed meanwhile")
        begin = 0
    if answer.bytes is not None and total not in {None, answer.bytes}:
        raise CutError(f"the hub says {answer.bytes:,} bytes, the server {total:,}")
    part.total = total if total is not None else (answer.bytes if answer.bytes is not None else known_bytes)
    part.stamp, part.sha256 = answer.stamp, answer.sha256 or part.sha256
    part.revision = answer.revision or part.revision
    return begin


def total_of(answer: Answer) -> int | None:
    """Return how many bytes the whole file has, if the answer tells."""
    if answer.status in {206, 416}:
        found = re.fullmatch(r"bytes (?:\d+-\d+|\*)/(\d+)", answer.headers.get("Content-Range", "").strip())
        return int(found[1]) if found else None
    length = answer.headers.get("Content-Length", "").strip()
    return int(length) if length.isdecimal() and answer.status == 200 else None


def _first_byte(answer: Answer) -> int | None:
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", "").strip())
    return int(found[1]) if found else None


def _notes(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
