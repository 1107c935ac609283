"""The nearest of many points on a lattice, looked for in a tree of boxes, and which of those that tie is taken.

Squares of distances that are equal in mathematics may differ in their last bit, by which of the points they come from.
SciPy goes axis by axis (Maurer, Qi, Raghavan 2003): of the points on a line the nearest, of the lines of a plane the
nearest, of the planes the nearest, each time leaving out what never is nearest between its two neighbours. Among points
that tie that comes down to rounding, which is done here in the same order.

All of it is one file: compiled code that was kept is made anew when its own file changes, not when another one does.
"""

from __future__ import annotations

import numpy as np

from ctatlas.kernels.compiled import compiled

LEAF = 8
SLACK = 1 + 1e-12  # squares this close may be one distance, rounded differently


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


@compiled
def settle(offsets: np.ndarray, spacing: np.ndarray) -> float:
    """Return the square of the distance to the point that SciPy takes.

    Parameters
    ----------
    offsets : (n, 3) int32
        From the query to the points that tie.
    spacing : (3,) float64
    """
    count = offsets.shape[0]
    order = np.arange(count)
    for n in range(1, count):  # few: by insertion, planes first, then lines, then places on the line
        moving, place = order[n], n
        while place > 0 and _comes_before(offsets[moving], offsets[order[place - 1]]):
            order[place] = order[place - 1]
            place -= 1
        order[place] = moving
    planes, plane_rests = np.empty(count, np.int64), np.empty(count, np.float64)
    lines, line_rests = np.empty(count, np.int64), np.empty(count, np.float64)
    n_planes, n = 0, 0
    while n < count:
        plane, n_lines = offsets[order[n], 2], 0
        while n < count and offsets[order[n], 2] == plane:
            line, along = offsets[order[n], 1], offsets[order[n], 0] * spacing[0]
            n_lines = _push(lines, line_rests, n_lines, line, along * along, spacing[1])
            while n < count and offsets[order[n], 2] == plane and offsets[order[n], 1] == line:
                n += 1
        rest = _first_low(lines, line_rests, n_lines, spacing[1])
        n_planes = _push(planes, plane_rests, n_planes, plane, rest, spacing[2])
    return _first_low(planes, plane_rests, n_planes, spacing[2])


@compiled
def _comes_before(one: np.ndarray, other: np.ndarray) -> bool:
    for axis in (2, 1, 0):
        if one[axis] != other[axis]:
            return bool(one[axis] < other[axis])
    return False


@compiled
def _push(places: np.ndarray, rests: np.ndarray, count: int, place: int, rest: float, spacing: float) -> int:
    """Put one more parabola (t - place)^2 + rest behind the others, and drop those that never are lowest any more."""
    while count >= 2:
        left, right = (places[count - 1] - places[count - 2]) * spacing, (place - places[count - 1]) * spacing
        both = left + right
        if both * rests[count - 1] - right * rests[count - 2] - left * rest - left * right * both <= 0.0:
            break
        count -= 1
    places[count], rests[count] = place, rest
    return count + 1


@compiled
def _first_low(places: np.ndarray, rests: np.ndarray, count: int, spacing: float) -> float:
    """Return the first value at 0 that the next parabola does not undercut."""
    low: float = rests[0] + (places[0] * spacing) ** 2
    for n in range(1, count):
        following = rests[n] + (places[n] * spacing) ** 2
        if low <= following:
            break
        low = following
    return low
