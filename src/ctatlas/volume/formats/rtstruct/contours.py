"""Closed lines around a mask, half a pixel from its outermost pixel centres, so that filling them gives the mask again.

A hole is a keyhole: the line leads to it through a channel without width and back the same way. Programs that take the
union of all lines, and such as take their exclusive or, then agree.
Source: reference/volumes.md §7, measured with plastimatch; DICOM PS3.3 C.8.8.6.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

Point = tuple[int, int]  # column and row, doubled: every point lies half-way between two pixel centres


def contours(mask: np.ndarray) -> list[np.ndarray]:
    """Draw around a mask.

    Parameters
    ----------
    mask : (rows, columns) bool

    Returns
    -------
    list of (n, 2) float
        Column and row of points in pixels, at least 4 a line, the first not repeated at the end. Islands, also those in
        holes, are lines of their own.

    Examples
    --------
    >>> [line.tolist() for line in contours(np.array([[False, True]]))]
    [[[0.5, 0.0], [1.0, -0.5], [1.5, 0.0], [1.0, 0.5]]]
    """
    if not mask.any():
        return []
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, left = int(rows[0]) - 1, int(columns[0]) - 1
    padded = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
    lines = [_without_straight_points(_keyholed(rings, padded)) for rings in _polygons(padded)]
    return [line / 2 + (left, top) for line in lines]


def _polygons(padded: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Yield the rings of each connected part, (n, 2) doubled column and row: the outer line first, then its holes.

    Each begins at its leftmost point, the uppermost of these: where contourpy begins varies between its builds.
    """
    from contourpy import FillType, contour_generator

    generator: Any = contour_generator(z=padded.astype(np.float64), name="serial", fill_type=FillType.OuterOffset)
    for points, offsets in zip(*generator.filled(0.5, 2.0), strict=True):
        doubled = np.rint(points * 2).astype(np.int64)
        yield [_from_leftmost(doubled[a : b - 1]) for a, b in pairwise(offsets)]  # the last is the first


def _from_leftmost(ring: np.ndarray) -> np.ndarray:
    return np.roll(ring, -int(np.lexsort((ring[:, 1], ring[:, 0]))[0]), axis=0)


def _keyholed(rings: list[np.ndarray], padded: np.ndarray) -> np.ndarray:
    """Join a polygon's rings into one line.

    From its leftmost point, where it begins, each hole is reached along a row from the left, from the first ring met
    there, which is the outer one or a hole that begins further left: so channels neither cross nor run in a circle.
    """
    if len(rings) == 1:
        return rings[0]
    last_outside = np.maximum.accumulate(np.where(padded, -1, np.arange(padded.shape[1])), axis=1)
    doors: dict[Point, np.ndarray] = {}
    for ring in rings[1:]:
        column, row = ring[0].tolist()
        doors[2 * int(last_outside[row // 2, (column - 1) // 2]) + 1, row] = ring
    return np.array(_walk(rings[0], doors))


def _walk(outer: np.ndarray, doors: dict[Point, np.ndarray]) -> list[Point]:
    """Walk along a ring; at a door go through, round the hole and its own doors, and back."""
    path: list[Point] = []
    ways = [iter(outer.tolist())]
    back: list[Point] = []
    while ways:
        step = next(ways[-1], None)
        if step is None:
            ways.pop()
            path += [back.pop()] if back else []
            continue
        point = (step[0], step[1])
        path.append(point)
        if point in doors:
            hole = doors.pop(point).tolist()
            ways.append(iter([*hole, hole[0]]))
            back.append(point)
    return path


def _without_straight_points(line: np.ndarray) -> np.ndarray:
    """Leave out points on the way straight on; where the line turns back they stay."""
    before, after = line - np.roll(line, 1, axis=0), np.roll(line, -1, axis=0) - line
    turn = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    ahead = (before * after).sum(axis=1)
    kept: np.ndarray = line[(turn != 0) | (ahead <= 0)]
    return kept
