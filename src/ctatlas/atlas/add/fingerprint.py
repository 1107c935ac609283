"""Tell scans that are the same, or nearly: a hash of the voxels, and a small picture that survives what people do.

Source: published releases took scans for copies when shapes and numbers of positive voxels agreed, which misses copies
that were resampled or cropped and may merge different scans.
"""

from __future__ import annotations

import hashlib
import math
from functools import cache
from itertools import pairwise

import numpy as np

from ctatlas.atlas.add.body import coarse_body, repeated
from ctatlas.volume import Volume

SLAB_MM = 12.0
CELLS = 8  # along each axis of a slab
NEARLY = 0.93  # correlation; measured by benchmarks/atlas_add.py: different people at most 0.83
AT_LEAST_SLABS = 6  # that two scans share
AT_LEAST_SHARE = 0.5  # of the shorter scan's slabs

LOOKED_AT_AGAIN = 40  # scans, part on part; 14 ms each
MAY_BE = 0.4  # frame on frame: a copy that lost a fifth of the body on one side has 0.53 or more

_CUTS = np.arange(0, 0.33, 0.04)  # of the body's frame, on each side
_AT_MOST_CUT = 0.4  # of it, on both sides together
_AIR_HU, _CLIPPED_ABOVE_HU = -1000, -900
_MASS_HU = (-900.0, 100.0)  # nothing to solid: mass stays what it is when voxels are averaged
_OUTERMOST = 0.02  # of the body, on each side
_WINDOW_HU = (-200.0, 300.0)


def voxels_sha256(volume: Volume) -> str:
    """Hash a scan's voxels in the order of the patient's axes, whatever format and order of axes they came in.

    Two files of one scan hash alike even when one lost its place in the scanner's space.
    """
    scan = volume.reoriented("RAS")
    digest = hashlib.sha256(f"{scan.grid.shape} {scan.array.dtype.str}".encode())
    for k in range(scan.grid.shape[2]):
        digest.update(scan.array[:, :, k].tobytes(order="F"))
    return digest.hexdigest()


def fingerprint(volume: Volume) -> str:
    """Make a small picture of a scan: slabs of 12 mm from the feet up, 8 × 8 cells of mean HU over the body in each.

    What is outside of the body counts as air, and each slab is cut to most of the body, so that resampling, padding and
    cropping to the body alter little; cropped slices shift the slabs, and what cuts into the body moves its frame,
    which `likeness` allows for. Where HU were clipped from below, the lowest stands for air.

    Returns
    -------
    str
        128 hexadecimal digits a slab.
    """
    scan = _with_air(volume.reoriented("RAS"))
    n_slices = scan.grid.shape[2]
    body, (i, j, k) = coarse_body(scan)
    inside = repeated(body, (1, 1, k), (*body.shape[:2], n_slices))
    n_slabs = max(1, round(n_slices * scan.grid.spacing_mm[2] / SLAB_MM))
    edges = np.linspace(0, n_slices, n_slabs + 1).round().astype(int).tolist()
    slabs = []
    for low, high in pairwise(edges):
        part = slice(low, max(high, low + 1))
        values = np.where(inside[:, :, part], scan.array[::i, ::j, part], np.int16(_MASS_HU[0]))
        slabs.append(_cells(values.mean(axis=2, dtype=np.float32)))
    return np.concatenate(slabs).astype(np.uint8).tobytes().hex()


class Pictures:
    """The small pictures of many scans, to compare a new one with all of them at once.

    All are compared frame on frame, which takes one product of matrices; the most alike also part on part.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._pictures: list[str] = []
        self._slabs: list[np.ndarray] = []
        self._stacked: np.ndarray | None = None

    def add(self, name: str, picture: str) -> None:
        """Remember a scan's picture; an empty one is passed over."""
        if picture:
            self._names.append(name)
            self._pictures.append(picture)
            self._slabs.append(_standardised(_slabs(picture)))
            self._stacked = None

    def like(self, picture: str) -> list[tuple[str, float]]:
        """Return the scans that are nearly the same, with their correlation, the most alike first."""
        if not self._names or not picture:
            return []
        if self._stacked is None:
            self._stacked = np.concatenate(self._slabs)
        products = _standardised(_slabs(picture)) @ self._stacked.T  # (slabs, slabs of all others)
        ends = np.cumsum([len(other) for other in self._slabs])
        values = np.array([_best_shift(part) for part in np.split(products, ends[:-1], axis=1)])
        for n in np.argsort(-values)[:LOOKED_AT_AGAIN]:
            if values[n] >= MAY_BE:
                values[n] = likeness(picture, self._pictures[n])
        alike = [(name, float(value)) for name, value in zip(self._names, values, strict=True) if value >= NEARLY]
        return sorted(alike, key=lambda pair: -pair[1])


def likeness(one: str, other: str) -> float:
    """Return how alike two pictures are, -1 to 1.

    Returns
    -------
    float
        The highest mean correlation of their slabs over all shifts along the body, of either picture as a whole or of
        a part of it that the other may have been cut to.
    """
    slabs, others = _slabs(one), _slabs(other)
    return max(_best_part(slabs, others), _best_part(others, slabs))


