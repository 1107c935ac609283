"""What can be counted in a release, for the pages that people read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from ctatlas.atlas.config import AtlasConfig
from ctatlas.atlas.release.manifest import CaseRow, MaskRow
from ctatlas.atlas.releases import ReleaseRecord

SOURCES = ("original", "revised", "pseudo", "absent")


@dataclass(frozen=True, slots=True)
class Facts:
    """A release as its pages see it."""

    record: ReleaseRecord
    config: AtlasConfig
    cases: Sequence[CaseRow]
    masks: Sequence[MaskRow]
    shards: Sequence[str]

    @property
    def title(self) -> str:
        """Its name and version, and what of it is here."""
        part = {"all": "", "images": " (images)", "masks": " (masks)"}[self.record.content]
        return f"{self.record.name} {self.record.version}{part}"

    @property
    def splits(self) -> dict[str, int]:
        """How many cases each split has; "" are those without."""
        return dict(sorted(Counter(case.split for case in self.cases).items()))

    @property
    def n_patients(self) -> int:
        """How many patients are told apart."""
        return len({case.patient for case in self.cases} - {""})

    @property
    def licences(self) -> list[str]:
        """The licences of the source datasets that are known, sorted."""
        return sorted({case.licence for case in self.cases} - {""})

    def dataset_rows(self) -> list[list[str]]:
        """Return a row a source dataset: name, number of cases, licence, place."""
        first = {case.dataset: case for case in self.cases}
        n_cases = Counter(case.dataset for case in self.cases)
        return [[name, str(n_cases[name]), case.licence, case.url] for name, case in sorted(first.items())]

    def structure_rows(self) -> list[list[str]]:
        """Return a row a structure: spelling, number, canonical name, how many masks of each source, median mL."""
        by_name: dict[str, list[MaskRow]] = {name: [] for name in self.record.labels}
        for mask in self.masks:
            by_name[mask.name].append(mask)
        return [
            [name, str(number), self.record.structures[name], *_counts(by_name[name]), _median_ml(by_name[name])]
            for name, number in self.record.labels.items()
        ]

    def ranges(self) -> list[list[str]]:
        """Return what the scans' grids measure: least, median, most."""
        columns: list[tuple[str, list[int] | list[float]]] = [
            ("voxels along i", [case.voxels_i for case in self.cases]),
            ("voxels along j", [case.voxels_j for case in self.cases]),
            ("voxels along k", [case.voxels_k for case in self.cases]),
            ("spacing along i, mm", [case.spacing_i_mm for case in self.cases]),
            ("spacing along j, mm", [case.spacing_j_mm for case in self.cases]),
            ("spacing along k, mm", [case.spacing_k_mm for case in self.cases]),
        ]
        return [[name, *(f"{n:g}" for n in (min(values), median(values), max(values)))] for name, values in columns]


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown; what strangers named can't break out of its cell."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text).replace("|", "\\|").replace("<", "&lt;")


def _counts(masks: Sequence[MaskRow]) -> list[str]:
    counts = Counter(mask.source for mask in masks)
    return [str(counts[source]) for source in SOURCES]


def _median_ml(masks: Sequence[MaskRow]) -> str:
    volumes = [mask.volume_ml for mask in masks if mask.n_voxels]
    return f"{median(volumes):.1f}" if volumes else ""
