"""Surface elements of label maps: the corners of voxels at which a structure meets what is outside of it.

A corner lies between eight voxels (four pixels in a plane); its neighbour code says which of them are inside. Source:
the convention of DeepMind's surface-distance (Nikolov et al. 2021). Outside the array nothing is inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np

from ctatlas.kernels.compiled import has_numba


@dataclass(frozen=True, slots=True)
class Surfels:
    """The surface elements of one structure.

    Attributes
    ----------
    keys : (n,) int64
        Flat indices into the array of all corners, ascending.
    codes : (n,) uint8
        Neighbour codes: the sum of 128 >> (4 i + 2 j + k) over the voxels inside, which lie at i, j, k = 0 (before the
        corner) or 1 (behind it).
    n_corners : (3,) int
        How many corners there are along each axis.
    """

    keys: np.ndarray
    codes: np.ndarray
    n_corners: tuple[int, int, int]

    def corners(self) -> np.ndarray:
        """Return where they lie, (n, 3) int32, in voxels; corner 0 is before voxel 0."""
        corners = np.empty((len(self.keys), 3), np.int32)
        lines, corners[:, 2] = np.divmod(self.keys, self.n_corners[2])
        corners[:, 0], corners[:, 1] = np.divmod(lines, self.n_corners[1])
        return corners


def surfels(labels: np.ndarray, index: np.ndarray, *, flat: bool = False) -> tuple[Surfels, ...]:
    """Find the surface elements of all structures of a label map in one pass.

    Parameters
    ----------
    labels : (x, y, z) uint8 or uint16
        In C order.
    index : (256,) or (65536,) int64
        The number of each label: 0 for label 0 and all that don't matter, each other number at most once.
    flat : bool
        Whether the one plane (x = 1) is a picture of two dimensions. Its contours have elements between four pixels,
        with codes of four bits; a slice of voxels has a surface on both sides.

    Returns
    -------
    tuple of Surfels
        By number; at 0 there are none.
    """
    find = _by_loops if has_numba() and labels.size else _by_numpy
    return find(labels, index, flat=flat)


def _by_loops(labels: np.ndarray, index: np.ndarray, *, flat: bool) -> tuple[Surfels, ...]:
    from ctatlas.kernels.loops.surfels import walk_corners

    n_x, n_y, n_z = (n + 1 for n in labels.shape)
    extent = (1, 15) if flat else (n_x, 255)
    in_word = 8 // labels.itemsize
    changes = np.zeros(-(-n_z // in_word) * in_word, labels.dtype)
    row = np.zeros(n_z, labels.dtype), changes, changes.view(np.uint64)
    counts = np.zeros(int(index.max()) + 1, np.int64)
    walk_corners(labels, index, extent, row, counts, np.empty(0, np.int64), np.empty(0, np.uint8))
    starts = np.concatenate([[0], np.cumsum(counts)])
    keys, codes = np.empty(starts[-1], np.int64), np.empty(starts[-1], np.uint8)
    if len(keys):
        walk_corners(labels, index, extent, row, starts[:-1].copy(), keys, codes)
    parts = [slice(start, stop) for start, stop in pairwise(starts)]
    return tuple(Surfels(keys[part], codes[part], (extent[0], n_y, n_z)) for part in parts)


def _by_numpy(labels: np.ndarray, index: np.ndarray, *, flat: bool) -> tuple[Surfels, ...]:
    from scipy.ndimage import find_objects

    n_x, n_y, n_z = (n + 1 for n in labels.shape)
    n_corners = (1 if flat else n_x, n_y, n_z)
    nothing = Surfels(np.empty(0, np.int64), np.empty(0, np.uint8), n_corners)
    found = [nothing] * (int(index.max()) + 1)
    for label, box in enumerate(find_objects(labels) if labels.size else (), start=1):
        if box is not None and index[label]:
            codes = _neighbour_codes(labels[box] == label)[: n_corners[0]]
            at = np.nonzero((codes != 0) & (codes != (15 if flat else 255)))
            corner = [place + extent.start for place, extent in zip(at, box, strict=True)]
            found[index[label]] = Surfels(np.ravel_multi_index(corner, n_corners), codes[at], n_corners)
    return tuple(found)


def _neighbour_codes(mask: np.ndarray) -> np.ndarray:
    """Return the code of every corner of an (x, y, z) mask, (x + 1, y + 1, z + 1) uint8."""
    padded = np.pad(mask, 1).astype(np.uint8)
    codes = np.zeros(np.array(mask.shape) + 1, np.uint8)
    for bit, (i, j, k) in enumerate(product((0, 1), repeat=3)):
        x, y, z = (slice(start, start + n) for start, n in zip((i, j, k), codes.shape, strict=True))
        codes |= padded[x, y, z] << np.uint8(7 - bit)
    return codes
