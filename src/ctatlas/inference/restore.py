"""Stage 3: probabilities back on the scan's grid, a slab of slices at a time, a class at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ctatlas.inference.planes import Planes
from ctatlas.inference.route import Route
from ctatlas.kernels.boxes import Box
from ctatlas.kernels.resample import along

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Voxels of a slab: small enough that a class of it stays in a core's cache (2 MB float32), large enough for numpy.
SLAB_VOXELS = 2**19


class Part(Protocol):
    """What the stages after this one ask of some slices of the scan, whoever says it: one model or several."""

    @property
    def box(self) -> Box:
        """Tell where it lies, in voxels of the scan."""

    @property
    def n_classes(self) -> int:
        """Count the classes, the background among them if there is one."""

    def highest(self, channel: int) -> float:
        """Return a bound that no voxel's probability of a class exceeds."""

    def probability(self, channel: int) -> np.ndarray:
        """Return the probability of one class at every voxel of the box, (i, j, k) float32."""


@dataclass(frozen=True, slots=True)
class Slab:
    """Some slices of the scan, inside the box that the network saw.

    Attributes
    ----------
    box : Box
        Of voxels of the scan.
    planes : (c, x, y, z) float32
        The probabilities that count here, on the coarse grid, axes in the scan's order.
    weights : (3,) csr_array
        From the planes to the box, along i, j, k.
    """

    box: Box
    planes: np.ndarray
    weights: tuple[csr_array, csr_array, csr_array]

    @property
    def n_classes(self) -> int:
        """Count the classes."""
        return len(self.planes)

    def highest(self, channel: int) -> float:
        """Return a bound that no voxel's probability of a class exceeds."""
        return float(self.planes[channel].max())

    def probability(self, channel: int) -> np.ndarray:
        """Return the probability of one class at every voxel of the box, (i, j, k) float32."""
        w_i, w_j, w_k = self.weights
        by_k = along(self.planes[channel].transpose(2, 1, 0), w_k)  # (k, y, x)
        by_i = along(by_k.transpose(2, 1, 0), w_i)  # (i, y, k)
        by_j = along(by_i.transpose(1, 2, 0), w_j)  # (j, k, i): i fastest, as in the scan
        return by_j.transpose(2, 0, 1)


def restore(probabilities: np.ndarray, route: Route, *, slab_voxels: int = SLAB_VOXELS) -> list[Slab]:
    """Cut the way back to the scan into slabs; nothing is interpolated until a slab is asked.

    Parameters
    ----------
    probabilities : (c, x, y, z) float32
        On the network's grid.
    route : Route
    slab_voxels : int, optional
        At most so many voxels in a slab, but at least one slice.

    Returns
    -------
    list of Slab
        In the order of the slices; together they fill the route's box. Voxels that lie between centres of the
        network's voxels get the trilinear mean of those, voxels beyond the outermost centres what these have.
    """
    return list(restored([Planes(0, route.from_network(probabilities))], route, slab_voxels=slab_voxels))


def restored(planes: Iterable[Planes], route: Route, *, slab_voxels: int = SLAB_VOXELS) -> Iterator[Slab]:
    """Cut the way back into slabs as `restore`, each as soon as there are the planes that it needs.

    Parameters
    ----------
    planes : iterable of Planes
        One after the other without a gap, from the first of the route's coarse grid to its last. Of those that were
        taken only what the next slab needs is held.
    """
    w_i, w_j, w_k = route.stretching()
    (a, b, first), (d, e, last) = route.box
    thickness = max(1, slab_voxels // (w_i.shape[0] * w_j.shape[0]))
    held, coming = deque[Planes](), iter(planes)
    for k in range(first, last, thickness):
        end = min(last, k + thickness)
        rows = w_k[k - first : end - first]
        lo, hi = int(rows.indices.min()), int(rows.indices.max()) + 1
        while not held or held[-1].end < hi:
            held.append(next(coming))
        while held[0].end <= lo:
            held.popleft()
        yield Slab(Box((a, b, k), (d, e, end)), _between(held, lo, hi), (w_i, w_j, rows[:, lo:hi]))


def _between(held: Iterable[Planes], lo: int, hi: int) -> np.ndarray:
    """Return planes lo to hi (c, i, j, k): a view where one piece has them all."""
    parts = [each.values[:, :, :, max(0, lo - each.first) : hi - each.first] for each in held if each.first < hi]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([part.transpose(0, 3, 2, 1) for part in parts], axis=1).transpose(0, 3, 2, 1)
