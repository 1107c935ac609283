"""Bring both sides of a case onto one grid: by turning axes, by placing a part where it belongs, or by resampling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctatlas.benchmark.evaluate.notes import Note
from ctatlas.errors import ScanError
from ctatlas.kernels.sampled import nearest
from ctatlas.volume import Grid, Segmentation

_ON_A_VOXEL = 0.02  # voxels by which two lattices may be apart where they are one


class GeometryError(ScanError):
    """Say that two masks do not lie on the same voxels."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Both sides on one grid, and what was done to them."""

    gt: Segmentation
    pred: Segmentation
    notes: tuple[Note, ...] = ()


def on_one_grid(gt: Segmentation, pred: Segmentation, *, has_part: bool = False, resample: bool = False) -> Placed:
    """Bring a prediction onto the grid of its reference.

    Parameters
    ----------
    gt, pred : Segmentation
    has_part : bool
        Whether one of them may hold only a part of the scan's voxels, as a DICOM SEG does: what lies on the same
        lattice of voxels then is put into the grid that holds both.
    resample : bool
        Whether the nearest voxel is taken where the voxels differ.

    Raises
    ------
    GeometryError
        When the voxels lie elsewhere and may not be resampled.
    """
    turned = pred.reoriented(gt.grid.orientation)
    if turned.grid.is_like(gt.grid):
        return Placed(gt, Segmentation(gt.grid, turned.layers, turned.places))
    offset = lattice_offset(gt.grid, turned.grid)
    if has_part and offset is not None:
        return _in_common(gt, turned, offset)
    if not resample:
        raise GeometryError(_mismatch(gt.grid, turned.grid))
    return _resampled(gt, turned)


def lattice_offset(grid: Grid, other: Grid) -> tuple[int, int, int] | None:
    """Return the index in `grid` of another grid's first voxel when both are parts of one lattice, else None."""
    offsets = grid.voxel(other.corners_mm) - other.voxel(other.corners_mm)  # of each corner; all alike and whole
    steps = np.rint(offsets[0])
    if np.abs(offsets - steps).max() > _ON_A_VOXEL:
        return None
    i, j, k = steps.astype(int).tolist()
    return i, j, k


def _in_common(gt: Segmentation, pred: Segmentation, offset: tuple[int, int, int]) -> Placed:
    """Put two parts of one lattice into the grid that holds both; what a part leaves out is background."""
    low = np.minimum(0, offset)
    high = np.maximum(gt.grid.shape, np.add(offset, pred.grid.shape))
    grid = gt.grid.crop(low, high)
    return Placed(_placed(gt, grid, -low), _placed(pred, grid, np.subtract(offset, low)))


def _placed(part: Segmentation, grid: Grid, at: np.ndarray) -> Segmentation:
    if part.grid.shape == grid.shape:
        return Segmentation(grid, part.layers, part.places)
    i, j, k = (slice(start, start + n) for start, n in zip(at.tolist(), part.grid.shape, strict=True))
    layers = []
    for layer in part.layers:
        whole = np.zeros(grid.shape, np.uint8, order="F")
        whole[i, j, k] = layer
        layers.append(whole)
    return Segmentation(grid, tuple(layers), part.places)


def _resampled(gt: Segmentation, pred: Segmentation) -> Placed:
    grid = gt.grid
    voxel_from_world = np.linalg.inv(pred.grid.affine)
    layers = tuple(nearest(layer, voxel_from_world @ grid.affine, grid.shape) for layer in pred.layers)
    lo, hi = -0.5, np.array(pred.grid.shape) - 0.5
    corners = pred.grid.voxel(grid.corners_mm)
    outside = bool(((corners < lo) | (corners > hi)).any())
    beyond = "; part of the reference's grid lies outside the prediction's, where nothing is predicted" * outside
    text = f"{_grids(grid, pred.grid)}: resampled to the reference's grid, nearest voxel{beyond}"
    return Placed(gt, Segmentation(grid, layers, pred.places), (Note("resampled", text),))


def _mismatch(gt: Grid, pred: Grid) -> str:
    return f"{_grids(gt, pred)}; expected the reference's voxels. --resample takes the nearest voxel, and says so"


def _grids(gt: Grid, pred: Grid) -> str:
    if gt.shape == pred.shape:
        apart_mm = float(np.linalg.norm(gt.corners_mm - pred.corners_mm, axis=1).max())
        return f"the prediction's voxels lie up to {apart_mm:.3g} mm from the reference's"
    return f"the prediction lies on another grid ({_said(pred)}) than the reference ({_said(gt)})"


def _said(grid: Grid) -> str:
    shape, spacing = " x ".join(map(str, grid.shape)), " x ".join(f"{mm:.3g}" for mm in grid.spacing_mm)
    return f"{shape} voxels of {spacing} mm"
