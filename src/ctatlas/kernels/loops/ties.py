"""Which of several points at one distance SciPy's distance transform takes.

Squares of distances that are equal in mathematics may differ in their last bit, by which of the points they come from.
SciPy goes axis by axis (Maurer, Qi, Raghavan 2003): of the points on a line the nearest, of the lines of a plane the
nearest, of the planes the nearest, each time leaving out what never is nearest between its two neighbours. Among points
that tie that comes down to rounding, which is done here in the same order.
"""

from __future__ import annotations

import numpy as np

from ctatlas.kernels.compiled import compiled


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
