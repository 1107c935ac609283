"""Resample a scan whose voxel axes are not at right angles (a tilted gantry, kept as a sheared affine) to a grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ctatlas.volume.grid import Grid
from ctatlas.volume.hounsfield import PADDING_HU
from ctatlas.volume.limits import check_shape
from ctatlas.volume.scan import Volume


def straightened(volume: Volume) -> Volume:
    """Return the scan on an orthogonal grid that holds all of it, linear between voxels, `PADDING_HU` outside.

    The first axis keeps its direction, the second its plane with the first: slices stay slices. The spacing along each
    axis is the distance between its planes. What was done is recorded in `facts.repairs`.

    Raises
    ------
    ScanError
        When the grid would be too large.
    """
    from scipy.ndimage import affine_transform

    grid = upright_grid(volume.grid)
    check_shape(grid.shape, volume.array.itemsize, volume.facts.source)
    to_old = np.round(np.linalg.inv(volume.grid.affine) @ grid.affine, 9)  # the first slice lies at 0, not at -1e-17
    array = np.empty(grid.shape, volume.array.dtype, order="F")
    affine_transform(
        volume.array, to_old[:3, :3], to_old[:3, 3], output=array, order=1, cval=PADDING_HU, prefilter=False
    )
    repair = (
        f"resampled to a grid at right angles: axes were up to {_off_square_degrees(volume.grid):.1f} degrees off; "
        f"linear between voxels, {PADDING_HU} HU outside"
    )
    return Volume(array, grid, replace(volume.facts, repairs=(*volume.facts.repairs, repair)))


def upright_grid(grid: Grid) -> Grid:
    """Return the smallest orthogonal grid around a sheared one, starting in the plane of its first voxel."""
    q, r = np.linalg.qr(grid.affine[:3, :3])
    signs = np.sign(np.diagonal(r))
    axes, spacing = q * signs, np.abs(np.diagonal(r))
    corners = (grid.corners_mm - grid.affine[:3, 3]) @ axes / spacing  # in voxels of the new axes
    low, high = np.floor(corners.min(axis=0) + 1e-6), np.ceil(corners.max(axis=0) - 1e-6)
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    affine[:3, 3] = grid.affine[:3, 3] + affine[:3, :3] @ low
    i, j, k = (high - low + 1).astype(int).tolist()
    return Grid((i, j, k), affine)


def _off_square_degrees(grid: Grid) -> float:
    directions = grid.affine[:3, :3] / np.asarray(grid.spacing_mm)
    cosines = np.abs((directions.T @ directions)[np.triu_indices(3, 1)])
    return float(np.degrees(np.arcsin(cosines.max())))
