"""A folder with one mask a structure, `<structure>.nii.gz`, in and out."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np

from ctatlas.anatomy import label_set
from ctatlas.errors import OutputError, ScanError
from ctatlas.volume.choices import MaskChoices
from ctatlas.volume.formats.label_map import ids_in
from ctatlas.volume.formats.nifti import read_labels, write_structure
from ctatlas.volume.grid import Grid
from ctatlas.volume.names import unique_names
from ctatlas.volume.segmentation import Segmentation

_ENDINGS = (".nii.gz", ".nii")
_RESULTS = "segmentations"  # below a case's folder. Source: AbdomenAtlas, TotalSegmentator, our own results
_AT_ONCE = 4  # files; while one waits for the disk another is compressed
_NO_MASKS = ("ct", "combined_labels")


def mask_files(folder: Path) -> dict[str, Path]:
    """Return structure name -> file of a folder of masks, or of the `segmentations/` in a case's folder."""
    folder = within(folder)
    inside = folder / _RESULTS if (folder / _RESULTS).is_dir() else folder
    files = sorted(file for file in inside.iterdir() if file.is_file() and not file.name.startswith("."))
    named = [(next((end for end in _ENDINGS if file.name.lower().endswith(end)), ""), file) for file in files]
    names = {file.name[: -len(ending)]: file for ending, file in named if ending}
    return {name: file for name, file in names.items() if name.lower() not in _NO_MASKS}


def within(folder: Path) -> Path:
    """Return a folder, or the one that is all there is in it, as archives deliver it."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    return within(entries[0]) if len(entries) == 1 and entries[0].is_dir() else folder


def read(path: Path, choices: MaskChoices) -> Segmentation:
    """Read every mask of a folder; all must lie on one grid, each with 0 for outside and one other value.

    Raises
    ------
    ScanError
        When there is none, one is broken or no mask, or they lie on different grids.
    """
    files = mask_files(path)
    if not files:
        raise ScanError(f"{path.name}: holds no masks; expected files <structure>.nii.gz.")
    names = _canonical(choices.label_set)
    masks = _masks(files, path)
    grid, first = next(masks)
    named = zip((names.get(name, name) for name in files), chain([first], (mask for _, mask in masks)), strict=True)
    return Segmentation.from_masks(grid, named)


def write(segmentation: Segmentation, path: Path, choices: MaskChoices) -> None:
    """Write each structure to `<path>/<structure>.nii.gz`; the folder is made where missing.

    Raises
    ------
    OutputError
        When the folder cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: the folder cannot be made: {error.strerror}.") from error
    native = {canonical: name for name, canonical in _canonical(choices.label_set).items()}
    files = unique_names(native.get(name, name) for name in segmentation.names)

    def write_one(name: str, file: str) -> None:
        place = segmentation.places[name]
        write_structure(segmentation.layers[place.layer], place.value, segmentation.grid, path / f"{file}.nii.gz")

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(write_one, segmentation.names, files):
            pass


def _masks(files: dict[str, Path], folder: Path) -> Iterator[tuple[Grid, np.ndarray]]:
    """Yield one mask after another, so that not all need exist at once."""
    grid, memory = None, None
    for file in files.values():
        found = read_labels(file, memory)
        grid = grid or found.grid
        if not grid.is_like(found.grid):
            raise ScanError(f"{folder.name}: {file.name} lies on another grid than the masks before it.")
        values = ids_in(found.labels)
        if len(values) > 1:
            raise ScanError(f"{file.name}: holds several labels; expected a mask, 0 and one other value.")
        yield grid, found.labels == (values[0] if values else 1)
        memory = found.labels.reshape(-1, order="F") if found.labels.dtype == np.uint8 else None


def _canonical(name: str | None) -> dict[str, str]:
    """Return a label set's own spelling -> canonical name."""
    if name is None:
        return {}
    chosen = label_set(name)
    return {chosen.native_names[number]: canonical for number, canonical in chosen.labels.items()}
