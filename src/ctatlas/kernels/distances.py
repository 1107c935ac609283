"""Exact distances between points on a lattice, equal to the last bit to those of SciPy's distance transform."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.kernels.compiled import has_numba

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from scipy.spatial import KDTree

_LINES = 100  # looked along close by; most surfaces of a good prediction are nearer
_DENSE = 100  # corners of a box for each point in it, up to which transforming the box is quicker than a tree
_AT_ONCE = 2**17  # points that a tree gives at once
_CLOSE = 1 + 1e-7  # distances this close may tie; a tree rounds them otherwise than we do


def nearest_mm(
    queries: np.ndarray, points: np.ndarray, spacing_mm: tuple[float, float, float], *, turned: bool = False
) -> np.ndarray:
    """Measure how far each query is from the nearest point.

    Parameters
    ----------
    queries : (n, 3) int32
        Lattice indices from 0 to 2**21.
    points : (m, 3) int32
        At least one, each once, sorted by the first, then the second, then the third axis.
    spacing_mm : (3,) float
        Along the axes of the lattice.
    turned : bool
        Whether the axes are those of the image in reverse order. The squares of the three components are summed in the
        order of the image's axes, which decides on the last bit.

    Returns
    -------
    (n,) float64
        In mm.

    Notes
    -----
    Source: the values are those of `scipy.ndimage.distance_transform_edt` on the whole lattice, reached another way:
    memory and time follow the number of points, not the size of the box around them.
    """
    if not len(queries):
        return np.zeros(0)
    if has_numba():
        find = _by_loops
    else:
        corners = np.prod(_extent(queries, points), dtype=float)
        find = _by_transform if corners < _DENSE * (len(queries) + len(points)) else _by_tree
    return find(queries, points, spacing_mm, turned=turned)


def _by_loops(
    queries: np.ndarray, points: np.ndarray, spacing_mm: tuple[float, float, float], *, turned: bool
) -> np.ndarray:
    from ctatlas.kernels.loops.lines import look_along_lines, start_lines
    from ctatlas.kernels.loops.tree import climb

    low_x, low_y = int(points[0, 0]), int(points[:, 1].min())
    n_x, n_y = int(points[-1, 0]) - low_x + 1, int(points[:, 1].max()) - low_y + 1
    starts = np.empty(n_x * n_y + 1, np.int32)
    start_lines(points, (low_x, low_y), n_y, starts)
    squares, left = np.empty(len(queries)), np.empty(len(queries), np.int32)
    near = _closest_lines(spacing_mm[0], spacing_mm[1])
    n_left = look_along_lines(
        queries, points, starts, (low_x, low_y, n_x, n_y), *near, spacing_mm[2], turned, squares, left
    )
    if n_left:
        rest, settled = left[:n_left], np.empty(n_left)
        nearby, boxes = _tree(_in_order(points, turned=turned))
        climb(_in_order(queries[rest], turned=turned), nearby, boxes, _in_order(spacing_mm, turned=turned), settled)
        squares[rest] = settled
    return np.sqrt(squares, out=squares)


def _in_order(values: ArrayLike, *, turned: bool) -> np.ndarray:
    """Return values (..., 3) along the axes in the order of the image's."""
    return np.ascontiguousarray(np.asarray(values)[..., ::-1] if turned else values)


def _closest_lines(s0: float, s1: float) -> tuple[np.ndarray, np.ndarray]:
    """Return all lines within a distance, the closest first: offsets (n, 2), squares of both and the sum (n + 1, 3).

    The last row is the square of that distance.
    """
    reach = math.sqrt(_LINES * s0 * s1 / math.pi)
    i, j = (np.arange(-int(reach / s), int(reach / s) + 1) for s in (s0, s1))
    offsets = np.stack(np.meshgrid(i, j, indexing="ij"), axis=-1).reshape(-1, 2)
    parts = (offsets * (s0, s1)) ** 2
    total = parts.sum(axis=1)
    order = np.argsort(total, kind="stable")
    order = order[total[order] <= reach * reach]
    squares = np.column_stack([parts[order], total[order]])
    return offsets[order], np.vstack([squares, np.full(3, reach * reach)])


