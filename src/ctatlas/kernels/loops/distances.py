"""The nearest of many points on a lattice: along the lines close by, else through a tree of boxes."""

from __future__ import annotations

import numpy as np

from ctatlas.kernels.compiled import compiled
from ctatlas.kernels.loops.ties import settle

LEAF = 8
SLACK = 1 + 1e-12  # squares this close are one distance, rounded differently


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
            if squares[o, 2] > best * SLACK:
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
        if best * SLACK > squares[-1, 2] or second <= best * SLACK:
            left[n_left] = n
            n_left += 1
    return n_left


@compiled
def interleave(points: np.ndarray, codes: np.ndarray) -> None:
    """Write the Morton code of every point (n, 3) int32, at most 2**21 a side: near points get near codes."""
    for n in range(points.shape[0]):
        code = np.uint64(0)
        for axis in range(3):
            part = np.uint64(points[n, axis])
            part = (part | part << np.uint64(32)) & np.uint64(0x1F00000000FFFF)
            part = (part | part << np.uint64(16)) & np.uint64(0x1F0000FF0000FF)
            part = (part | part << np.uint64(8)) & np.uint64(0x100F00F00F00F00F)
            part = (part | part << np.uint64(4)) & np.uint64(0x10C30C30C30C30C3)
            part = (part | part << np.uint64(2)) & np.uint64(0x1249249249249249)
            code |= part << np.uint64(axis)
        codes[n] = code


@compiled
def build_boxes(points: np.ndarray, boxes: np.ndarray) -> None:
    """Fill a complete binary tree of boxes: node n holds nodes 2 n and 2 n + 1, the leaves are the second half.

    Parameters
    ----------
    points : (n, 3) int32
        Near ones beside each other; leaf n holds those from LEAF n on.
    boxes : (2 leaves, 6) int32
        Lowest and highest indices; a leaf without points is inside out. Node 0 is not used.
    """
    n_leaves = boxes.shape[0] // 2
    for leaf in range(n_leaves):
        box = boxes[n_leaves + leaf]
        box[:3], box[3:] = 1 << 30, -(1 << 30)
        for n in range(LEAF * leaf, min(LEAF * leaf + LEAF, points.shape[0])):
            for axis in range(3):
                box[axis] = min(box[axis], points[n, axis])
                box[3 + axis] = max(box[3 + axis], points[n, axis])
    for node in range(n_leaves - 1, 0, -1):
        for axis in range(3):
            boxes[node, axis] = min(boxes[2 * node, axis], boxes[2 * node + 1, axis])
            boxes[node, 3 + axis] = max(boxes[2 * node, 3 + axis], boxes[2 * node + 1, 3 + axis])


@compiled
def climb(
    queries: np.ndarray,
    points: np.ndarray,
    boxes: np.ndarray,
    spacing: np.ndarray,
    found: np.ndarray,
) -> None:
    """Find the smallest square of the distance to a point through a tree of boxes, ties settled as SciPy does.

    Parameters
    ----------
    queries, points : (n, 3), (m, 3) int32
        Points as in `build_boxes`; both along the axes in the order in which squares are summed.
    boxes : (2 leaves, 6) int32
    spacing : (3,) float64
    found : (n,) float64
        Filled with squares.
    """
    tied = np.empty(points.shape[0], np.int64)
    ahead = np.empty(64, np.int64), np.empty(64, np.float64)
    nearest = 0
    for n in range(queries.shape[0]):
        query = queries[n]
        known = _square(query, points[nearest], spacing)  # the last query's point is near this one's
        best, nearest, n_tied = _descend(query, points, boxes, spacing, (known, nearest), ahead, tied)
        found[n] = best
        for one in range(1, n_tied):
            if _square(query, points[tied[one]], spacing) != _square(query, points[tied[0]], spacing):
                found[n] = settle(points[tied[:n_tied]] - query, spacing)
                break


@compiled
def _descend(
    query: np.ndarray,
    points: np.ndarray,
    boxes: np.ndarray,
    spacing: np.ndarray,
    known: tuple[float, int],
    ahead: tuple[np.ndarray, np.ndarray],
    tied: np.ndarray,
) -> tuple[float, int, int]:
    """Visit the leaves that may hold a point as near as the best one known; note all points that tie."""
    n_leaves = boxes.shape[0] // 2
    best, nearest = known
    stack, bounds = ahead
    top, n_tied = 0, 0
    stack[0], bounds[0] = 1, 0.0
    while top >= 0:
        node, bound = stack[top], bounds[top]
        top -= 1
        while node < n_leaves and bound <= best * SLACK:
            node, other = 2 * node, 2 * node + 1
            bound, beyond = _square_to_box(query, boxes[node], spacing), _square_to_box(query, boxes[other], spacing)
            if beyond < bound:
                node, other, bound, beyond = other, node, beyond, bound
            if beyond <= best * SLACK:
                top += 1
                stack[top], bounds[top] = other, beyond
        if bound > best * SLACK:
            continue
        first = (node - n_leaves) * LEAF
        for p in range(first, min(first + LEAF, points.shape[0])):
            square = _square(query, points[p], spacing)
            if square * SLACK < best:
                n_tied = 0
            if square <= best * SLACK:
                tied[n_tied] = p
                n_tied += 1
            if square < best:
                best, nearest = square, p
    return best, nearest, n_tied


@compiled
def _square(query: np.ndarray, point: np.ndarray, spacing: np.ndarray) -> float:
    """Sum in SciPy's order, so that the last bit agrees."""
    d0, d1, d2 = (
        (point[0] - query[0]) * spacing[0],
        (point[1] - query[1]) * spacing[1],
        (point[2] - query[2]) * spacing[2],
    )
    square: float = (d0 * d0 + d1 * d1) + d2 * d2
    return square


@compiled
def _square_to_box(query: np.ndarray, box: np.ndarray, spacing: np.ndarray) -> float:
    d0 = max(box[0] - query[0], query[0] - box[3], 0) * spacing[0]
    d1 = max(box[1] - query[1], query[1] - box[4], 0) * spacing[1]
    d2 = max(box[2] - query[2], query[2] - box[5], 0) * spacing[2]
    square: float = (d0 * d0 + d1 * d1) + d2 * d2
    return square
