"""Tell scans that are the same, or nearly: a hash of the voxels, and a small picture that survives what people do.

Source: published releases took scans for copies when shapes and numbers of positive voxels agreed, which misses copies
that were resampled or cropped and may merge different scans.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np

from ctatlas.atlas.add.body import coarse_body, repeated
from ctatlas.volume import Grid, Volume

SLAB_MM = 12.0
CELLS = 8  # along each axis of a slab
_USUAL_MM = 400.0  # along each axis: a field of view, a torso
_LEAST_MATRIX = 128  # rows and columns of a slice
_UNSCALED_SLABS = 12  # of a scan whose voxels have no lengths, if it has so many slices

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
    which `likeness` allows for. Where HU were clipped from below, the lowest stands for air. Voxels of exactly 1 mm
    each way may be those of a header that says nothing: then slices lie along the axis that is unlike the others, and
    are parted into at least 12 slabs.

    Returns
    -------
    str
        128 hexadecimal digits a slab.
    """
    scan = _with_air(_standing(volume.reoriented("RAS")))
    n_slices = scan.grid.shape[2]
    body, (i, j, k) = coarse_body(_as_large_as_people(scan))
    inside = repeated(body, (1, 1, k), (*body.shape[:2], n_slices))
    n_slabs = max(1, round(n_slices * scan.grid.spacing_mm[2] / SLAB_MM))
    if _may_be_unscaled(scan.grid):
        n_slabs = max(n_slabs, min(n_slices, _UNSCALED_SLABS))
    edges = np.linspace(0, n_slices, n_slabs + 1).round().astype(int).tolist()
    slabs = []
    for low, high in pairwise(edges):
        part = slice(low, max(high, low + 1))
        values = np.where(inside[:, :, part], scan.array[::i, ::j, part], np.int16(_MASS_HU[0]))
        slabs.append(_cells(values.mean(axis=2, dtype=np.float32)))
    return np.concatenate(slabs).astype(np.uint8).tobytes().hex()


def _may_be_unscaled(grid: Grid) -> bool:
    return all(mm == 1 for mm in grid.spacing_mm)


def _standing(scan: Volume) -> Volume:
    """Return a scan with its slices along the last axis, where the header may say nothing about axes.

    Slices are square, as scanners make them.
    """
    shape = scan.grid.shape
    alone = [axis for axis in range(3) if shape.count(shape[axis]) == 1]
    if not _may_be_unscaled(scan.grid) or len(alone) != 1 or shape[alone[0] - 1] < _LEAST_MATRIX:
        return scan
    array = np.asfortranarray(np.moveaxis(scan.array, alone[0], 2))
    return Volume(array, Grid(array.shape, np.eye(4)), scan.facts)


def _as_large_as_people(scan: Volume) -> Volume:
    """Return a scan with voxels of usual lengths where the header may say none: the skin is sought in mm."""
    if not _may_be_unscaled(scan.grid):
        return scan
    i, j, k = scan.grid.shape
    in_plane = _USUAL_MM / max(i, j)
    return Volume(scan.array, Grid(scan.grid.shape, np.diag([in_plane, in_plane, _USUAL_MM / k, 1])), scan.facts)


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
