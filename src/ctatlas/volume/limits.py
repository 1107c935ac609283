"""What no file may claim: sizes are checked before anything is allocated for them.

Source: reference/volumes.md §9, measured on hostile files; a CT of 512 x 512 x 2000 has 0.5e9 voxels.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.errors import ScanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctatlas.volume.grid import Grid

AT_MOST_VOXELS = 2**31
AT_MOST_ARRAY_BYTES = 16 * 2**30
AT_MOST_ALONG_AXIS = 65535
AT_MOST_FILE_BYTES = 4 * 2**30
AT_MOST_SERIES_FILES = 20_000
AT_MOST_SLICE_FILE_BYTES = 512 * 2**20
AT_MOST_SLICE_PIXELS = 8192 * 8192  # scanners make 512 x 512 to 2048 x 2048
AT_LEAST_SPACING_MM = 0.0001  # of what is smaller the squares may be 0
AT_MOST_SPACING_MM = 50.0
AT_MOST_COORDINATE_MM = 10_000.0
AT_MOST_AFTER_VOXELS_BYTES = 2**20  # what may follow the voxels in a file
AT_MOST_BEFORE_VOXELS_BYTES = 64 * 2**20  # header and extensions
AT_MOST_TEXT_HEADER_BYTES = 2**20
AT_MOST_TEXT_HEADER_LINES = 10_000
AT_MOST_ARCHIVE_MEMBERS = 50_000
AT_MOST_UNPACKED_BYTES = 64 * 2**30
AT_MOST_DIRECTORY_BYTES = 16 * 2**20  # the table of contents of a zip; 50,000 names of 250 bytes
AT_MOST_BETWEEN_MEMBERS_BYTES = 2**20  # long names and remarks in a tar
FREE_AFTER_UNPACKING_BYTES = 512 * 2**20  # left for everybody else who writes temporary files


def check_shape(shape: tuple[int, ...], itemsize: int, where: str) -> None:
    """Refuse an array too large to be a CT scan.

    Parameters
    ----------
    shape : tuple of int
        As claimed; Python integers, which cannot overflow.
    itemsize : int
        Bytes of one voxel.
    where : str
        Name of the file, for the message.
    """
    size = " x ".join(str(n) for n in shape)
    if any(not 1 <= n <= AT_MOST_ALONG_AXIS for n in shape):
        raise ScanError(
            f"{where}: claims {size} voxels; expected 1 to {AT_MOST_ALONG_AXIS} along each axis. The header is broken."
        )
    if prod(shape) > AT_MOST_VOXELS or prod(shape) * itemsize > AT_MOST_ARRAY_BYTES:
        raise ScanError(
            f"{where}: claims {size} voxels; expected at most {AT_MOST_VOXELS:.0e} and "
            f"{AT_MOST_ARRAY_BYTES / 2**30:.0f} GiB. The header is broken, or cut the scan into parts."
        )


def check_spacing(spacing_mm: Sequence[float], where: str) -> None:
    """Refuse distances between voxels that no scanner makes."""
    if min(spacing_mm) < AT_LEAST_SPACING_MM or max(spacing_mm) > AT_MOST_SPACING_MM:
        raise ScanError(
            f"{where}: spacing is {' x '.join(f'{mm:.4g}' for mm in spacing_mm)} mm; expected "
            f"{AT_LEAST_SPACING_MM:g} to {AT_MOST_SPACING_MM:g} mm. The header is broken or its unit is not mm."
        )


def check_grid(grid: Grid, where: str, *, allow_shear: bool = False) -> None:
    """Refuse what no scanner makes: shear, spacing beyond 0.0001 to 50 mm, voxels further than 10 m from the origin."""
    check_spacing(grid.spacing_mm, where)
    if grid.is_sheared and not allow_shear:
        raise ScanError(
            f"{where}: voxel axes are not at right angles (gantry tilt or shear); expected an orthogonal "
            "grid. Give --repair to resample the scan to one."
        )
    if np.abs(grid.corners_mm).max() > AT_MOST_COORDINATE_MM:
        raise ScanError(
            f"{where}: voxels lie up to {np.abs(grid.corners_mm).max() / 1000:.4g} m from the origin; "
            f"expected at most {AT_MOST_COORDINATE_MM / 1000:.0f} m. The header is broken."
        )
