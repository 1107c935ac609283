"""From logits on the network's grid to labels on the scan's, slab after slab.

nnU-Net restores every class to the scan's grid in half precision and then takes the highest. Here no more than a slab
of slices is ever restored, and of that only what is in doubt: where the lowest of eight neighbours in one class is
above the highest in any other, that class wins whatever is interpolated. Labels are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import expit, softmax

from ctatlas.inference.nnunet.lines import Line, Lines, Points, between, lines_between
from ctatlas.inference.nnunet.prepare import Way
from ctatlas.inference.nnunet.resample import Shape, resample
from ctatlas.kernels.compiled import has_numba
from ctatlas.models.nnunet import Configuration, Dataset

SLAB_VOXELS = 2**21  # of the scan, so that a slab of slices takes some megabytes a class at the network's spacing
_AT_ONCE = 2**18  # voxels in doubt


def export_labels(restored: Restored, dataset: Dataset, *, slab_voxels: int = SLAB_VOXELS) -> np.ndarray:
    """Turn logits on the network's grid into labels (z, y, x) on the scan's, uint8 or uint16."""
    way = restored.way
    dtype = np.uint8 if len(dataset.label_values) < 255 else np.uint16
    labels = np.zeros(way.shape, dtype)
    inside = labels[way.box.slices]
    for lo, hi in restored.slabs(slab_voxels):
        inside[lo:hi] = restored.labels(lo, hi, dataset)
    return labels.transpose(way.backward)


@dataclass(frozen=True, slots=True)
class Restored:
    """Logits (n, z, y, x) on the network's grid as they are on the part of the scan that it saw.

    Attributes
    ----------
    logits : (n, z, y, x) float16 or float32
    way : Way
    configuration : Configuration
    """

    logits: np.ndarray
    way: Way
    configuration: Configuration

    @property
    def shape(self) -> Shape:
        """Return the shape of that part."""
        return self.way.box.shape

    @property
    def lines(self) -> Lines | None:
        """Return how its voxels lie between the network's; None where each depends on more than its neighbours."""
        how = self.configuration.resampling_probabilities
        return lines_between(self.logits.shape[1:], self.shape, how, self.way.new_spacing, self.way.spacing)

    def slabs(self, voxels: int = SLAB_VOXELS) -> Iterator[tuple[int, int]]:
        """Cut the part into slabs along its first axis; in one piece where interpolation reaches across."""
        thickness = max(1, voxels // (self.shape[1] * self.shape[2])) if self.lines else self.shape[0]
        for lo in range(0, self.shape[0], thickness):
            yield lo, min(self.shape[0], lo + thickness)

    def slab(self, lo: int, hi: int) -> np.ndarray:
        """Restore some slices of every class, (n, hi - lo, y, x) of the type of the logits."""
        return np.stack([self.plane(channel, lo, hi) for channel in range(len(self.logits))])

    def plane(self, channel: int, lo: int, hi: int) -> np.ndarray:
        """Restore some slices of one class."""
        lines, values = self.lines, self.logits[channel]
        if lines is None:
            how = self.configuration.resampling_probabilities
            (whole,) = resample(values[None], self.shape, how, self.way.new_spacing, self.way.spacing)
            return np.asarray(whole[lo:hi])
        rows, within = _rows(lines, lo, hi)
        return between(values[rows].astype(np.float64), within).astype(values.dtype)

    def labels(self, lo: int, hi: int, dataset: Dataset) -> np.ndarray:
        """Decide some slices: by the highest logit, or of regions by the last that is likely."""
        lines = self.lines
        if dataset.regions_class_order is not None:
            return self._regions(lo, hi, dataset.regions_class_order)
        if lines is None:
            return _highest(self.plane(channel, lo, hi) for channel in range(len(self.logits)))
        rows, within = _rows(lines, lo, hi)
        return highest_between(self.logits[:, rows], within)

    def probabilities(self, lo: int, hi: int, dataset: Dataset) -> np.ndarray:
        """Return the probabilities of some slices, (n, hi - lo, y, x) float32: of one class among all, or of each."""
        found = self.slab(lo, hi).astype(np.float32)
        return np.asarray(expit(found) if dataset.has_regions else softmax(found, axis=0))

    def _regions(self, lo: int, hi: int, values: tuple[int, ...]) -> np.ndarray:
        labels = np.zeros((hi - lo, *self.shape[1:]), np.uint16)
        for channel, value in enumerate(values):
            labels[self._likely(channel, lo, hi)] = value
        return labels

    def _likely(self, channel: int, lo: int, hi: int) -> np.ndarray:
        lines = self.lines
        if lines is None:
            return self.plane(channel, lo, hi) >= least_likely()
        rows, within = _rows(lines, lo, hi)
        return likely_between(self.logits[channel, rows], within)


def highest_between(logits: np.ndarray, lines: Lines) -> np.ndarray:
    """Return the class whose restored logit is highest at every new voxel, the lowest class of several.

    Parameters
    ----------
    logits : (n, z, y, x) float16 or float32
    lines : Lines

    Notes
    -----
    A restored logit, rounded to the logits' precision, never leaves the range of its eight neighbours. So only classes
    whose highest neighbour reaches the highest of the classes' lowest neighbours can win.
    """
    least, most = _ranges(logits)
    possible = most >= least.max(0)
    by_loops = has_numba() and logits.dtype in {np.dtype(np.float16), np.dtype(np.float32)}
    return _by_loops(logits, lines, possible) if by_loops else _by_numpy(logits, lines, possible)


def _by_loops(logits: np.ndarray, lines: Lines, possible: np.ndarray) -> np.ndarray:
    from ctatlas.kernels.loops.highest import highest_between_neighbours

    z, y, x = (line.parts for line in lines)
    found = np.empty((len(z[0]), len(y[0]), len(x[0])), np.uint16)
    highest_between_neighbours(
        np.ascontiguousarray(np.moveaxis(logits, 0, -1), np.float32),
        np.ascontiguousarray(np.moveaxis(possible, 0, -1)),
        possible.argmax(0).astype(np.uint16),
        np.count_nonzero(possible, axis=0) == 1,
        z,
        y,
        x,
        logits.dtype == np.float16,
        found,
    )
    return found


def _by_numpy(logits: np.ndarray, lines: Lines, possible: np.ndarray) -> np.ndarray:
    n_possible = np.count_nonzero(possible, axis=0)
    first = possible.argmax(0).astype(np.uint16)
    at = np.ix_(lines.z.below, lines.y.below, lines.x.below)
    labels: np.ndarray = first[at]
    doubtful = np.flatnonzero(n_possible[at] > 1)
    flat, found = logits.reshape(len(logits), -1), labels.reshape(-1)
    possible = possible.reshape(len(logits), -1)
    for start in range(0, len(doubtful), _AT_ONCE):
        piece = doubtful[start : start + _AT_ONCE]
        z, y, x = np.unravel_index(piece, labels.shape)
        found[piece] = _highest_at(Points(lines, logits.shape[1:], (z, y, x)), flat, possible)
    return labels


def _highest_at(points: Points, flat: np.ndarray, possible: np.ndarray) -> np.ndarray:
    best = np.full(len(points.cells), -np.inf, flat.dtype)
    winner = np.zeros(len(points.cells), np.uint16)
    for channel, values in enumerate(flat):
        which = np.flatnonzero(possible[channel][points.cells])
        if not len(which):
            continue
        here = points.values(values.astype(np.float64), which).astype(flat.dtype)
        ahead = here > best[which]
        best[which[ahead]] = here[ahead]
        winner[which[ahead]] = channel
    return winner


def likely_between(logits: np.ndarray, lines: Lines) -> np.ndarray:
    """Tell at which new voxels one class's restored logits (z, y, x) make it likely, bool."""
    (least,), (most,) = _ranges(logits[None])
    at = np.ix_(lines.z.below, lines.y.below, lines.x.below)
    found: np.ndarray = (least >= least_likely())[at]
    doubtful = np.flatnonzero((most >= least_likely())[at] & ~found)
    flat, values = found.reshape(-1), logits.reshape(-1).astype(np.float64)
    for start in range(0, len(doubtful), _AT_ONCE):
        piece = doubtful[start : start + _AT_ONCE]
        z, y, x = np.unravel_index(piece, found.shape)
        restored = Points(lines, logits.shape, (z, y, x)).values(values, np.arange(len(piece)))
        flat[piece] = restored.astype(logits.dtype) >= least_likely()
    return found


def _ranges(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the most of each voxel and its seven neighbours above, class by class, float32."""
    least = logits.astype(np.float32)
    most = least.copy()
    for axis in (1, 2, 3):
        lower = tuple(slice(None, -1) if each == axis else slice(None) for each in range(4))
        upper = tuple(slice(1, None) if each == axis else slice(None) for each in range(4))
        least[lower] = np.minimum(least[lower], least[upper])
        most[lower] = np.maximum(most[lower], most[upper])
    return least, most


def _highest(planes: Iterator[np.ndarray]) -> np.ndarray:
    """Return the index of the highest plane everywhere, the first of several; one plane after the other is made."""
    best = next(planes)
    winner = np.zeros(best.shape, np.uint16)
    for channel, plane in enumerate(planes, start=1):
        ahead = plane > best
        best[ahead] = plane[ahead]
        winner[ahead] = channel
    return winner


def _rows(lines: Lines, lo: int, hi: int) -> tuple[slice, Lines]:
    """Return the old slices between which some new ones lie, and the lines that start there."""
    z: Line = lines.z.part(lo, hi)
    first, last = int(z.below.min()), int(z.above.max())
    return slice(first, last + 1), lines._replace(z=z.less(first))


@cache
def least_likely() -> np.float16:
    """Return the least logit in half precision whose probability in single precision is more than one half."""
    ascending = np.arange(0, 1000, dtype=np.uint16).view(np.float16)
    return np.float16(ascending[expit(ascending.astype(np.float32)) > 0.5][0])
