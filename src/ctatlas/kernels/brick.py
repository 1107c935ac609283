"""Morphology with a brick: a box of voxels, the same whether in one go or in many steps of 3x3x3."""

from __future__ import annotations

import numpy as np

from ctatlas.kernels.boxes import Index


def dilated(mask: np.ndarray, radius: Index) -> np.ndarray:
    """Grow a mask (i, j, k) bool by so many voxels along each axis; what would lie outside the array is lost."""
    return _swept(mask, radius, np.logical_or)


def eroded(mask: np.ndarray, radius: Index) -> np.ndarray:
    """Shrink a mask (i, j, k) bool by so many voxels along each axis; outside the array nothing is set."""
    return _swept(mask, radius, np.logical_and)


def opened(mask: np.ndarray, radius: Index) -> np.ndarray:
    """Drop what no brick of 2 radius + 1 voxels fits into.

    Notes
    -----
    With radius (n, n, n) it is scipy's `binary_opening` by a full 3x3x3 structure with n iterations.
    """
    return dilated(eroded(mask, radius), radius)


def _swept(mask: np.ndarray, radius: Index, combine: np.ufunc) -> np.ndarray:
    """Combine every voxel with its neighbours along one axis after the other; beyond the array lies False."""
    swept = mask
    for axis, reach in enumerate(radius):
        if reach:
            swept = _swept_along(swept, axis, reach, combine)
    return swept


def _swept_along(mask: np.ndarray, axis: int, reach: int, combine: np.ufunc) -> np.ndarray:
    width = 2 * reach + 1
    shape = list(mask.shape)
    shape[axis] += 2 * reach
    run = np.zeros(shape, np.bool_, order="F")
    run[_part(axis, reach, reach + mask.shape[axis])] = mask
    done = 1  # run[n] combines `done` voxels from n on
    while done < width:
        step = min(done, width - done)
        length = run.shape[axis] - step
        run = combine(run[_part(axis, 0, length)], run[_part(axis, step, step + length)])
        done += step
    return run


def _part(axis: int, start: int, stop: int) -> tuple[slice, ...]:
    return tuple(slice(start, stop) if each == axis else slice(None) for each in range(3))
