"""Left and right lung on a coarse copy of a scan: which air in the body is lung, and where the two touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cc3d
import fill_voids
import numpy as np
from scipy import ndimage

from ctatlas.inference.airway import find_airway
from ctatlas.inference.skin import ball

AIR_HU = -400.0  # Source: reference prototype, lungs Dice .972 at -400 and -500, .958 at -600
TISSUE_HU = -600.0  # the middle of a lung is at most this dense; lower is gas mixed with stool, or collapsed lung
GAS_HU = -940.0  # the middle of a gas bubble is emptier: measured -950 to -980, of lungs -743 to -843
GAS_IN_LARGE_HU = -975.0  # emphysema comes near gas, and no bubble is that large
LARGE_ML = 600.0
LUNG_ML = 100.0  # smaller pieces count if they reach the upper end of the scan, or lie beside a lung
PIECE_ML = 3.0
OUTSIDE = np.int16(3)  # beside 1 left, 2 right
HOLE_MM2 = 150.0  # a vessel across
CLOSING_MM = 6.0  # takes in the vessels. Source: reference prototype, .967-.970 without


@dataclass(frozen=True, slots=True)
class Lungs:
    """Both lungs and the airway between them, (x, y, z) bool each on the coarse copy; any may be empty."""

    left: np.ndarray
    right: np.ndarray
    airway: np.ndarray


def lung_tissue(hu: np.ndarray, body: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Find the lungs, joined to each other and to the airway, among all the air in the body.

    Gas in stomach and bowel is emptier in the middle than lung; a piece of lung is large, or is cut by the upper end of
    the scan (lung bases), or lies at the level of another.
    """
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    air = body & (hu < AIR_HU)
    labels, n = cc3d.connected_components(air, connectivity=6, return_N=True)
    boxes = cc3d.statistics(labels)["bounding_boxes"]
    volumes_ml = np.bincount(labels.ravel(), minlength=n + 1) * voxel_ml
    core = ndimage.binary_erosion(air, border_value=1)
    candidates = []
    for label in range(1, n + 1):
        if volumes_ml[label] < PIECE_ML:
            continue
        box = boxes[label]
        middle = hu[box][core[box] & (labels[box] == label)]
        emptiest = GAS_HU if volumes_ml[label] < LARGE_ML else GAS_IN_LARGE_HU
        if middle.size and emptiest <= np.median(middle) <= TISSUE_HU:
            candidates.append(label)
    sure = [at for at in candidates if volumes_ml[at] >= LUNG_ML or _widens_to_the_top(labels == at, boxes[at])]
    sure = _beside_the_largest(sure, boxes, volumes_ml)
    lowest = min((boxes[at][2].start for at in sure), default=hu.shape[2])
    keep = np.zeros(n + 1, dtype=bool)
    keep[[at for at in candidates if at in sure or boxes[at][2].start >= lowest]] = True
    return keep[labels]


def _beside_the_largest(pieces: list[int], boxes: Sequence[tuple[slice, ...]], volumes_ml: np.ndarray) -> list[int]:
    """Keep the pieces that reach up to the middle of the largest: gas in the bowel ends lower."""
    if not pieces:
        return []
    level = boxes[max(pieces, key=lambda at: volumes_ml[at])][2]
    return [at for at in pieces if 2 * boxes[at][2].stop > level.start + level.stop]


def _widens_to_the_top(piece: np.ndarray, box: tuple[slice, slice, slice]) -> bool:
    """Tell whether a piece widens upwards until the scan ends, as the base of a lung does."""
    areas = np.count_nonzero(piece[box], axis=(0, 1))
    return box[2].stop == piece.shape[2] and bool(areas[-1] >= 0.6 * areas.max())


