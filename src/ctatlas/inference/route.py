"""The way from a scan's grid to the network's grid, and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.kernels.boxes import Box
from ctatlas.kernels.resample import linear_weights
from ctatlas.models import ModelCard
from ctatlas.volume.grid import Grid
from ctatlas.volume.orientation import Turn, turn_between

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, slots=True)
class Route:
    """A crop, a change of spacing and a turn, each along the axes of the scan, however these lie in the patient.

    Attributes
    ----------
    scan : Grid
        Of the whole scan.
    box : Box
        The part of the scan that the network sees.
    coarse : Grid
        That part at the network's spacing, axes in the scan's order.
    turn : Turn
        From the scan's order of axes to the network's.
    filtered : bool
        Whether the scan is smoothed before it is sampled at longer steps.
    """

    scan: Grid
    box: Box
    coarse: Grid
    turn: Turn
    filtered: bool = True

    def to_network(self, array: np.ndarray) -> np.ndarray:
        """View an array (i, j, k) on the coarse grid in the network's order of axes (x, y, z)."""
        return self.turn.array(array)

    @property
    def slices(self) -> tuple[int, bool]:
        """Say along which axis of the network the scan's slices follow each other, and whether backwards."""
        axis = int(np.argsort(self.turn.axes)[2])
        return axis, bool(self.turn.flips[axis])

    def from_network(self, array: np.ndarray) -> np.ndarray:
        """View arrays (c, x, y, z) on the network's grid in the scan's order of axes (c, i, j, k)."""
        straight = tuple(slice(None, None, -1) if flip else slice(None) for flip in self.turn.flips)
        i, j, k = np.argsort(self.turn.axes).tolist()
        return array[(slice(None), *straight)].transpose(0, 1 + i, 1 + j, 1 + k)

    def shrinking(self) -> tuple[csr_array, csr_array, csr_array]:
        """Return, axis by axis, the matrix that takes a line of the whole scan to a line of the coarse grid."""
        i, j, k = (
            linear_weights(positions, n, max(1.0, step) if self.filtered else 1.0)
            for (positions, step), n in zip(_places(self.coarse, self.scan), self.scan.shape, strict=True)
        )
        return i, j, k

    def stretching(self) -> tuple[csr_array, csr_array, csr_array]:
        """Return, axis by axis, the matrix that takes a line of the coarse grid to a line of the box."""
        boxed = self.scan.crop(self.box.lo, self.box.hi)
        i, j, k = (
            linear_weights(positions, n)
            for (positions, _), n in zip(_places(boxed, self.coarse), self.coarse.shape, strict=True)
        )
        return i, j, k


def plan(scan: Grid, card: ModelCard, box: Box, shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Route:
    """Lay the way from a part of a scan to the grid that a card asks for.

    Parameters
    ----------
    shift : (3,) float, optional
        The network's grid lies so many of its voxels further along its axes.
    """
    turn = turn_between(scan.orientation, card.input.orientation)
    spacing, steps = np.empty(3), np.empty(3)
    spacing[list(turn.axes)] = card.input.spacing_mm
    steps[list(turn.axes)] = np.where(turn.flips, -1, 1) * shift
    coarse = scan.crop(box.lo, box.hi).resampled(spacing)
    affine = coarse.affine.copy()
    affine[:3, 3] = coarse.world(steps)
    return Route(scan, box, Grid(coarse.shape, affine), turn)


def plan_points(scan: Grid, card: ModelCard, box: Box, shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Route:
    """Lay the way to the grid of MONAI 0.9.0's `Spacingd`, over the whole scan.

    The first voxel, in the network's order of axes, is the scan's; size n at spacing s becomes round((n - 1) s / t + 1)
    at spacing t, and values are those between the scan's voxels, without smoothing.
    """
    turn = turn_between(scan.orientation, card.input.orientation)
    turned = scan.reoriented(card.input.orientation)
    steps = np.array(card.input.spacing_mm) / turned.spacing_mm
    i, j, k = (round((n - 1) / step + 1) for n, step in zip(turned.shape, steps, strict=True))
    affine = turned.affine.copy()
    affine[:3, :3] *= steps
    affine[:3, 3] += affine[:3, :3] @ shift
    network = Grid((i, j, k), affine)
    return Route(scan, box, network.reoriented(scan.orientation), turn, filtered=False)


def cropped(route: Route, part: Box) -> Route:
    """Return the way to a part of the network's grid, given as voxels of the coarse grid in the scan's order."""
    return replace(route, coarse=route.coarse.crop(part.lo, part.hi))


def _places(grid: Grid, other: Grid) -> list[tuple[np.ndarray, float]]:
    """Return, axis by axis, where a grid's voxels lie in the voxels of another with parallel axes, and the step."""
    matrix = np.linalg.inv(other.affine) @ grid.affine
    lines = zip(matrix[:3, 3], np.diagonal(matrix), grid.shape, strict=False)
    return [(start + step * np.arange(n), step) for start, step, n in lines]
