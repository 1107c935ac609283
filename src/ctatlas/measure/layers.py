"""Label maps laid out for the kernels: rows along the last axis, whatever the order of an image's axes in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ctatlas.kernels.surfels import Surfels, surfels


@dataclass(frozen=True)
class Layer:
    """A label map and the structures in it that matter.

    Attributes
    ----------
    labels : (x, y, z) uint8 or uint16
        In C order.
    number_of : mapping of int to int
        Label -> the number under which kernels know it, from 1 on.
    flat : bool
        Whether it is a picture.
    """

    labels: np.ndarray
    number_of: Mapping[int, int]
    flat: bool

    @cached_property
    def index(self) -> np.ndarray:
        """Label -> number for every label there could be."""
        index = np.zeros(np.iinfo(self.labels.dtype).max + 1, np.int64)
        index[list(self.number_of)] = list(self.number_of.values())
        return index

    @cached_property
    def surfels(self) -> tuple[Surfels, ...]:
        """The surface elements of all structures, by number."""
        return surfels(self.labels, self.index, flat=self.flat)


@dataclass(frozen=True, slots=True)
class Layout:
    """How images were turned to be laid out.

    Attributes
    ----------
    turned : bool
        Whether the axes come in reverse order.
    flat : bool
        Whether it is a picture, to which a first axis of length 1 was added.
    """

    turned: bool
    flat: bool

    @classmethod
    def of(cls, image: np.ndarray) -> Layout:
        """Choose the layout that needs no copy of the image, where there is one."""
        return cls(image.flags.f_contiguous and not image.flags.c_contiguous, image.ndim == 2)

    def laid(self, image: np.ndarray) -> np.ndarray:
        """Return the image (i, j, k) or (i, j) as (x, y, z) in C order."""
        array = np.ascontiguousarray(image.T if self.turned else image)
        return array[None] if self.flat else array

    def image(self, array: np.ndarray) -> np.ndarray:
        """Return (x, y, z) in the order of the image's axes."""
        plain = array.reshape(array.shape[1:]) if self.flat else array
        return plain.T if self.turned else plain

    def laid_spacing(self, spacing_mm: Sequence[float]) -> tuple[float, float, float]:
        """Return the image's spacing along the axes laid out; that across a picture is 1 mm."""
        ordered = spacing_mm[::-1] if self.turned else spacing_mm
        x, y, z = (1.0, *ordered) if self.flat else ordered
        return x, y, z
