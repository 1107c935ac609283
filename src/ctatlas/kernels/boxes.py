"""Boxes of voxels, half-open: lo <= index < hi."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Index = tuple[int, int, int]


class Box(NamedTuple):
    """A block of voxels."""

    lo: Index
    hi: Index

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Return what cuts the block out of an array."""
        a, b, c = (slice(lo, hi) for lo, hi in zip(self.lo, self.hi, strict=True))
        return a, b, c

    @property
    def shape(self) -> Index:
        """Return how many voxels it has along each axis."""
        a, b, c = (hi - lo for lo, hi in zip(self.lo, self.hi, strict=True))
        return a, b, c


def bounding_box(mask: np.ndarray) -> Box | None:
    """Find the smallest box that holds every true voxel of a mask (i, j, k); None when there is none."""
    plane = np.any(mask, axis=2)
    hits = [np.flatnonzero(line) for line in (plane.any(axis=1), plane.any(axis=0), np.any(mask, axis=(0, 1)))]
    if not hits[0].size:
        return None
    (a, d), (b, e), (c, f) = ((int(hit[0]), int(hit[-1]) + 1) for hit in hits)
    return Box((a, b, c), (d, e, f))


def widened(box: Box, margin: Index, shape: Index) -> Box:
    """Grow a box by a margin on every side, as far as an array of this shape goes."""
    a, b, c = (max(0, lo - more) for lo, more in zip(box.lo, margin, strict=True))
    d, e, f = (min(size, hi + more) for hi, more, size in zip(box.hi, margin, shape, strict=True))
    return Box((a, b, c), (d, e, f))
