"""Scans with masks, from an atlas or a folder of any layout that `ctatlas add` knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ctatlas.anatomy import label_set, structure_called
from ctatlas.atlas.add.found import Ask, Found
from ctatlas.atlas.add.layouts import listed
from ctatlas.atlas.add.originals import originals_of
from ctatlas.atlas.assemble import PROVENANCE, SEGMENTATIONS, assemble_tasks
from ctatlas.atlas.atlas import Atlas
from ctatlas.atlas.config import CONFIG
from ctatlas.atlas.layout import MASK, CasePlace
from ctatlas.atlas.records import ProvenanceRecord, read_record
from ctatlas.atlas.release.soundness import as_mask, read_on
from ctatlas.errors import AtlasError, ScanError
from ctatlas.execution import done_before
from ctatlas.volume import Segmentation, Volume, files_of, not_hounsfield, read, read_segmentation, segmentation_kind
from ctatlas.volume.formats.mask_folder import mask_files
from ctatlas.volume.names import unique_names


class Masks(Protocol):
    """Where the scan and the masks of a case are."""

    def read(self) -> tuple[Volume, Segmentation]:
        """Read the scan, and on its grid the masks of all that the case tells about, empty where absent."""
        ...

    def files(self) -> list[Path]:
        """List the files that are read."""
        ...


@dataclass(frozen=True, slots=True)
class Pair:
    """A case that can be trained on.

    Attributes
    ----------
    patient : str
        Alike for scans of one patient.
    is_test : bool
        Whether it is kept from training.
    told : frozenset of str
        The structures it tells about, absent ones too.
    """

    name: str
    patient: str
    is_test: bool
    told: frozenset[str]
    masks: Masks


@dataclass(frozen=True, slots=True)
class Gathered:
    """All that a source gives: its name, the cases, its structures in its order, what was passed over, a line each."""

    name: str
    pairs: tuple[Pair, ...]
    order: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def pairs_of(source: Path, *, label_set_name: str | None = None, layout: str | None = None) -> Gathered:
    """Gather the cases of an atlas, or of a folder whose layout `ctatlas add` knows.

    Raises
    ------
    AtlasError, ScanError, ModelError
        When there is no case with masks.
    """
    found = _of_atlas(source) if (source / CONFIG).is_file() else _of_folder(source, label_set_name, layout)
    if not found.pairs:
        raise AtlasError(f"{source}: has no case with masks; {'; '.join(found.remarks) or 'nothing to train on'}")
    return found


@dataclass(frozen=True, slots=True)
class _Assembled:
    place: CasePlace
    told: tuple[str, ...]

    def read(self) -> tuple[Volume, Segmentation]:
        scan = read(self.place.ct)
        masks = ((name, as_mask(read_on(path, scan.grid), path.name)) for name, path in self._masks())
        return scan, Segmentation.from_masks(scan.grid, masks)

    def files(self) -> list[Path]:
        return [self.place.ct, *(path for _, path in self._masks())]

    def _masks(self) -> list[tuple[str, Path]]:
        return [(name, self.place.assembled / SEGMENTATIONS / f"{name}{MASK}") for name in self.told]


@dataclass(frozen=True, slots=True)
class _Labelled:
    found: Found

    def read(self) -> tuple[Volume, Segmentation]:
        scan = self.found.source.read()
        if fault := not_hounsfield(scan):
            raise ScanError(f"{self.found.source.path.name}: is no CT in Hounsfield units: {fault}")
        labels, numbers = self.found.labels, self.found.label_set
        if labels is None or numbers is None:
            raise ScanError(f"{self.found.source.path.name}: has no labels")
        masks, _, _ = originals_of(labels, scan, numbers, left_out=self.found.left_out, ignore_unknown=True)
        return scan, masks

    def files(self) -> list[Path]:
        return [file for path in self.found.paths for file in files_of(path)]


def _of_atlas(folder: Path) -> Gathered:
    atlas = Atlas.open(folder)
    pairs, n_late, n_copies = [], 0, 0
    for place in atlas.cases():
        record = atlas.record(place.case)
        if record.duplicate_of:
            n_copies += 1
        elif done_before(*assemble_tasks(atlas, [place])) is None:
            n_late += 1
        else:
            told = tuple(read_record(ProvenanceRecord, place.assembled / PROVENANCE).masks)
            patient = record.patient or place.case
            pairs.append(Pair(place.case, patient, record.split == "test", frozenset(told), _Assembled(place, told)))
    late = f"{n_late} cases are not assembled, or not from what is there now: 'ctatlas assemble {folder}'"
    copies = f"{n_copies} cases are duplicates of others"
    left_out = tuple(text for n, text in ((n_late, late), (n_copies, copies)) if n)
    return Gathered(atlas.config.name, tuple(pairs), atlas.config.structures, left_out)


def _of_folder(source: Path, label_set_name: str | None, layout: str | None) -> Gathered:
    listing = listed(source, Ask(label_set=label_set_name), layout)
    labelled = [found for found in listing.found if found.labels is not None and found.label_set is not None]
    names = unique_names(found.case for found in labelled)
    pairs = [
        Pair(name, found.patient or name, found.split == "test", _told(found), _Labelled(found))
        for name, found in zip(names, labelled, strict=True)
    ]
    n_without = len(listing.found) - len(labelled)
    without = f"{n_without} scans have no labels, or labels whose meaning nobody says (--label-set)"
    faults = [f"{fault.name}: {fault.reason}" for fault in listing.faults]
    sets = dict.fromkeys(found.label_set or "" for found in labelled)
    order = tuple(dict.fromkeys(name for each in sets for _, name in sorted(label_set(each).labels.items())))
    left_out = (*listing.remarks, *faults, *([without] if n_without else []))
    return Gathered(source.resolve().name, tuple(pairs), order, left_out)


def _told(found: Found) -> frozenset[str]:
    """Return the structures that a case's labels tell about, without looking at their voxels."""
    labels, chosen = found.labels, label_set(found.label_set or "")
    if labels is None:
        return frozenset()
    kind = segmentation_kind(labels)
    if kind == "labels":
        return frozenset(chosen.annotated)
    names = mask_files(labels) if kind == "masks" else read_segmentation(labels).names
    canonical = {chosen.native_names[number]: name for number, name in chosen.labels.items()}
    meant = (canonical.get(name) or structure_called(name) for name in names)
    return frozenset(name for name in meant if name)
