"""The middle line of a rib: from end to end along its inside, with the directions in which its ends point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import KDTree

from ctatlas.anatomy_rules.ribs.pieces import Piece, thinned

CELL_MM = 2.5  # half a rib's thickness: the line still bends with it
STEP_MM = 4.0  # between points of a line
ASLANT = 3  # points at an end that may lie aside, the tip among them
ENDS_MM = 16.0  # of a line that tell which way its end points: longer than a rib is thick, shorter than it bends


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """The middle line of a piece.

    Attributes
    ----------
    points_mm : (m, 3) float64
        World, from one end to the other; a single point where the piece is a crumb.
    length_mm : float
    radius_mm : float
        Of a round rod of the piece's length and volume.
    """

    points_mm: np.ndarray
    length_mm: float
    radius_mm: float

    def inner(self, which: int) -> np.ndarray:
        """Return the middle of the last whole slice before the first (0) or last (1) end, (3,) world mm."""
        return np.asarray(self._from(which)[self._whole])

    def outward(self, which: int) -> np.ndarray:
        """Return the direction, (3,) of length 1, in which an end points; zeros for a crumb."""
        line = self._from(which)
        way = line[self._whole] - line[min(len(line) - 1, self._whole + round(ENDS_MM / STEP_MM))]
        return np.asarray(way / max(float(np.linalg.norm(way)), 1e-9))

    def end(self, which: int) -> np.ndarray:
        """Return an end, (3,) world mm: as far as the piece reaches, amid what is often cut aslant."""
        inner, way = self.inner(which), self.outward(which)
        return np.asarray(inner + max(0.0, float((self._from(which)[0] - inner) @ way)) * way)

    @property
    def _whole(self) -> int:
        return min(len(self.points_mm) // 3, ASLANT)

    def _from(self, which: int) -> np.ndarray:
        return self.points_mm[::-1] if which else self.points_mm


def line_of(piece: Piece, spacing_mm: tuple[float, float, float]) -> Line:
    """Find the middle line of a piece: slices of equal way through it from its remotest point, averaged."""
    cells = thinned(piece.points_mm, CELL_MM)
    reach = max(2.2 * CELL_MM, 1.05 * float(np.linalg.norm(spacing_mm)))
    far = _ways(cells, reach, 0)
    first = int(np.argmax(np.where(np.isfinite(far), far, -1)))
    ways = _ways(cells, reach, first)
    held = np.isfinite(ways)
    cells, ways = cells[held], ways[held]
    steps = np.floor(ways / STEP_MM).astype(int)
    counts = np.bincount(steps)
    sums = np.stack([np.bincount(steps, weights=cells[:, axis]) for axis in range(3)], axis=1)
    points = sums[counts > 0] / counts[counts > 0, None]
    points = np.concatenate([_tip(cells, ways, 0), points, _tip(cells, ways, 1)])
    points = points[np.concatenate([[True], np.linalg.norm(np.diff(points, axis=0), axis=1) > 0.5])]
    length = float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
    radius = float(np.sqrt(piece.volume_mm3 / (np.pi * max(length, 1.0))))
    return Line(points, length, radius)


def _tip(cells: np.ndarray, ways: np.ndarray, which: int) -> np.ndarray:
    """Return the middle of the last cells at one end, (1, 3): slices end half a step before it."""
    near = ways <= CELL_MM if which == 0 else ways >= ways.max() - CELL_MM
    return np.asarray(cells[near].mean(axis=0, keepdims=True))


def _ways(cells: np.ndarray, reach_mm: float, start: int) -> np.ndarray:
    """Return how far each cell is from one of them on a way from neighbour to neighbour."""
    pairs = KDTree(cells).query_pairs(reach_mm, output_type="ndarray")
    lengths = np.linalg.norm(cells[pairs[:, 0]] - cells[pairs[:, 1]], axis=1)
    graph = coo_matrix((lengths, tuple(pairs.T)), shape=(len(cells), len(cells))).tocsr()
    ways: np.ndarray = dijkstra(graph, directed=False, indices=np.array([start]))[0]
    return ways
