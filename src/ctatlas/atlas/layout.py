"""Where everything lies in an atlas folder. The files are the truth; the catalog is an index of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ctatlas.execution import RECORD

CASE = "case.json"
MASK = ".nii.gz"


@dataclass(frozen=True, slots=True)
class CasePlace:
    """The folder of one case."""

    folder: Path

    @property
    def case(self) -> str:
        """The case's id."""
        return self.folder.name

    @property
    def record(self) -> Path:
        """What is known of the scan: a `CaseRecord`. Written last by `add`: without it there is no case."""
        return self.folder / CASE

    @property
    def ct(self) -> Path:
        """The scan, never altered."""
        return self.folder / "ct.nii.gz"

    @property
    def original(self) -> Path:
        """Masks that came with the scan, and `labels.json`, an `OriginalRecord`."""
        return self.folder / "original"

    @property
    def attention(self) -> Path:
        """Where to look: a map a structure, and `hotspots.json`."""
        return self.folder / "attention"

    @property
    def checks(self) -> Path:
        """What the anatomical rules found: `findings.json`."""
        return self.folder / "checks"

    @property
    def assembled(self) -> Path:
        """The one mask a structure, the combined labels and `provenance.json`."""
        return self.folder / "assembled"

    def prediction(self, member: str) -> Path:
        """Return where a member's prediction lies; a model's name may hold a slash, a folder's not."""
        return self.folder / "predictions" / member.replace("/", "__")

    def predictions(self) -> list[Path]:
        """Return the folders of all members that predicted."""
        return _with_record(self.folder / "predictions")

    def revision(self, number: int) -> Path:
        """Return where a revision lies; they are numbered from 1."""
        return self.folder / "revisions" / f"{number:04d}"

    def revisions(self) -> list[Path]:
        """Return the folders of all revisions, the oldest first."""
        return _with_record(self.folder / "revisions")


@dataclass(frozen=True, slots=True)
class AtlasPlace:
    """An atlas folder."""

    root: Path

    @property
    def cases_folder(self) -> Path:
        """All cases, a folder each."""
        return self.root / "cases"

    @property
    def datasets(self) -> Path:
        """What is known of each source dataset: a `DatasetRecord` each."""
        return self.root / "datasets"

    @property
    def queries(self) -> Path:
        """What was asked of annotators: a `QueryRecord` each."""
        return self.root / "queries"

    @property
    def releases(self) -> Path:
        """Frozen copies for strangers."""
        return self.root / "releases"

    @property
    def catalog(self) -> Path:
        """The index, when it is SQLite."""
        return self.root / "catalog.db"

    @property
    def lock(self) -> Path:
        """Held by whoever writes."""
        return self.root / ".ctatlas-lock"

    def case(self, case: str) -> CasePlace:
        """Return the place of a case, whether it is there or not."""
        return CasePlace(self.cases_folder / case)

    def cases(self) -> Iterator[CasePlace]:
        """Yield the cases that are there, in the order of their ids."""
        if not self.cases_folder.is_dir():
            return
        with os.scandir(self.cases_folder) as entries:
            names = sorted(entry.name for entry in entries)
        for name in names:
            if os.path.isfile(f"{self.cases_folder}/{name}/{CASE}"):  # noqa: PTH113 - asked of ten thousand cases
                yield CasePlace(self.cases_folder / name)


def member_of(folder: Path) -> str:
    """Return whose prediction a folder holds; the way back of `CasePlace.prediction`."""
    return folder.name.replace("__", "/")


def _with_record(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if (path / RECORD).is_file()) if folder.is_dir() else []
