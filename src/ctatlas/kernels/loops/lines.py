"""The nearest of many points on a lattice, looked for along the lines close by."""

from __future__ import annotations

import numpy as np

from ctatlas.kernels.compiled import compiled

_SLACK = 1 + 1e-12  # squares this close may be one distance, rounded differently


@compiled
def start_lines(points: np.ndarray, low: tuple[int, int], n_y: int, starts: np.ndarray) -> None:
    """Note where each line of points (n, 3) int32 starts, lines along the last axis; they are sorted line by line.

    Parameters
    ----------
    low : (2,) int
        The lowest index along the first two axes, and `n_y` the number of lines along the second one.
    starts : (lines + 1,) int32
        Filled: line n holds the points from starts[n] up to starts[n + 1].
    """
    line = 0
    for n in range(points.shape[0]):
        own = (points[n, 0] - low[0]) * n_y + points[n, 1] - low[1]
        while line <= own:
            starts[line] = n
            line += 1
    starts[line:] = points.shape[0]


@compiled
def look_along_lines(
    queries: np.ndarray,
    points: np.ndarray,
    starts: np.ndarray,
    lines: tuple[int, int, int, int],
    offsets: np.ndarray,
    squares: np.ndarray,
    spacing: float,
    turned: bool,
    found: np.ndarray,
    left: np.ndarray,
) -> int:
    """Find the smallest square of the distance to a point, looking along the closest lines first.

    Parameters
    ----------
    queries, points : (n, 3), (m, 3) int32
    starts : (lines + 1,) int32
        See `start_lines`.
    lines : (4,) int
        Lowest index of a line along the first two axes, and the number of lines along them.
    offsets : (o, 2) int64, squares : (o + 1, 3) float64
        Which lines to look along, and the squares of that offset along the first and the second axis and their sum,
        ascending; the last row holds the sum from which on there may be other lines.
    spacing : float
        Along the lines.
    turned : bool
        Whether squares are summed from the last axis on.
    found : (n,) float64
        Filled with squares.
    left : (n,) int32
        Filled with the queries that could not be settled here.

    Returns
    -------
    int
        How many are left.
    """
    low_x, low_y, n_x, n_y = lines
    n_left = 0
    for n in range(queries.shape[0]):
        x, y, z = queries[n, 0] - low_x, queries[n, 1] - low_y, queries[n, 2]
        best = second = np.inf
        for o in range(offsets.shape[0]):
            if squares[o, 2] > best * _SLACK:
                break
            line_x, line_y = x + offsets[o, 0], y + offsets[o, 1]
            if line_x < 0 or line_y < 0 or line_x >= n_x or line_y >= n_y:
                continue
            first, stop = starts[line_x * n_y + line_y], starts[line_x * n_y + line_y + 1]
            low, high = first, stop
            while low < high:
                middle = (low + high) // 2
                if points[middle, 2] < z:
                    low = middle + 1
                else:
                    high = middle
            for p in range(max(low - 1, first), min(low + 1, stop)):
                along = (points[p, 2] - z) * spacing
                along *= along
                first_two = along + squares[o, 1] if turned else squares[o, 0] + squares[o, 1]
                square = first_two + (squares[o, 0] if turned else along)
                if square < best:
                    best, second = square, best
                elif best < square < second:
                    second = square
        found[n] = best
        if best * _SLACK > squares[-1, 2] or second <= best * _SLACK:
            left[n_left] = n
            n_left += 1
    return n_left
