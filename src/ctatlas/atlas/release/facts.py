"""What can be counted in a release, for the pages that people read."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from statistics import median

from ctatlas.atlas.config import AtlasConfig
from ctatlas.atlas.release.manifest import CaseRow, MaskRow
from ctatlas.atlas.releases import ReleaseRecord

SOURCES = ("original", "revised", "pseudo", "absent")
STRUCTURE_COLUMNS = ("name", "label", "structure", *SOURCES, "empty", "median mL")
KINDS = ("scans", "combined-labels", "masks-of-structures")


@dataclass(slots=True)
class Tally:
    """What is counted of a release while its rows pass by: those of cases are kept, those of masks are not.

    Attributes
    ----------
    n_masks : int
    sources : counter of str
    by_name : mapping of str to counter of str
        Spelling of a structure -> how many masks of each source.
    empty : counter of str
        Spelling -> of how many nothing was found, without anybody saying that it is absent.
    volumes_ml : mapping of str to array of float
        Spelling -> of its masks that are not empty.
    lost_ml : array of float
    models, dices : set of str, array of float
        Which made pseudo masks; how well several people agree.
    patterns : mapping of str to set of str
        Scans, combined labels, masks -> globs of their files.
    first_mask : str
        A file of the first case.
    """

    cases: list[CaseRow] = field(default_factory=list)
    n_masks: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    by_name: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    empty: Counter[str] = field(default_factory=Counter)
    volumes_ml: dict[str, array[float]] = field(default_factory=lambda: defaultdict(_floats))
    lost_ml: array[float] = field(default_factory=lambda: array("d"))
    models: set[str] = field(default_factory=set)
    dices: array[float] = field(default_factory=lambda: array("d"))
    patterns: dict[str, set[str]] = field(default_factory=lambda: {kind: set() for kind in KINDS})
    first_mask: str = ""

    def add(self, case: CaseRow, masks: Iterable[MaskRow]) -> None:
        """Count a case and its masks."""
        self.cases.append(case)
        self._note("scans", case.ct_file)
        self._note("combined-labels", case.combined_file)
        for mask in masks:
            if len(self.cases) == 1 and not self.first_mask:
                self.first_mask = mask.file
            self._add(mask)

    def _add(self, mask: MaskRow) -> None:
        self.n_masks += 1
        self.sources[mask.source] += 1
        self.by_name[mask.name][mask.source] += 1
        self.lost_ml.append(mask.lost_ml)
        self._note("masks-of-structures", mask.file)
        if mask.n_voxels:
            self.volumes_ml[mask.name].append(mask.volume_ml)
        elif mask.source != "absent":
            self.empty[mask.name] += 1
        if mask.source == "pseudo":
            self.models.add(mask.detail)
        if mask.agreement_dice:
            self.dices.append(float(mask.agreement_dice))

    def _note(self, kind: str, file: str) -> None:
        if file:
            self.patterns[kind].add(_pattern(file))


@dataclass(frozen=True, slots=True)
class Facts:
    """A release as its pages see it."""

    record: ReleaseRecord
    config: AtlasConfig
    tally: Tally
    shards: Sequence[str]

    @property
    def cases(self) -> Sequence[CaseRow]:
        """The row of each case."""
        return self.tally.cases

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
        """Return a row a structure, as `STRUCTURE_COLUMNS` say: masks of each source, empty ones, median mL."""
        return [
            [name, str(number), self.record.structures[name], *self._counts(name), self._median_ml(name)]
            for name, number in self.record.labels.items()
        ]

    def _counts(self, name: str) -> list[str]:
        return [*(str(self.tally.by_name[name][source]) for source in SOURCES), str(self.tally.empty[name])]

    def _median_ml(self, name: str) -> str:
        volumes = self.tally.volumes_ml[name]
        return f"{median(volumes):.1f}" if volumes else ""

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


def _floats() -> array[float]:
    return array("d")


def _pattern(file: str) -> str:
    """Return the glob of a file: the same place in every case."""
    path = PurePosixPath(file)
    if path.parts[0].startswith("Dataset"):
        return f"{path.parent}/*.nii.gz"
    if path.parent.name == "segmentations":
        return "/".join([*path.parts[:-3], "*", "segmentations", "*.nii.gz"])
    return "/".join([*path.parts[:-2], "*", path.name])
