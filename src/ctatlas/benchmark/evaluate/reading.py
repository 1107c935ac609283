"""One case's masks under the names of structures, from whatever file or folder holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.anatomy import LabelSet, label_set, read_label_set, structure_called
from ctatlas.anatomy.label_files import names_a_file
from ctatlas.benchmark.evaluate.layouts import CaseMasks
from ctatlas.benchmark.evaluate.notes import Note
from ctatlas.errors import ScanError
from ctatlas.volume import Segmentation, opened, read, read_segmentation, segmentation_kind
from ctatlas.volume.formats.label_map import ids_in, names_file, read_label_map

if TYPE_CHECKING:
    from ctatlas.volume import Grid, Volume

IGNORED = "voxels to be ignored"  # in place of a structure's name: nobody said what these are
_NAMED = 8  # numbers or names that a note lists
_KEEPS_ITS_PART = ("dicom-seg", "seg-nrrd")


@dataclass(frozen=True, slots=True)
class Masks:
    """The masks of one side of a case.

    Attributes
    ----------
    segmentation : Segmentation
        Under canonical names; what no structure is called bears the name of its file. Empty masks are looked for and
        not there.
    told : tuple of str
        The structures that the masks tell about.
    has_part : bool
        Whether the file's format keeps only that part of the scan's voxels that has masks.
    is_numbered : bool
        Whether nothing says what the numbers mean, so that they are compared as numbers.
    """

    segmentation: Segmentation
    told: tuple[str, ...]
    has_part: bool = False
    is_numbered: bool = False
    notes: tuple[Note, ...] = ()


def read_masks(files: CaseMasks, named: str | None = None, grid: Grid | None = None) -> Masks:
    """Read the masks of a case.

    Parameters
    ----------
    files : CaseMasks
    named : str, optional
        Whose names or numbers they have, where a person said so: a label set or a JSON file.
    grid : Grid, optional
        Where the masks of the other side lie. DICOM objects are read onto it where they fit.

    Raises
    ------
    ScanError, ModelError
        When they can't be read without guessing.
    """
    if files.fault:
        raise ScanError(f"{files.case}: {files.fault}.")
    with opened(files.path) as place:
        kind = segmentation_kind(place)
        if kind == "labels":
            named = named or _names_of(place, files)
            found, notes = _of_numbers(place, named)
        else:
            found, notes = _of_names(_read(place, kind, files, grid), named or files.label_set)
    known = found.names if files.annotated is None else files.annotated
    return Masks(
        found,
        tuple(name for name in found.names if name in known and name != IGNORED),
        has_part=kind in _KEEPS_ITS_PART,
        is_numbered=kind == "labels" and named is None,
        notes=(*notes, *(Note("remark", text) for text in found.notes)),
    )


def _read(place: Path, kind: str, files: CaseMasks, grid: Grid | None) -> Segmentation:
    if kind in ("dicom-seg", "rtstruct"):
        scan = read(files.ct) if files.ct is not None else None
        where = None if scan is None else scan.grid
        return _of_dicom(place, kind, scan, where or grid)
    return read_segmentation(place)


def _of_dicom(place: Path, kind: str, scan: Volume | None, grid: Grid | None) -> Segmentation:
    """Read onto the scan or the other side's grid; a SEG that does not lie there has a grid of its own."""
    try:
        return read_segmentation(place, grid, scan=scan)
    except ScanError:
        if grid is None or kind != "dicom-seg":
            raise
        return read_segmentation(place)


def _names_of(path: Path, files: CaseMasks) -> str | None:
    """Return the file or label set that says what the numbers of a label map mean."""
    beside = (names_file(path), path.with_name("labels.json"))
    return next((str(file) for file in beside if file.is_file()), files.label_set)


def _of_numbers(path: Path, named: str | None) -> tuple[Segmentation, tuple[Note, ...]]:
    found = read_label_map(path)
    present = ids_in(found.labels)
    if named is None:
        return Segmentation.from_labels(found.grid, found.labels, {one: f"label_{one}" for one in present}), ()
    known = label_set_of(named)
    names = {number: known.labels.get(number, native) for number, native in known.native_names.items()}
    masks = Segmentation.from_labels(found.grid, found.labels, names)
    masks = masks.replace(dict(_with_others(masks, found.labels, known)))
    if known.ignored:
        masks = masks.add(IGNORED, np.asfortranarray(np.isin(found.labels, known.ignored)))
    strangers = [str(one) for one in present if one not in names and one not in known.ignored]
    text = f"{path.name}: number {_listed(strangers)} is not in {known.name}; its voxels count for nothing"
    return masks, (Note("unknown_label", text),) if strangers else ()


def _with_others(masks: Segmentation, labels: np.ndarray, known: LabelSet) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the masks of structures to which other labels belong, too: the tumor in a liver is liver."""
    for name in dict.fromkeys(name for several in known.also.values() for name in several if name in masks.names):
        numbers = [number for number, several in known.also.items() if name in several]
        yield name, np.asfortranarray(masks.mask(name) | np.isin(labels, numbers))


def _of_names(found: Segmentation, named: str | None) -> tuple[Segmentation, tuple[Note, ...]]:
    native: Mapping[str, str] = {}
    if named is not None:
        known = label_set_of(named)
        native = {known.native_names[number]: name for number, name in known.labels.items()}
    meant = {name: native.get(name) or structure_called(name) or name for name in found.names}
    twice = [name for name in meant if list(meant.values()).count(meant[name]) > 1]
    if twice:
        raise ScanError(f"masks {_listed(twice)} are of one structure under different spellings; keep one of them.")
    return found.rename(meant), ()


def label_set_of(named: str) -> LabelSet:
    """Read a label set by name or from a JSON file, which may name things that no structure is called.

    Raises
    ------
    ModelError
        When there is none, or it contradicts itself.
    """
    return read_label_set(named, needs_known=False) if names_a_file(named) else label_set(named)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