def _tree(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points along a space-filling curve, and the boxes around ever larger stretches of it."""
    from ctatlas.kernels.loops.tree import LEAF, build_boxes, interleave

    codes = np.empty(len(points), np.uint64)
    interleave(points, codes)
    points = points[np.argsort(codes)]
    n_leaves = 2 ** max(0, math.ceil(math.log2(len(points) / LEAF)))
    boxes = np.empty((2 * n_leaves, 6), np.int32)
    build_boxes(points, boxes)
    return points, boxes


def _by_tree(
    queries: np.ndarray, points: np.ndarray, spacing_mm: tuple[float, float, float], *, turned: bool
) -> np.ndarray:
    from scipy.spatial import KDTree

    queries, points, spacing = (_in_order(each, turned=turned) for each in (queries, points, spacing_mm))
    tree = KDTree(points * spacing, balanced_tree=False)  # on a lattice many lie on one plane, which has no middle
    return np.asarray(np.sqrt(_squares_in_tree(tree, queries, points, spacing, n_near=2)))


def _squares_in_tree(
    tree: KDTree, queries: np.ndarray, points: np.ndarray, spacing: np.ndarray, *, n_near: int
) -> np.ndarray:
    """Return squares of distances, from so many of the nearest points, and from more where more of them may tie."""
    squares, n_near = np.empty(len(queries)), min(n_near, len(points))
    for start in range(0, len(queries), step := max(1, _AT_ONCE // n_near)):
        some = slice(start, start + step)
        away, nearest = map(np.asarray, tree.query(queries[some] * spacing, k=np.arange(1, n_near + 1)))
        squares[some] = _smallest(points[nearest] - queries[some, None], spacing)
        if n_near < len(points):
            left = start + np.flatnonzero(away[:, -1] <= away[:, 0] * _CLOSE)
            squares[left] = _squares_in_tree(tree, queries[left], points, spacing, n_near=4 * n_near)
    return squares


def _smallest(offsets: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Return the square of the smallest distance of each row of offsets (n, k, 3), ties settled as SciPy does."""
    from ctatlas.kernels.loops.tree import SLACK, settle

    d0, d1, d2 = np.moveaxis(offsets * spacing, -1, 0)
    squares = (d0 * d0 + d1 * d1) + d2 * d2
    best = squares.min(axis=1)
    ties = squares <= best[:, None] * SLACK
    for row in np.flatnonzero((ties & (squares != best[:, None])).any(axis=1)):
        best[row] = settle(offsets[row][ties[row]], spacing)
    return np.asarray(best)


def _by_transform(
    queries: np.ndarray, points: np.ndarray, spacing_mm: tuple[float, float, float], *, turned: bool
) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    queries, points, spacing = (_in_order(each, turned=turned) for each in (queries, points, spacing_mm))
    low = np.minimum(queries.min(axis=0), points.min(axis=0))
    away = np.ones(_extent(queries, points), np.bool_)
    away[tuple((points - low).T)] = False
    nearest = distance_transform_edt(away, sampling=spacing, return_distances=False, return_indices=True)
    own = (queries - low).T
    d0, d1, d2 = ((nearest[axis][tuple(own)] - own[axis]) * spacing[axis] for axis in range(3))
    return np.asarray(np.sqrt((d0 * d0 + d1 * d1) + d2 * d2))


def _extent(queries: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return how many corners there are along each axis of the box around all of them."""
    high = np.maximum(queries.max(axis=0), points.max(axis=0))
    low = np.minimum(queries.min(axis=0), points.min(axis=0))
    return np.asarray(high.astype(np.int64) - low + 1)