def both_lungs(
    hu: np.ndarray,
    body: np.ndarray,
    tissue: np.ndarray,
    *,
    midline: np.ndarray,
    spacing_mm: tuple[float, float, float],
) -> Lungs:
    """Part lung tissue into left, right and airway, and close each lung over its vessels.

    Parameters
    ----------
    hu, body, tissue : (x, y, z)
        A coarse copy in RAS order, and what `lung_tissue` found.
    midline : (z,) float
        Index along x of the middle of the body, per slice.
    spacing_mm : (3,) float
    """
    airway = find_airway(hu, body, tissue, midline=midline, spacing_mm=spacing_mm)
    tissue = tissue & ~ndimage.binary_dilation(airway)
    right_half = np.arange(hu.shape[0])[:, None, None] > midline
    side = _sides(hu, tissue, right_half, spacing_mm)
    left, right = (_closed(side == value, (side == 0) & body & ~airway, spacing_mm) for value in (1, 2))
    return Lungs(left, right & ~left, airway)


def _sides(
    hu: np.ndarray, tissue: np.ndarray, right_half: np.ndarray, spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """Return 1 for left, 2 for right, 0 elsewhere; lungs that touch are parted where the tissue is densest."""
    side = np.zeros(tissue.shape, dtype=np.int16)
    labels, n = cc3d.connected_components(tissue, connectivity=6, return_N=True)
    boxes = cc3d.statistics(labels)["bounding_boxes"]
    for label in range(1, n + 1):
        box = boxes[label]
        piece = labels[box] == label
        seeds = _seeds(piece, np.broadcast_to(right_half, tissue.shape)[box], spacing_mm)
        found = np.setdiff1d(seeds, 0)
        parted = found[0] if len(found) == 1 else _flooded(hu[box], piece, seeds)
        side[box][piece] = np.broadcast_to(parted, piece.shape)[piece]
    return side


def _seeds(piece: np.ndarray, right_half: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Peel a piece until what is left of it lies on one side each, (x, y, z) int16: 1 left, 2 right, 0 peeled off."""
    depth = ndimage.distance_transform_edt(np.pad(piece, 1), sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    for peel_mm in np.arange(0.0, depth.max(), 3.0):
        labels, n = cc3d.connected_components(depth > peel_mm, connectivity=6, return_N=True)
        sizes = np.bincount(labels.ravel(), minlength=n + 1)
        right = np.bincount(labels[right_half], minlength=n + 1) / np.maximum(sizes, 1)
        large = sizes >= 0.02 * sizes[1:].sum()
        large[0] = False
        if np.all((right[large] < 0.15) | (right[large] > 0.85)):
            return np.where(large, np.where(right > 0.5, 2, 1), 0).astype(np.int16)[labels]
    return np.where(piece, np.where(right_half, 2, 1), 0).astype(np.int16)


def _flooded(hu: np.ndarray, piece: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Grow both seeds through a piece, the emptiest tissue first, so that they meet on the dense line between lungs.

    What is not the piece is a seed of its own, lest a side creeps through it; voxels it takes go to the nearer side.
    """
    level = np.where(piece, np.clip((hu + 1024) / 3, 0, 200), 255).astype(np.uint8)
    flooded = ndimage.watershed_ift(level, np.where(piece, seeds, OUTSIDE))
    nearest = ndimage.distance_transform_edt(flooded == OUTSIDE, return_distances=False, return_indices=True)
    return np.asarray(flooded[tuple(nearest)])


def _closed(lung: np.ndarray, free: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Close a lung over vessels and fissures, into free voxels only, and fill what it encloses.

    In a slice, small holes only: the dome of the liver is a hole too.
    """
    sphere = ball(CLOSING_MM / 2, spacing_mm)
    wide = ndimage.binary_dilation(lung, sphere, iterations=2)
    closed: np.ndarray = ndimage.binary_erosion(wide, sphere, iterations=2, border_value=1)
    closed = fill_voids.fill(closed)
    for z in range(lung.shape[2]):
        section = closed[:, :, z]
        holes, n = ndimage.label(fill_voids.fill(section) & ~section)
        small = np.bincount(holes.ravel(), minlength=n + 1) * spacing_mm[0] * spacing_mm[1] <= HOLE_MM2
        small[0] = False
        section |= small[holes]
    return np.asarray(lung | (closed & free))
