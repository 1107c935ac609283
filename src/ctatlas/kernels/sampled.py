"""Take the nearest voxel of an array at the places of another grid."""

from __future__ import annotations

import numpy as np


def nearest(array: np.ndarray, source_from_target: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Take the nearest value of an array at every place of another grid; outside of the array is 0.

    Parameters
    ----------
    array : (i, j, k)
    source_from_target : (4, 4) float64
        Index in the new array -> fractional index in `array`.
    shape : (3,) int
        Of the new array.

    Returns
    -------
    (x, y, z)
        Of the array's dtype, Fortran order. A place half-way between two voxels takes the one with the higher index.
    """
    found = np.zeros(shape, array.dtype, order="F")
    matrix = source_from_target[:3, :3]
    columns = [np.arange(n)[:, None] * matrix[:, axis] for axis, n in enumerate(shape)]  # (n, 3) each
    if np.count_nonzero(np.abs(matrix) > 1e-12) == 3 and (np.abs(np.diagonal(matrix)) > 1e-12).all():
        return _along_axes(array, found, [columns[axis][:, axis] + source_from_target[axis, 3] for axis in range(3)])
    plane = columns[0][:, None] + columns[1][None] + source_from_target[:3, 3]  # (x, y, 3)
    for z in range(shape[2]):
        index = np.floor(plane + columns[2][z] + 0.5).astype(np.int64)
        inside = ((index >= 0) & (index < array.shape)).all(axis=2)
        i, j, k = index[inside].T
        found[:, :, z][inside] = array[i, j, k]
    return found


def _along_axes(array: np.ndarray, found: np.ndarray, places: list[np.ndarray]) -> np.ndarray:
    """Sample along the array's own axes, which needs no index a voxel."""
    index = [np.floor(place + 0.5).astype(np.int64) for place in places]
    inside = [(one >= 0) & (one < n) for one, n in zip(index, array.shape, strict=True)]
    i, j, k = (one[there] for one, there in zip(index, inside, strict=True))
    for z, source in zip(np.flatnonzero(inside[2]), k, strict=True):
        found[np.ix_(inside[0], inside[1], [z])] = array[np.ix_(i, j, [source])]
    return found
