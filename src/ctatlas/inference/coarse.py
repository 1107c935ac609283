"""A coarse copy of a scan in RAS order: what calibrated HU is read from, and the way back to the scan's own grid.

Blocks of whole voxels are averaged, so that the way back is exact: every voxel of the scan belongs to one coarse voxel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ctatlas.volume import Grid, Volume
from ctatlas.volume.orientation import turn_between

PADDING_HU = -1024
"""Scanners write -1024 to -3024 outside the circle of reconstruction; nothing is less dense than air (-1000)."""

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class Coarse:
    """A scan averaged over blocks of about 3 mm.

    Attributes
    ----------
    hu : (x, y, z) float32
        Mean HU of each block; x grows to the patient's right, y to the front, z to the head, or for an oblique scan
        along the axis nearest to that.
    grid : Grid
        Where the blocks' centres lie.
    scan : Grid
        The scan's own grid.
    steps : (3,) int
        Size of a block in voxels of the scan, along the scan's axes; blocks at the far edge may hold fewer.
    """

    hu: np.ndarray
    grid: Grid
    scan: Grid
    steps: tuple[int, int, int]

    def in_scan_order(self, array: np.ndarray) -> np.ndarray:
        """Turn an array on the coarse grid to the order and direction of the scan's axes (a view)."""
        return turn_between("RAS", self.scan.orientation).array(array)

    def enlarged(self, array: np.ndarray, box: Box) -> np.ndarray:
        """Give each voxel in a box of the scan its block's value; `array` is coarse, in the scan's order.

        The result is laid out as a scan is, i fastest. Planes are indexed first: `take` copies turned arrays whole.
        """
        i, j, k = (np.arange(part.start, part.stop) // step for step, part in zip(self.steps, box, strict=True))
        return array.T[k].take(i, axis=2).take(j, axis=1).T

    def slabs(self, mask: np.ndarray) -> Iterator[Box]:
        """Walk through the scan one block high along its last axis, over the box around a coarse mask in scan order."""
        if not mask.any():
            return
        spans = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
        bounds = zip(spans, self.steps, self.scan.shape, strict=True)
        i, j, k = (slice(int(at[0]) * step, min(int(at[-1] + 1) * step, size)) for at, step, size in bounds)
        for start in range(k.start, k.stop, self.steps[2]):
            yield i, j, slice(start, min(start + self.steps[2], k.stop))


def coarse_copy(volume: Volume, about_mm: float = 3.0) -> Coarse:
    """Average a scan over blocks of whole voxels, and turn it to RAS order.

    Parameters
    ----------
    volume : Volume
        In any orientation; HU below -1024 count as -1024.
    about_mm : float
        Size of a block; it holds as many voxels as fit, at least one: at 3 mm, 0.7 mm gives 4 and 2 mm or 5 mm give 1.
    """
    i, j, k = (max(1, int(about_mm / mm + 0.25)) for mm in volume.grid.spacing_mm)
    hu = _block_means(volume.array, (i, j, k))
    affine = volume.grid.affine.copy()
    affine[:3, :3] *= (i, j, k)
    affine[:3, 3] = volume.grid.world((np.array((i, j, k)) - 1) / 2)
    turn = turn_between(volume.grid.orientation, "RAS")
    grid = Grid(hu.shape, affine).reoriented("RAS")
    return Coarse(np.ascontiguousarray(turn.array(hu)), grid, volume.grid, (i, j, k))


def _block_means(array: np.ndarray, steps: tuple[int, int, int]) -> np.ndarray:
    """Average blocks slab by slab, so that no second scan lies in memory; (i, j, k) float32."""
    starts_i, starts_j, starts_k = (np.arange(0, size, step) for size, step in zip(array.shape, steps, strict=True))
    sizes_i, sizes_j = (
        np.diff(np.append(starts, size)) for starts, size in zip((starts_i, starts_j), array.shape[:2], strict=True)
    )
    means = np.empty((len(starts_i), len(starts_j), len(starts_k)), dtype=np.float32)
    for index, start in enumerate(starts_k):
        slab = np.maximum(array[:, :, start : start + steps[2]], PADDING_HU)
        total = slab.sum(axis=2, dtype=np.float32)
        total = np.add.reduceat(np.add.reduceat(total, starts_j, axis=1), starts_i, axis=0)
        means[:, :, index] = total / (np.outer(sizes_i, sizes_j) * slab.shape[2])
    return means
