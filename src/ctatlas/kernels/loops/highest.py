"""The highest of many interpolated channels, voxel by voxel."""

from __future__ import annotations

import math

import numpy as np

from ctatlas.kernels.compiled import compiled


@compiled
def rounded_to_half(value: float) -> float:
    """Round to what half precision holds, halves to even, as a conversion would; 65520 and more become infinite."""
    size = abs(value)
    if size >= 65520.0:
        return math.copysign(np.inf, value)
    if size < 6.103515625e-05:  # below the least normal number steps are 2^-24
        return float(np.rint(value * 16777216.0) / 16777216.0)
    _, exponent = math.frexp(value)
    step = math.ldexp(1.0, exponent - 11)
    return float(np.rint(value / step) * step)


@compiled
def highest_between_neighbours(
    values: np.ndarray,
    possible: np.ndarray,
    first: np.ndarray,
    alone: np.ndarray,
    lines_z: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    lines_y: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    lines_x: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    in_half: bool,
    found: np.ndarray,
) -> None:
    """Find the channel that is highest at every new voxel, the first of several.

    Parameters
    ----------
    values : (z, y, x, n) float32
        Channels side by side.
    possible : (z, y, x, n) bool
        The channels that may win between a voxel and those above it.
    first : (z, y, x) uint16
        The first of these; `alone` (z, y, x) bool where there is no other.
    lines_z, lines_y, lines_x : four of (m,)
        For every new voxel along an axis the one below, the one above, and how much each counts, int64 and float64.
    in_half : bool
        Whether interpolated values are rounded to half precision before they are compared, else to single.
    found : (z, y, x) uint16
        Filled.
    """
    for k in range(found.shape[0]):
        z0, z1, of_z0, of_z1 = lines_z[0][k], lines_z[1][k], lines_z[2][k], lines_z[3][k]
        for j in range(found.shape[1]):
            y0, y1, of_y0, of_y1 = lines_y[0][j], lines_y[1][j], lines_y[2][j], lines_y[3][j]
            for i in range(found.shape[2]):
                x0, x1, of_x0, of_x1 = lines_x[0][i], lines_x[1][i], lines_x[2][i], lines_x[3][i]
                winner = first[z0, y0, x0]
                if not alone[z0, y0, x0]:
                    best = -np.inf
                    for c in range(values.shape[3]):
                        if not possible[z0, y0, x0, c]:
                            continue
                        # The order of products and sums is that of SciPy's splines, so that the bits are the same.
                        value = float(values[z0, y0, x0, c]) * of_z0 * of_y0 * of_x0
                        value += float(values[z0, y0, x1, c]) * of_z0 * of_y0 * of_x1
                        value += float(values[z0, y1, x0, c]) * of_z0 * of_y1 * of_x0
                        value += float(values[z0, y1, x1, c]) * of_z0 * of_y1 * of_x1
                        value += float(values[z1, y0, x0, c]) * of_z1 * of_y0 * of_x0
                        value += float(values[z1, y0, x1, c]) * of_z1 * of_y0 * of_x1
                        value += float(values[z1, y1, x0, c]) * of_z1 * of_y1 * of_x0
                        value += float(values[z1, y1, x1, c]) * of_z1 * of_y1 * of_x1
                        value = rounded_to_half(value) if in_half else float(np.float32(value))
                        if value > best:
                            best = value
                            winner = c
                found[k, j, i] = winner
