"""Ribs and vertebrae as lists of voxels, piece by piece: they fill a hundredth of a scan, and have few voxels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.components import Box, label_components

if TYPE_CHECKING:
    from scipy.spatial import KDTree

    from ctatlas.volume import Grid, Segmentation

AT_MOST_PIECES = 1000  # of all ribs, or all vertebrae; more are noise, not bones


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A connected piece (26 neighbours) of a rib or vertebra.

    Attributes
    ----------
    name : str
        The structure that it belongs to now.
    origin : str
        The structure that it was found as.
    voxels : (n, 3) int32
    points_mm : (n, 3) float64
        Voxel centres, world.
    volume_mm3 : float
    """

    name: str
    origin: str
    voxels: np.ndarray
    points_mm: np.ndarray
    volume_mm3: float


def rib_names() -> tuple[str, ...]:
    """Return the ribs, left ones first, from above."""
    return tuple(structures()["ribs"].parts)


def vertebra_names() -> tuple[str, ...]:
    """Return the vertebrae from above."""
    return tuple(structures()["vertebrae"].parts)


def pieces_of(segmentation: Segmentation, names: Iterable[str]) -> list[Piece]:
    """Take structures apart into connected pieces; the largest of each structure comes first.

    One pass over a label layer finds all boxes, so that memory follows the largest structure, not the scan. Where there
    are more than `AT_MOST_PIECES` the list ends with as many and one.
    """
    grid = segmentation.grid
    found: list[Piece] = []
    boxes = segmentation.boxes()
    for name in names:
        box = boxes.get(name)
        if box is not None and len(found) <= AT_MOST_PIECES:
            voxels = _connected(segmentation.within(name, box), box)
            found += [piece(name, each, grid) for each in sorted(voxels, key=len, reverse=True)]
    return found[: AT_MOST_PIECES + 1]


def piece(name: str, voxels: np.ndarray, grid: Grid, *, origin: str = "") -> Piece:
    """Make a piece of (n, 3) voxel indices."""
    return Piece(name, origin or name, voxels, grid.world(voxels), len(voxels) * grid.voxel_ml * 1000)


def thinned(points_mm: np.ndarray, cell_mm: float) -> np.ndarray:
    """Return the centres of mass of the points in each cell of a lattice, so that density depends on no spacing."""
    cells = np.floor((points_mm - points_mm.min(axis=0)) / cell_mm).astype(np.int64)
    size = cells.max(axis=0) + 1
    _, owner, counts = np.unique(
        np.ravel_multi_index(tuple(cells.T), tuple(size)), return_inverse=True, return_counts=True
    )
    return np.stack([np.bincount(owner, weights=points_mm[:, axis]) / counts for axis in range(3)], axis=1)


def ways_mm(tree: KDTree, points_mm: np.ndarray) -> np.ndarray:
    """Return how far points (n, 3) are from the nearest one of a tree, (n,)."""
    return np.asarray(tree.query(points_mm)[0])


def nearest_of(tree: KDTree, points_mm: np.ndarray) -> np.ndarray:
    """Return the number of the point of a tree nearest to each of others (n, 3), (n,)."""
    return np.asarray(tree.query(points_mm)[1])


def written(segmentation: Segmentation, holds: Mapping[str, np.ndarray], was: Mapping[str, np.ndarray]) -> Segmentation:
    """Return the segmentation with new voxels for some structures.

    Parameters
    ----------
    holds, was : mapping of str to (n,) int64
        Voxels of each structure, numbered as `flat_index` does: as they shall be, and as they are.
    """
    from ctatlas.volume import Segmentation as Made

    changed = {name: voxels for name, voxels in holds.items() if not np.array_equal(voxels, was[name])}
    if not changed:
        return segmentation
    layers = list(segmentation.layers)
    for number in {segmentation.places[name].layer for name in changed}:
        layers[number] = layers[number].copy(order="F")
    for name in changed:
        layers[segmentation.places[name].layer].reshape(-1, order="F")[was[name]] = 0
    crowded: dict[str, np.ndarray] = {}
    for name, voxels in changed.items():
        place = segmentation.places[name]
        flat = layers[place.layer].reshape(-1, order="F")
        free = flat[voxels] == 0
        flat[voxels[free]] = place.value
        if not free.all():  # another structure shares them: one of the two must move to another layer
            crowded[name] = voxels[~free]
    found = Made(segmentation.grid, tuple(layers), segmentation.places)
    for name, voxels in crowded.items():
        index = np.stack(np.unravel_index(voxels, segmentation.grid.shape, order="F"), axis=1)
        box, part = _boxed(index)
        found = found.grow(name, box, part)
    return found


def flat_index(voxels: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the places of voxels (n, 3) in Fortran order, sorted, each once."""
    return np.unique(np.ravel_multi_index(tuple(voxels.T.astype(np.int64)), grid.shape, order="F"))


def _connected(mask: np.ndarray, box: Box) -> Iterator[np.ndarray]:
    """Yield the voxels of each connected piece of a mask in a box, (n, 3) int32 of the grid."""
    labels = label_components(mask)
    counts = np.bincount(labels.ravel(order="K"))
    if len(counts) > AT_MOST_PIECES + 2:  # noise: its largest pieces tell enough
        counts[0] = 0
        keep = np.zeros(len(counts), dtype=bool)
        keep[np.argpartition(counts, -AT_MOST_PIECES - 1)[-AT_MOST_PIECES - 1 :]] = True
        labels = np.where(keep[labels], labels, 0)
    voxels = np.argwhere(labels)
    owner = labels[tuple(voxels.T)]
    order = np.argsort(owner, kind="stable")
    voxels = (voxels + [side.start for side in box]).astype(np.int32)[order]
    yield from np.split(voxels, np.flatnonzero(np.diff(owner[order])) + 1)


def _boxed(voxels: np.ndarray) -> tuple[Box, np.ndarray]:
    low, high = voxels.min(axis=0), voxels.max(axis=0) + 1
    part = np.zeros(high - low, dtype=bool)
    part[tuple((voxels - low).T)] = True
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return (i, j, k), part
