"""A scan with masks that may be wrong, and the geometry that mistakes are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ctatlas.anatomy import structures
from ctatlas.volume import Grid, box_of

RIGHT, UP = 0, 2  # world axes
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class LabelledScan:
    """A scan and masks of it, which may be wrong.

    Attributes
    ----------
    grid : Grid
    hu : (i, j, k) int16
    masks : mapping of str to (i, j, k) bool
        Structures looked for; empty where not found.
    body : (i, j, k) bool
        All inside the skin.
    """

    grid: Grid
    hu: np.ndarray
    masks: Mapping[str, np.ndarray]
    body: np.ndarray

    def holding(self, **changed: np.ndarray) -> LabelledScan:
        """Return the scan with some masks changed."""
        return replace(self, masks={**self.masks, **changed})

    def has(self, name: str, at_least_ml: float = 0.0) -> bool:
        """Tell whether a structure has voxels, and a volume of at least so much."""
        return name in self.masks and int(np.count_nonzero(self.masks[name])) * self.grid.voxel_ml > at_least_ml

    def is_cut(self, name: str) -> bool:
        """Tell whether the scan ends where the structure does."""
        box = box_of(self.masks[name])
        sizes = self.grid.shape
        return box is not None and any(s.start == 0 or s.stop == n for s, n in zip(box, sizes, strict=True))


def cropped(scan: LabelledScan, box: Box) -> LabelledScan:
    """Return a part of a scan."""
    bounds = [side.indices(n)[:2] for side, n in zip(box, scan.grid.shape, strict=True)]
    grid = scan.grid.crop([low for low, _ in bounds], [high for _, high in bounds])
    masks = {name: np.asfortranarray(mask[box]) for name, mask in scan.masks.items()}
    return LabelledScan(grid, np.asfortranarray(scan.hu[box]), masks, np.asfortranarray(scan.body[box]))


def mirrored(scan: LabelledScan) -> LabelledScan:
    """Return a person whose organs lie mirror-wise, each named by the side on which it is."""
    axis = int(np.abs(scan.grid.affine[RIGHT, :3]).argmax())
    masks = {name: np.asfortranarray(np.flip(mask, axis)) for name, mask in scan.masks.items()}
    partner = {name: structures()[name].partner if name in structures() else "" for name in masks}
    named = {(partner[name] if partner[name] in masks else name): mask for name, mask in masks.items()}
    hu, body = (np.asfortranarray(np.flip(array, axis)) for array in (scan.hu, scan.body))
    return LabelledScan(scan.grid, hu, {name: named[name] for name in masks}, body)


def scaled_about_centre(scan: LabelledScan, name: str, factor: float) -> np.ndarray:
    """Return a structure scaled about its centre."""
    centre = np.array(np.nonzero(scan.masks[name])).mean(axis=1)
    image = scan.masks[name].astype(np.float32)
    return np.asfortranarray(
        ndimage.affine_transform(image, np.eye(3) / factor, centre - centre / factor, order=1) > 0.5
    )


def shifted(mask: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Move a mask by whole voxels; what leaves the grid is lost."""
    moved = np.zeros_like(mask)
    if (np.abs(shift) < mask.shape).all():
        steps = list(zip(shift.tolist(), mask.shape, strict=True))
        into = tuple(slice(max(0, step), n + min(0, step)) for step, n in steps)
        moved[into] = mask[tuple(slice(max(0, -step), n - max(0, step)) for step, n in steps)]
    return moved


def touches_end(mask: np.ndarray) -> bool:
    """Tell whether a mask reaches the end of its grid."""
    box = box_of(mask)
    return box is not None and any(s.start == 0 or s.stop == n for s, n in zip(box, mask.shape, strict=True))


def ball(grid: Grid, centre_mm: np.ndarray, radius_mm: float) -> np.ndarray:
    """Return the voxels of a ball, (i, j, k) bool."""
    return _near(grid, centre_mm, centre_mm, radius_mm)


def rod(grid: Grid, start_mm: np.ndarray, end_mm: np.ndarray, radius_mm: float) -> np.ndarray:
    """Return the voxels of a rod with round ends, (i, j, k) bool."""
    return _near(grid, start_mm, end_mm, radius_mm)


def _near(grid: Grid, start_mm: np.ndarray, end_mm: np.ndarray, radius_mm: float) -> np.ndarray:
    """Return the voxels near a line from one point to another."""
    corners = grid.voxel(np.stack([start_mm, end_mm]))
    reach = radius_mm / np.array(grid.spacing_mm) + 1
    low = np.clip(np.floor(corners.min(axis=0) - reach), 0, grid.shape).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0) + reach), 0, grid.shape).astype(int)
    found = np.zeros(grid.shape, dtype=bool, order="F")
    index = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), axis=-1)
    points = grid.world(index) - start_mm
    line = end_mm - start_mm
    along = np.clip(points @ line / max(float(line @ line), 1e-9), 0, 1)
    away = np.linalg.norm(points - along[..., None] * line, axis=-1)
    found[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))] = away <= radius_mm
    return found


def somewhere_in(mask: np.ndarray, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Return the centre of a voxel drawn from a mask, world mm."""
    voxels = np.argwhere(mask)
    return grid.world(voxels[rng.integers(len(voxels))])


def centre_mm(scan: LabelledScan, name: str) -> np.ndarray:
    """Return the centre of mass of a structure, (3,) world mm."""
    return scan.grid.world(np.array(np.nonzero(scan.masks[name])).mean(axis=1))


def distance_mm(scan: LabelledScan, mask: np.ndarray) -> np.ndarray:
    """Return how far each voxel lies from a mask; 0 inside."""
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=scan.grid.spacing_mm))


def depth_mm(scan: LabelledScan, name: str) -> np.ndarray:
    """Return how deep each voxel lies in a structure; 0 outside, and all is outside beyond the end of the scan."""
    padded = np.pad(scan.masks[name], 1)
    return np.asarray(ndimage.distance_transform_edt(padded, sampling=scan.grid.spacing_mm))[1:-1, 1:-1, 1:-1]


def heights_mm(grid: Grid) -> np.ndarray:
    """Return world z of all voxels, (i, j, k)."""
    i, j, k = np.ogrid[tuple(slice(0, n) for n in grid.shape)]
    a, b, c, d = grid.affine[UP]
    return np.asarray(a * i + b * j + c * k + d)


def axis_along(grid: Grid) -> int:
    """Return the axis of a grid that runs most along the body."""
    return int(np.abs(grid.affine[UP, :3] / np.array(grid.spacing_mm)).argmax())
