"""Resample an irregular stack to an orthogonal, evenly spaced grid, and say exactly what was done.

One rule for all defects. The new grid has the pixels of the first slice and slices at equal distances along the normal:
the regular distance where slices are missing, the smallest found where it varies. A new slice that lies where an old
one was is that one; any other is interpolated linearly between its two neighbours. Tilted slices are first shifted back
in their own plane (linear interpolation, -1024 HU outside) on a grid enlarged so that nothing is cut off.
Source: reference/volumes.md §2.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.volume.grid import Grid
from ctatlas.volume.hounsfield import PADDING_HU

if TYPE_CHECKING:
    from ctatlas.volume.formats.dicom.stack import Stack

_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_ON_SLICE = 1e-3  # of the distance to the next slice: what lies nearer is that slice
_ROUNDING_PIXELS = 0.05  # over the whole stack: a shift along an axis that is rounding of the headers


@dataclass(frozen=True, slots=True)
class Plan:
    """How the slices of a stack become those of a grid.

    Attributes
    ----------
    grid : Grid
    below : (k,) int
        Which old slice a new one takes, or lies behind.
    weight : (k,) float64
        Share of the next old slice, 0 where the new one is an old one.
    offset_pixels : (n, 2) float64
        Where on the new grid's plane each old slice's first pixel lies, along i and j, at least 0.
    lines : tuple of str
        What is done, for the record; empty for a regular stack.
    """

    grid: Grid
    below: np.ndarray
    weight: np.ndarray
    offset_pixels: np.ndarray
    lines: tuple[str, ...]


def plan(stack: Stack) -> Plan:
    """Find the grid of a stack, regular or with defects that can be mended.

    Raises
    ------
    ValueError
        When the positions span no grid.
    """
    below, weight, lines = _slices(stack)
    offsets, tilt_lines = _offsets(stack)
    first_pixels = np.floor(offsets.min(axis=0))
    pixels = stack.frames[0].image.pixels
    between_rows, between_columns = stack.frames[0].spacing_mm
    shape = np.array([pixels.columns, pixels.rows]) + _added(offsets)
    affine = np.eye(4)
    affine[:3, 0] = stack.axes[0] * between_columns
    affine[:3, 1] = stack.axes[1] * between_rows
    affine[:3, 2] = stack.axes[2] * stack.span_mm / max(1, len(below) - 1)
    affine[:3, 3] = stack.positions_mm[0] + affine[:3, :2] @ first_pixels
    grid = Grid((int(shape[0]), int(shape[1]), len(below)), _RAS_FROM_LPS @ affine)
    return Plan(grid, below, weight, offsets - first_pixels, (*tilt_lines, *lines))


def resampled(array: np.ndarray, plan: Plan) -> np.ndarray:
    """Bring the slices of a stack (i, j, n) onto the plan's grid, in the same type; int16 is rounded."""
    if not plan.lines:
        return array
    found = np.empty(plan.grid.shape, array.dtype, order="F")
    size = plan.grid.shape[:2]
    kept: dict[int, np.ndarray] = {}
    for k, (below, weight) in enumerate(zip(plan.below.tolist(), plan.weight.tolist(), strict=True)):
        needed = (below, below + 1) if weight else (below,)
        kept = {n: kept[n] if n in kept else _shifted(array[:, :, n], plan.offset_pixels[n], size) for n in needed}
        values = kept[below] if not weight else (1 - weight) * kept[below] + weight * kept[below + 1]
        values = np.where(np.isnan(values), PADDING_HU, values)
        found[:, :, k] = np.rint(values) if array.dtype == np.int16 else values
    return found


def _slices(stack: Stack) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return for each new slice the old one below it, the share of the next, and what is done."""
    n = len(stack.frames)
    if stack.steps is not None and (stack.steps == 1).all():
        return np.arange(n), np.zeros(n), []
    along = stack.along_mm - stack.along_mm[0]
    if stack.steps is not None:
        at = np.concatenate([[0], np.cumsum(stack.steps)]).astype(float)
        new = np.arange(int(at[-1]) + 1, dtype=float)
    else:
        at = along
        n_new = int(np.ceil(along[-1] / np.diff(along).min() - 0.1)) + 1
        new = np.linspace(0, along[-1], n_new)
    below = np.clip(np.searchsorted(at, new, side="right") - 1, 0, n - 1)
    above = np.minimum(below + 1, n - 1)
    gap = np.where(above > below, at[above] - at[below], 1.0)
    weight = (new - at[below]) / gap
    below, weight = np.where(weight > 1 - _ON_SLICE, above, below), np.where(weight > 1 - _ON_SLICE, 0.0, weight)
    weight[weight < _ON_SLICE] = 0.0
    if stack.steps is not None:
        made = np.flatnonzero(weight).tolist()
        what = f"{len(made)} missing slice{'s' * (len(made) > 1)}"
        return below, weight, [f"{what} interpolated linearly: k = {', '.join(map(str, made))}"]
    gaps = np.diff(along)
    line = (
        f"uneven slice distances ({gaps.min():.2f} to {gaps.max():.2f} mm) resampled linearly to "
        f"{along[-1] / (len(new) - 1):.4g} mm: {len(new)} slices from {n}"
    )
    return below, weight, [line]


def _offsets(stack: Stack) -> tuple[np.ndarray, list[str]]:
    """Return where each slice lies in the plane, in pixels along i and j; zeros for one that stands upright."""
    between_rows, between_columns = stack.frames[0].spacing_mm
    upright = np.zeros((len(stack.frames), 2))
    if stack.lean is None or not stack.lean.matters(min(between_rows, between_columns)):
        return upright, []
    moved_mm = (stack.positions_mm - stack.positions_mm[0]) @ stack.axes[:2].T
    offsets = moved_mm / (between_columns, between_rows)
    offsets[:, np.ptp(offsets, axis=0) < _ROUNDING_PIXELS] = 0
    added = _added(offsets)
    line = (
        f"gantry tilt of {stack.lean.degrees:.2f} degrees: slices shifted back in their plane by up to "
        f"{stack.lean.shift_mm:.2f} mm, linearly; {added[0]} columns and {added[1]} rows of {PADDING_HU} HU added"
    )
    return offsets, [line]


def _added(offsets: np.ndarray) -> np.ndarray:
    """Count the columns and rows by which shifted slices reach beyond the pixels of the first."""
    added: np.ndarray = (np.ceil(offsets.max(axis=0)) - np.floor(offsets.min(axis=0))).astype(int)
    return added


def _shifted(plane: np.ndarray, offset_pixels: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Lay a slice (i, j) on a larger plane, its first pixel at an offset; float64, nan outside: no blend takes it."""
    from scipy.ndimage import affine_transform

    if not offset_pixels.any() and plane.shape == size:
        return plane.astype(np.float64)
    shifted: np.ndarray = affine_transform(
        plane.astype(np.float64),
        [1.0, 1.0],
        offset=-offset_pixels,
        output_shape=size,
        order=1,
        mode="constant",
        cval=np.nan,
        prefilter=False,
    )
    return shifted
