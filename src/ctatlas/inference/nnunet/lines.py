"""Where the voxels of one grid lie between those of another, to the last bit as SciPy's splines of order 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ctatlas.inference.nnunet.resample import Shape, axis_apart, centres
from ctatlas.models.nnunet import Resampling


@dataclass(frozen=True, slots=True)
class Line:
    """New voxels along an axis: their neighbours below and above, and how much each counts, (m,) each."""

    below: np.ndarray
    above: np.ndarray
    of_below: np.ndarray
    of_above: np.ndarray

    @property
    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all four, neighbours first."""
        below, above, of_below, of_above = map(
            np.ascontiguousarray, (self.below, self.above, self.of_below, self.of_above)
        )
        return below, above, of_below, of_above

    def part(self, lo: int, hi: int) -> Line:
        """Return some of the new voxels."""
        return Line(self.below[lo:hi], self.above[lo:hi], self.of_below[lo:hi], self.of_above[lo:hi])

    def less(self, start: int) -> Line:
        """Return the same line where the first `start` old voxels are left out."""
        return Line(self.below - start, self.above - start, self.of_below, self.of_above)


class Lines(NamedTuple):
    """One line an axis."""

    z: Line
    y: Line
    x: Line


def linear(size: int, new_size: int) -> Line:
    """Lay new voxels over the same field of view; beyond the ends both neighbours are the last voxel."""
    places = (np.arange(new_size) + 0.5) * (size / new_size) - 0.5
    below = np.floor(places).astype(np.intp)
    of_below = 1.0 - (places - below)
    return Line(below.clip(0, size - 1), (below + 1).clip(0, size - 1), of_below, 1.0 - of_below)


def nearest(size: int, new_size: int) -> Line:
    """Take each new voxel from the nearest old one."""
    below = np.floor(centres(size, new_size) + 0.5).astype(np.intp).clip(0, size - 1)
    return Line(below, below, np.ones(new_size), np.zeros(new_size))


def lines_between(
    shape: Shape, new_shape: Shape, how: Resampling, spacing: Sequence[float], new_spacing: Sequence[float]
) -> Lines | None:
    """Return the lines by which logits go from one grid to another; None where that is not linear or nearest."""
    same = tuple(shape) == tuple(new_shape) or how.kind == "none"
    if not same and (how.kind != "default" or how.order != 1):
        return None
    apart = None if same else axis_apart(how, spacing, new_spacing)
    if apart is not None and how.order_z != 0 and shape[apart] != new_shape[apart]:
        return None
    sizes = enumerate(zip(shape, new_shape, strict=True))
    z, y, x = ((nearest if same or axis == apart else linear)(old, new) for axis, (old, new) in sizes)
    return Lines(z, y, x)


def between(values: np.ndarray, lines: Lines) -> np.ndarray:
    """Evaluate values (z, y, x) float64 at every new voxel.

    Notes
    -----
    Products and sums are those of `scipy.ndimage.zoom` in their order, so that the results are the same bits.
    """
    found = np.zeros((len(lines.z.below), len(lines.y.below), len(lines.x.below)))
    for z, of_z in ((lines.z.below, lines.z.of_below), (lines.z.above, lines.z.of_above)):
        plane = values[z] * of_z[:, None, None]
        for y, of_y in ((lines.y.below, lines.y.of_below), (lines.y.above, lines.y.of_above)):
            row = plane[:, y] * of_y[:, None]
            for x, of_x in ((lines.x.below, lines.x.of_below), (lines.x.above, lines.x.of_above)):
                found += row[:, :, x] * of_x
    return found


class Points:
    """Some of the new voxels: what is needed to evaluate any class there."""

    def __init__(self, lines: Lines, shape: Shape, places: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        """Take the indices of new voxels along z, y and x, (p,) each, and the shape of the old grid."""
        _, n_y, n_x = shape
        self._weights: list[tuple[np.ndarray, np.ndarray]] = []
        flat: list[tuple[np.ndarray, np.ndarray]] = []
        for line, at, step in zip(lines, places, (n_y * n_x, n_x, 1), strict=True):
            flat.append((line.below[at] * step, line.above[at] * step))
            self._weights.append((line.of_below[at], line.of_above[at]))
        self.cells = flat[0][0] + flat[1][0] + flat[2][0]
        self._flat = flat

    def values(self, old: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Evaluate old values, flat float64, at those of the points that `which` indexes; as `between` does."""
        found = np.zeros(len(which))
        (z, y, x), (of_z, of_y, of_x) = self._flat, self._weights
        for a in (0, 1):
            at_z, by_z = z[a][which], of_z[a][which]
            for b in (0, 1):
                at_y, by_y = at_z + y[b][which], of_y[b][which]
                for c in (0, 1):
                    found += old[at_y + x[c][which]] * by_z * by_y * of_x[c][which]
        return found
