"""Separable linear resampling along the axes of an array, as thin sparse matrices."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array


def linear_weights(positions: np.ndarray, n: int, width: float = 1.0) -> csr_array:
    """Make the matrix that samples a line of `n` values at fractional positions with a triangle.

    Parameters
    ----------
    positions : (m,) float
        In voxels of the line; 0 is the centre of its first voxel.
    n : int
        Length of the line, at least 1.
    width : float
        Half the foot of the triangle in voxels. 1 is linear interpolation; the step between the positions is an
        anti-aliasing filter where that step is longer than a voxel (standard deviation: width / sqrt(6)).

    Returns
    -------
    csr_array
        (m, n) float32, rows sum to 1. Beyond the ends the last value goes on.

    Notes
    -----
    Source: the triangle scaled by the step is the "antialias" rule of Pillow's `Image.resize` (Resample.c) and of
    torch's `interpolate(antialias=True)`.
    """
    reach = int(np.ceil(width))
    first = np.floor(positions).astype(np.intp)
    taps = first[:, None] + np.arange(1 - reach, reach + 1)
    weights = np.clip(1 - np.abs(taps - np.asarray(positions)[:, None]) / width, 0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.broadcast_to(np.arange(len(taps))[:, None], taps.shape)
    places = (rows.ravel(), np.clip(taps, 0, n - 1).ravel())
    matrix = csr_array((weights.ravel(), places), shape=(len(taps), n), dtype=np.float64)
    matrix.eliminate_zeros()
    return matrix.astype(np.float32)


def along(array: np.ndarray, weights: csr_array) -> np.ndarray:
    """Apply weights (m, n) to the first axis of an array (n, …) float32; give (m, …) in C order."""
    sampled: np.ndarray = weights @ np.ascontiguousarray(array).reshape(array.shape[0], -1)
    return sampled.reshape(weights.shape[0], *array.shape[1:])


def shrink(array: np.ndarray, weights: tuple[csr_array, csr_array, csr_array], fill: float = 0.0) -> np.ndarray:
    """Resample an array (i, j, k) to a smaller one (x, y, z) float32, one slice of k at a time.

    Besides the result only one slice and (x, y, k) values are held. What is not finite counts as `fill`.
    """
    w_i, w_j, w_k = weights
    wanted = np.unique(w_k.indices)
    planes = np.zeros((array.shape[2], w_j.shape[0], w_i.shape[0]), np.float32)
    for k in wanted:
        plane = array[:, :, k].T.astype(np.float32)  # (j, i): i is contiguous in a scan
        if not np.isfinite(plane).all():
            plane = np.nan_to_num(plane, nan=fill, posinf=fill, neginf=fill)
        planes[k] = along(along(plane, w_j).T, w_i).T
    return along(planes, w_k).transpose(2, 1, 0)