def _best_part(slabs: np.ndarray, others: np.ndarray) -> float:
    """Compare parts of one picture with the other: the best between left and right, then between back and front."""
    fixed = _standardised(others)
    parts = slabs[None]
    best = -1.0
    for axis in (1, 2, 1):  # the first again, because the best of the second may show a better one
        values = [_best_shift(_standardised(part) @ fixed.T) for part in parts]
        best = max(best, *values)
        chosen = parts[int(np.argmax(values))]
        parts = np.moveaxis(np.tensordot(_windows(), chosen, (2, axis)), 1, axis + 1)
    return max(best, *(_best_shift(_standardised(part) @ fixed.T) for part in parts))


@cache
def _windows() -> np.ndarray:
    """Return matrices that stretch a part of 8 cells over 8 cells, (windows, 8, 8) float32; the whole comes first."""
    cuts = [(low, high) for low in _CUTS for high in _CUTS if low + high <= _AT_MOST_CUT]
    below, above = np.arange(CELLS), np.arange(CELLS) + 1
    found = []
    for low, high in cuts:
        edges = np.linspace(low, 1 - high, CELLS + 1) * CELLS
        shared = np.minimum(edges[1:, None], above) - np.maximum(edges[:-1, None], below)
        found.append(shared.clip(0) / np.diff(edges)[:, None])
    return np.array(found, np.float32)


def _best_shift(products: np.ndarray) -> float:
    """Return the best mean of a diagonal of slab correlations that is long enough."""
    n, m = products.shape
    needed = min(n, m, max(AT_LEAST_SLABS, math.ceil(AT_LEAST_SHARE * min(n, m))))
    totals = _diagonal_sums(products)
    places = np.arange(1, n + m)
    lengths = np.minimum(np.minimum(places, places[::-1]), min(n, m))
    return float(np.max(totals / lengths, where=lengths >= needed, initial=-1.0))


def _diagonal_sums(matrix: np.ndarray) -> np.ndarray:
    """Sum along all n + m - 1 diagonals of an (n, m) matrix."""
    n, m = matrix.shape
    padded = np.zeros((n, n + m), matrix.dtype)
    padded[:, :m] = matrix[::-1]
    sheared = padded.ravel()[: n * (n + m - 1)].reshape(n, n + m - 1)  # each row one further to the right
    return np.asarray(sheared.sum(axis=0))


def _slabs(picture: str) -> np.ndarray:
    """Return a picture's slabs, (slabs, 8, 8) float32."""
    return np.frombuffer(bytes.fromhex(picture), np.uint8).reshape(-1, CELLS, CELLS).astype(np.float32)


def _standardised(slabs: np.ndarray) -> np.ndarray:
    """Return (slabs, 64) float32, each slab of mean 0 and length 1; one without contrast is all 0."""
    flat = slabs.reshape(len(slabs), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(np.divide(flat, lengths, out=np.zeros_like(flat), where=lengths > 1e-3))


def _with_air(scan: Volume) -> Volume:
    """Return a scan with air again, where HU were clipped such that the lowest value is far above that of air."""
    lowest = int(scan.array.min())
    if lowest <= _CLIPPED_ABOVE_HU:
        return scan
    return Volume(np.where(scan.array == lowest, scan.array.dtype.type(_AIR_HU), scan.array), scan.grid, scan.facts)


def _cells(image: np.ndarray) -> np.ndarray:
    """Return the 64 cells of the body in one slab's image, 0 to 255; all 0 where there is none."""
    mass = np.clip(image, *_MASS_HU) - _MASS_HU[0]
    ends = [_middle_part(mass.sum(axis=1 - axis, dtype=np.float64)) for axis in (0, 1)]
    if any(high - low < CELLS for low, high in ends):
        return np.zeros(CELLS * CELLS)
    means = np.clip(image, *_WINDOW_HU)
    for axis, (low, high) in enumerate(ends):
        means = _binned(means, axis, low, high)
    low_hu, high_hu = _WINDOW_HU
    return np.asarray(np.rint((means - low_hu) / (high_hu - low_hu) * 255)).ravel()


def _middle_part(mass: np.ndarray) -> tuple[float, float]:
    """Return between which two places, in fractions of voxels, all but the outermost of a mass lies.

    Unlike the ends of a box these places hardly move when a table touches the skin or voxels are averaged.
    """
    if not mass.any():
        return 0.0, 0.0
    total = np.concatenate([[0], np.cumsum(mass)]) / mass.sum()
    low, high = np.interp([_OUTERMOST, 1 - _OUTERMOST], total, np.arange(len(total)))
    return float(low), float(high)


def _binned(image: np.ndarray, axis: int, low: float, high: float) -> np.ndarray:
    """Average rows or columns between two places into cells; one on an edge counts for both cells by its parts."""
    sums = np.concatenate([np.zeros_like(image.take([0], axis)), np.cumsum(image, axis, dtype=np.float64)], axis)
    edges = np.linspace(low, high, CELLS + 1)
    below = np.minimum(edges.astype(int), image.shape[axis] - 1)
    shape = [1, 1]
    shape[axis] = -1
    part = (edges - below).reshape(shape)
    at_edges = sums.take(below, axis) + part * image.take(below, axis)
    return np.asarray(np.diff(at_edges, axis=axis) * CELLS / (high - low))
