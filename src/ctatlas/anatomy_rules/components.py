"""Connected components of the structures in a label layer, measured in the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cc3d
import numpy as np

if TYPE_CHECKING:
    from ctatlas.volume import Grid

Box = tuple[slice, slice, slice]

EDGE_MM = 5.0  # this near to the end of the scan (a voxel of a coarse network) a structure may go on outside


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """A connected piece of a structure (26 neighbours).

    Attributes
    ----------
    label : int
        Its number among all components of its layer.
    volume_ml : float
    centre_mm : (3,) float64
        Centroid, world mm.
    box : Box
        The smallest that holds it.
    at_edge : bool
        Whether the end of the scan may have cut it, at any of the six faces.
    """

    label: int
    volume_ml: float
    centre_mm: np.ndarray
    box: Box
    at_edge: bool


def label_components(values: np.ndarray) -> np.ndarray:
    """Give the components of a label layer, (i, j, k) uint8 or bool, the numbers 1, 2, …, uint32; 0 stays 0."""
    return np.asarray(cc3d.connected_components(values, connectivity=26, out_dtype=np.uint32))


def measure_components(labels: np.ndarray, grid: Grid, *, start: tuple[int, int, int] = (0, 0, 0)) -> list[Component]:
    """Measure numbered components, in the order of their numbers.

    Parameters
    ----------
    labels : (i, j, k) uint32
        Of a whole grid, or of the part of it that begins at voxel `start`.
    grid : Grid
    start : (3,) int
    """
    if not labels.size:
        return []
    statistics = cc3d.statistics(labels, no_slice_conversion=True)
    counts = statistics["voxel_counts"][1:]
    centres = grid.world(statistics["centroids"][1:] + start)
    bounds = statistics["bounding_boxes"][1:].astype(int).reshape(-1, 3, 2)  # lowest and highest index, both inside
    low, high = bounds[:, :, 0] + start, bounds[:, :, 1] + 1 + np.array(start)
    reach = edge_voxels(grid)
    at_edge = ((low < reach) | (high > np.array(grid.shape) - reach)).any(axis=1)
    return [
        Component(at + 1, float(counts[at]) * grid.voxel_ml, centres[at], _box(low[at], high[at]), bool(at_edge[at]))
        for at in np.flatnonzero(counts).tolist()
    ]


def edge_voxels(grid: Grid) -> np.ndarray:
    """Return how many voxels, along i, j, k, count as the end of the scan; one at least."""
    return np.asarray(np.maximum(1, np.rint(EDGE_MM / np.array(grid.spacing_mm)).astype(int)))


def _box(low: np.ndarray, high: np.ndarray) -> Box:
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return i, j, k
