"""Text tables of strangers: any delimiter, any usual encoding, a byte order mark or none."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ctatlas.errors import TableError

AT_MOST_BYTES = 512 * 2**20
DELIMITERS = ",;\t|"
MISSING = {"", "nan", "na", "n/a", "none", "null", "-", ".", "<na>", "#n/a"}
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class TextTable:
    """A header and rows of as many cells; what was short is filled with empty cells, empty lines are left out."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]  # the line of the file that each row ends on
    too_long: tuple[int, ...]  # lines with more cells than the header


def read_text_table(path: Path) -> TextTable:
    """Read a table of text.

    Raises
    ------
    TableError
        When the file is missing, too large, not text, or holds no header.
    """
    text = _decoded(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise TableError(f"{path}: is empty; expected a header and a row a case")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(first))
    numbered: list[tuple[int, list[str]]] = []
    try:
        numbered.extend((reader.line_num, [cell.strip() for cell in row]) for row in reader)
    except csv.Error as fault:
        raise TableError(f"{path}: line {reader.line_num}: {fault}; expected a table of text") from None
    filled = [(line, row) for line, row in numbered if any(row)]
    if not filled:
        raise TableError(f"{path}: is empty; expected a header and a row a case")
    header = filled[0][1]
    while header and not header[-1]:  # a delimiter at the end of each line
        header.pop()
    n, body = len(header), filled[1:]
    return TextTable(
        path=path,
        header=tuple(header),
        rows=tuple(tuple((row + [""] * n)[:n]) for _, row in body),
        lines=tuple(line for line, _ in body),
        too_long=tuple(line for line, row in body if any(row[n:])),
    )


def delimiter_of(header: str) -> str:
    """Guess what separates the columns of a header; what stands in quotes does not count.

    >>> delimiter_of('image_id;age;"scanner, model"')
    ';'
    """
    bare = re.sub(r'"[^"]*"', "", header)
    return max(DELIMITERS, key=bare.count)


def number(text: str) -> float | None:
    """Read a number, nan where there is none; None when it is something else.

    >>> number("0.5"), number("0,5"), number("n/a"), number("good")
    (0.5, 0.5, nan, None)
    """
    if text.lower() in MISSING:
        return float("nan")
    if _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return None


def duplicates(names: Sequence[str]) -> list[str]:
    """Return the names that are given more than once."""
    return sorted({name for name in names if names.count(name) > 1})


def _decoded(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > AT_MOST_BYTES:
            raise TableError(f"{path}: {size / 2**20:.0f} MB; expected a table of at most {AT_MOST_BYTES >> 20} MB")
        content = path.read_bytes()
    except OSError as fault:
        raise TableError(f"{path}: can't be read ({fault.strerror or fault})") from None
    encoding = next((name for mark, name in _BOMS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if "\0" in text:
        raise TableError(f"{path}: is not text; expected a table with a header and a row a case")
    return text
