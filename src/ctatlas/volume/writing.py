"""Write scans and masks, whole or not at all; the ending of the name chooses the format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.errors import OutputError
from ctatlas.volume.formats import nifti
from ctatlas.volume.scan import Volume

if TYPE_CHECKING:
    import numpy as np

    from ctatlas.volume.grid import Grid
    from ctatlas.volume.segmentation import Segmentation

ENDINGS = (".nii.gz", ".nii")


def write(scan_or_masks: Volume | Segmentation, path: Path | str) -> None:
    """Write a scan to one file, or each structure of a segmentation to `<path>/<structure>.nii.gz`.

    Parameters
    ----------
    scan_or_masks : Volume or Segmentation
    path : Path or str
        A `.nii.gz` or `.nii` file for a scan; a folder, which is made where missing, for a segmentation.

    Raises
    ------
    OutputError
        When the place cannot be written to or the ending is unknown.
    """
    if isinstance(scan_or_masks, Volume):
        write_volume(scan_or_masks, path)
        return
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: the folder cannot be made: {error.strerror}.") from error
    for name, mask in scan_or_masks.items():
        write_mask(mask, scan_or_masks.grid, folder / f"{name}.nii.gz")


def write_volume(volume: Volume, path: Path | str) -> None:
    """Write a scan's HU as they are, int16 or float32."""
    nifti.write_volume(volume, _target(path))


def write_mask(mask: np.ndarray, grid: Grid, path: Path | str) -> None:
    """Write an (i, j, k) bool mask as uint8 0 and 1, marked as labels."""
    nifti.write_mask(mask, grid, _target(path))


def write_labels(labels: np.ndarray, grid: Grid, path: Path | str) -> None:
    """Write an (i, j, k) uint8 or uint16 label map, marked as labels."""
    nifti.write_labels(labels, grid, _target(path))


def write_array_uint8(array: np.ndarray, grid: Grid, path: Path | str) -> None:
    """Write an (i, j, k) uint8 map that is no label map, such as probabilities times 255."""
    nifti.write_array_uint8(array, grid, _target(path))


def _target(path: Path | str) -> Path:
    """Return the path, or refuse an ending that names no format we write."""
    target = Path(path)
    if not target.name.lower().endswith(ENDINGS):
        raise OutputError(f"{target}: unknown ending; expected one of {', '.join(ENDINGS)}.")
    return target
