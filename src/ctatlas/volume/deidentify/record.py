"""What was done, without a single value: the log, the refusals, the report."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from ctatlas.volume.deidentify.targets import whole_file_in_its_folder

LOG = "deidentification.csv"
DEEDS = ("removed", "private", "emptied", "replaced", "uid", "date", "cleaned")
_COLUMNS = ("file", "object", *DEEDS)


class Deeds:
    """Which elements of a file were changed, by what was done to them last."""

    def __init__(self) -> None:
        self._deed_of: dict[str, str] = {}
        self._n_private = 0

    def note(self, deed: str, path: tuple[int, ...]) -> None:
        """Remember a deed at an element; a path starts at the data set, tags of sequences first."""
        if deed == "private":
            self._n_private += 1
        else:
            self._deed_of[">".join(f"{tag:08X}" for tag in path)] = deed

    def cells(self) -> dict[str, str]:
        """Return one text a deed: tags, or for private elements how many."""
        tags: dict[str, list[str]] = defaultdict(list)
        for path, deed in sorted(self._deed_of.items()):
            tags[deed].append(path)
        cells = {deed: " ".join(paths) for deed, paths in tags.items()}
        return cells | ({"private": str(self._n_private)} if self._n_private else {})


@dataclass(frozen=True, slots=True)
class Written:
    """One file that was made: its place below the output folder, what it is, and what was done to it."""

    file: str
    kind: str
    deeds: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """One file that was not made.

    Attributes
    ----------
    source : Path
        Which file; it may tell who the patient is and belongs into no record.
    number : int
        Its place among the files of the input in the order of their names, from 1.
    reason : str
        Without values.
    is_aside : bool
        Whether no scan misses it: a report, a picture of a screen.
    """

    source: Path
    number: int
    stage: str
    reason: str
    is_aside: bool = False

    @property
    def case(self) -> str:
        """Return a name that tells nothing."""
        return f"file {self.number}"


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a place.

    Attributes
    ----------
    n_passed_over : int
        Files that are no scans (texts, pictures, DICOMDIR); they are not copied.
    n_copies : int
        Files that are the same to the byte as another one, which was written once.
    """

    written: tuple[Written, ...]
    refused: tuple[Refused, ...]
    n_passed_over: int
    n_copies: int = 0

    @property
    def patients(self) -> tuple[str, ...]:
        """Pseudonyms of who was written."""
        return tuple(sorted({Path(one.file).parts[0] for one in self.written}))


def write_log(folder: Path, written: list[Written]) -> None:
    """Write one row a file; rows of earlier runs stay while their files do.

    Raises
    ------
    OutputError
        When the folder can't be written to.
    """
    rows = {row["file"]: row for row in _rows_before(folder / LOG) if (folder / row["file"]).is_file()}
    rows |= {one.file: {"file": one.file, "object": one.kind} | one.deeds for one in written}
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows[name] for name in sorted(rows))
    with whole_file_in_its_folder(folder / LOG) as file:
        file.write(text.getvalue().encode())


def _rows_before(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            return list(table) if tuple(table.fieldnames or ()) == _COLUMNS else []
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
