"""An array that is zero outside a box: a structure's map without the rest of the body around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ctatlas.kernels.boxes import Box, Index, bounding_box

NOWHERE = Box((0, 0, 0), (0, 0, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Boxed:
    """An array (i, j, k) of which only the part inside a box is held; it is zero (False) elsewhere.

    Attributes
    ----------
    shape : (3,) int
        Of the whole array.
    box : Box
        Where `values` lie in it.
    values : array of the box's shape
    """

    shape: Index
    box: Box
    values: np.ndarray

    @classmethod
    def of(cls, array: np.ndarray) -> Boxed:
        """Keep the smallest box of an array that holds everything but zeros; the values are copied."""
        i, j, k = array.shape
        box = bounding_box(array) or NOWHERE
        return cls((i, j, k), box, array[box.slices].copy(order="F"))

    @classmethod
    def zeros(cls, shape: Index, box: Box, dtype: np.dtype[np.generic] | type[np.generic]) -> Boxed:
        """Make one that is zero in its box too, to be filled."""
        return cls(shape, box, np.zeros(box.shape, dtype, order="F"))

    def whole(self) -> np.ndarray:
        """Return the whole array, in the memory order of scans."""
        array = np.zeros(self.shape, self.values.dtype, order="F")
        array[self.box.slices] = self.values
        return array

    def within(self, box: Box) -> np.ndarray:
        """Return the part of the whole array that lies in a box; a view where that lies inside its own."""
        common = overlap(self.box, box)
        if common == box:
            return self.values[_inside(box, self.box)]
        part = np.zeros(box.shape, self.values.dtype, order="F")
        if common is not None:
            part[_inside(common, box)] = self.values[_inside(common, self.box)]
        return part

    def tight(self) -> Boxed:
        """Shrink the box to what is not zero."""
        found = bounding_box(self.values)
        if found is None:
            return Boxed(self.shape, NOWHERE, self.values[NOWHERE.slices])
        values = self.values[found.slices]
        return Boxed(self.shape, _moved(found, self.box.lo), values.copy(order="F"))


def overlap(a: Box, b: Box) -> Box | None:
    """Return the voxels that two boxes share, None where they share none."""
    lo = tuple(max(pair) for pair in zip(a.lo, b.lo, strict=True))
    hi = tuple(min(pair) for pair in zip(a.hi, b.hi, strict=True))
    if any(low >= high for low, high in zip(lo, hi, strict=True)):
        return None
    return Box((lo[0], lo[1], lo[2]), (hi[0], hi[1], hi[2]))


def around(boxes: Iterable[Box]) -> Box:
    """Return the smallest box around several; empty ones don't count."""
    full = [box for box in boxes if min(box.shape) > 0]
    if not full:
        return NOWHERE
    lo = np.min([box.lo for box in full], axis=0).tolist()
    hi = np.max([box.hi for box in full], axis=0).tolist()
    return Box((lo[0], lo[1], lo[2]), (hi[0], hi[1], hi[2]))


def slabs(box: Box, at_most_voxels: int = 2**20) -> Iterator[Box]:
    """Cut a box into slices along k, as many together as the limit allows, at least one."""
    i, j, _ = box.shape
    thickness = max(1, at_most_voxels // max(1, i * j))
    for k in range(box.lo[2], box.hi[2], thickness):
        yield Box((*box.lo[:2], k), (*box.hi[:2], min(box.hi[2], k + thickness)))


def _inside(box: Box, other: Box) -> tuple[slice, slice, slice]:
    """Return where a box lies within another one, as slices of that."""
    return _moved(box, (-other.lo[0], -other.lo[1], -other.lo[2])).slices


def _moved(box: Box, by: Index) -> Box:
    lo = [a + b for a, b in zip(box.lo, by, strict=True)]
    hi = [a + b for a, b in zip(box.hi, by, strict=True)]
    return Box((lo[0], lo[1], lo[2]), (hi[0], hi[1], hi[2]))
