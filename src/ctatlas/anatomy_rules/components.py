"""A structure as its connected components, inside the box around it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cc3d
import numpy as np

from ctatlas.volume import box_of

if TYPE_CHECKING:
    from ctatlas.volume import Grid

Box = tuple[slice, slice, slice]

EDGE_MM = 5.0      # this near to the end of the scan (a voxel of a coarse network) a structure may go on outside
N_POINTS = 20_000  # enough to tell the levels and distances of an organ to a millimetre or two


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """A connected piece (26 neighbours).

    Attributes
    ----------
    label : int
        Its value in `Parts.labels`.
    volume_ml : float
    centre_mm : (3,) float64
        Centroid, world mm.
    at_edge : bool
        Whether the scan may have cut it, at any of its six faces.
    """

    label: int
    volume_ml: float
    centre_mm: np.ndarray
    at_edge: bool


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """A structure's components, the largest first.

    Attributes
    ----------
    grid : Grid
        Of the whole segmentation.
    box : Box
        The part of the grid that holds the structure.
    labels : (i, j, k) unsigned integer
        Within the box; 0 is not the structure.
    components : tuple of Component
        Labels that are not among them do not count any more.
    """

    grid: Grid
    box: Box
    labels: np.ndarray
    components: tuple[Component, ...]

    @classmethod
    def of(cls, mask: np.ndarray, grid: Grid, box: Box | None = None) -> Parts:
        """Take a mask apart; (i, j, k) bool over the grid, or over `box` of it."""
        inner = box_of(mask)
        if inner is None:
            return cls(grid, (slice(0, 0),) * 3, np.zeros((0, 0, 0), dtype=np.uint16), ())
        outer = box or tuple(slice(0, size) for size in grid.shape)
        i, j, k = (slice(a.start + b.start, a.start + b.stop) for a, b in zip(outer, inner, strict=True))
        labels = cc3d.connected_components(mask[inner], connectivity=26, out_dtype=np.uint32)
        return cls(grid, (i, j, k), labels, _components(labels, grid, (i, j, k)))

    @property
    def volume_ml(self) -> float:
        """Volume of all components."""
        return sum(component.volume_ml for component in self.components)

    def mask(self, labels: Collection[int] | None = None) -> np.ndarray:
        """Return where the components (or these of them) are, bool within the box."""
        kept = np.zeros(int(self.labels.max(initial=0)) + 1, dtype=bool)
        kept[[c.label for c in self.components] if labels is None else list(labels)] = True
        return np.asarray(kept[self.labels])

    def without(self, labels: Collection[int]) -> Parts:
        """Return the structure less some components."""
        kept = tuple(component for component in self.components if component.label not in labels)
        return Parts(self.grid, self.box, self.labels, kept)

    def points_mm(self, labels: Collection[int] | None = None) -> np.ndarray:
        """Return about N_POINTS voxel centres at most, evenly taken from the components (or these), (n, 3) world mm."""
        mask = self.mask(labels)
        flat = np.flatnonzero(mask.ravel(order="K"))
        flat = flat[:: max(1, len(flat) // N_POINTS)]
        order: tuple[int, ...] = tuple(np.argsort(mask.strides)[::-1])
        slow = np.unravel_index(flat, [mask.shape[axis] for axis in order])
        voxels = np.stack([slow[order.index(axis)] + self.box[axis].start for axis in range(3)], axis=-1)
        return self.grid.world(voxels)

    def cut_at(self, world_axis: int, *, upper: bool) -> bool:
        """Tell whether the scan ends at the structure, toward the upper or lower end of a world axis."""
        columns = self.grid.affine[:3, :3] / np.array(self.grid.spacing_mm)
        axis = int(np.abs(columns[world_axis]).argmax())
        reach = max(1, round(EDGE_MM / self.grid.spacing_mm[axis]))
        used = np.flatnonzero(self.mask().any(axis=tuple(other for other in range(3) if other != axis)))
        if not len(used):
            return False
        if (columns[world_axis, axis] > 0) == upper:
            return bool(self.box[axis].start + used[-1] + reach >= self.grid.shape[axis])
        return bool(self.box[axis].start + used[0] < reach)


def _components(labels: np.ndarray, grid: Grid, box: Box) -> tuple[Component, ...]:
    """Measure every label once, the largest first."""
    statistics = cc3d.statistics(labels, no_slice_conversion=True)
    counts = statistics["voxel_counts"][1:]
    offset = np.array([side.start for side in box])
    centres = grid.world(statistics["centroids"][1:] + offset)
    bounds = statistics["bounding_boxes"][1:].astype(int).reshape(-1, 3, 2)   # lowest and highest index, both inside
    reach = np.maximum(1, np.rint(EDGE_MM / np.array(grid.spacing_mm)).astype(int))
    low, high = bounds[:, :, 0] + offset < reach, bounds[:, :, 1] + offset + reach >= grid.shape
    at_edge = (low | high).any(axis=1)
    return tuple(
        Component(int(at) + 1, float(counts[at]) * grid.voxel_ml, centres[at], bool(at_edge[at]))
        for at in np.argsort(-counts.astype(np.int64), kind="stable")
    )
