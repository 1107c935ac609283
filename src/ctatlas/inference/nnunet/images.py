"""Files ↔ arrays in the order of axes that nnU-Net's readers give: (c, z, y, x), as stored or turned to RAS first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ctatlas.errors import ModelError, ScanError
from ctatlas.inference.nnunet.cases import CaseFiles
from ctatlas.volume import Grid, Volume, read, turn_between, write, write_labels
from ctatlas.volume.formats.label_map import read_label_map

_AS_STORED = ""
# Source: nnU-Net imageio/; "RAS" of its readers is the side toward which an axis grows, as in `Grid.orientation`.
READERS: Mapping[str, str] = MappingProxyType(
    {
        "SimpleITKIO": _AS_STORED,
        "NibabelIO": _AS_STORED,
        "NibabelIOWithReorient": "RAS",
        "SimpleITKIOWithReorient": "RAS",
    }
)
_NIFTI = (".nii.gz", ".nii")


@dataclass(frozen=True, slots=True)
class ReadCase:
    """A case as nnU-Net sees it.

    Attributes
    ----------
    image : (c, z, y, x) float32
    grid : Grid
        Of the files.
    turned : Grid
        After turning: the order of the array's axes, backwards.
    previous : (z, y, x) int or None
        Labels of the former stage.
    """

    image: np.ndarray
    grid: Grid
    turned: Grid
    previous: np.ndarray | None = None

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Spacing of z, y, x in mm."""
        x, y, z = self.turned.spacing_mm
        return z, y, x

    def as_stored(self, array: np.ndarray) -> np.ndarray:
        """Turn a (z, y, x) array back to (i, j, k) of the files."""
        return turn_between(self.turned.orientation, self.grid.orientation).array(array.T)


def orientation_of_reader(reader: str) -> str:
    """Return what a reader turns images to, "" for as they are.

    Raises
    ------
    ModelError
        When there is no such reader here.
    """
    if reader not in READERS:
        raise ModelError(f"image_reader_writer {reader} of the plans reads no CT; known: {', '.join(READERS)}")
    return READERS[reader]


def read_case(files: CaseFiles, reader: str) -> ReadCase:
    """Read the channels of a case.

    Raises
    ------
    ScanError
        When a file can't be read, or lies on other voxels than the first.
    """
    turn_to = orientation_of_reader(reader)
    stored = read(files.channels[0])
    grid, turned = stored.grid, stored.grid.reoriented(turn_to or stored.grid.orientation)
    turn = turn_between(grid.orientation, turned.orientation)
    image = np.empty((len(files.channels), *reversed(turned.shape)), np.float32)
    for number, path in enumerate(files.channels):
        channel = stored if number == 0 else read(path)
        _check_grid(channel.grid, grid, path, files)
        image[number] = turn.array(channel.array).T
    if files.previous is None:
        return ReadCase(image, grid, turned)
    labels = read_label_map(files.previous)
    _check_grid(labels.grid, grid, files.previous, files)
    return ReadCase(image, grid, turned, turn.array(labels.labels).T)


def write_case(labels: np.ndarray, case: ReadCase, path: Path) -> None:
    """Write (z, y, x) labels on the voxels of the scan; in NIfTI as uint8 where all are below 255."""
    stored = case.as_stored(labels)
    if path.name.endswith(_NIFTI):
        dtype = np.uint8 if stored.max(initial=0) < 255 else np.uint16
        write_labels(np.asfortranarray(stored, dtype), case.grid, path)
    else:  # formats whose writers know scans alone
        write(Volume(np.asfortranarray(stored, np.int16), case.grid), path)


def _check_grid(found: Grid, grid: Grid, path: Path, files: CaseFiles) -> None:
    if grid.is_sheared:
        raise ScanError(f"{path.name}: its voxel axes are not at right angles; 'ctatlas convert --repair' mends it")
    if not found.is_like(grid):
        raise ScanError(f"{path.name}: lies on other voxels than {files.channels[0].name}")
