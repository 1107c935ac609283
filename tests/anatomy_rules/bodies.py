"""A body of simple shapes in world space, as a segmentation on a grid of any orientation. z = 0 is amid the liver."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from ctatlas.volume import Grid, Segmentation

Triple = tuple[float, float, float]
LOW_MM, HIGH_MM = (-180.0, -120.0, -340.0), (180.0, 120.0, 250.0)

# name, centre, radii: ellipsoids, later ones on top; right first, x grows to the patient's right
ORGANS: tuple[tuple[str, Triple, Triple], ...] = (
    ("lung_right", (75, 0, 130), (55, 75, 105)),
    ("lung_left", (-75, 0, 130), (55, 75, 105)),
    ("liver", (70, 5, 0), (70, 80, 60)),
    ("spleen", (-105, -30, 10), (22, 40, 45)),
    ("stomach", (-45, 45, 0), (40, 30, 40)),
    ("kidney_right", (62, -45, -60), (26, 25, 52)),
    ("kidney_left", (-65, -45, -45), (26, 25, 52)),
    ("pancreas", (-15, 15, -35), (65, 12, 14)),
    ("gallbladder", (62, 65, -52), (14, 14, 22)),
    ("aorta", (-14, -36, 20), (11, 11, 140)),
    ("inferior_vena_cava", (17, -30, -30), (11, 11, 110)),
    ("vertebrae", (0, -68, 0), (21, 21, 240)),
    ("heart", (-15, 25, 95), (48, 45, 38)),
    ("colon", (105, 20, -120), (20, 20, 60)),
    ("colon", (-112, 10, -110), (18, 20, 80)),
    ("small_bowel", (0, 50, -140), (70, 30, 50)),
    ("iliopsoas_right", (48, -35, -160), (17, 17, 90)),
    ("iliopsoas_left", (-48, -35, -160), (17, 17, 90)),
    ("hip_right", (85, -30, -230), (35, 45, 65)),
    ("hip_left", (-85, -30, -230), (35, 45, 65)),
    ("femur_right", (112, 20, -310), (24, 24, 45)),
    ("femur_left", (-112, 20, -310), (24, 24, 45)),
    ("urinary_bladder", (0, 35, -265), (42, 34, 30)),
)
NAMES = tuple(dict.fromkeys(name for name, _, _ in ORGANS))


def grid_of(spacing_mm: Triple = (5.0, 5.0, 5.0), *, turn: np.ndarray | None = None) -> Grid:
    """Return a grid in RAS order around the body, turned about its middle."""
    low, high = np.array(LOW_MM), np.array(HIGH_MM)
    shape = np.rint((high - low) / spacing_mm).astype(int)
    directions = (np.eye(3) if turn is None else turn) * spacing_mm
    affine = np.eye(4)
    affine[:3, :3] = directions
    affine[:3, 3] = (low + high) / 2 - directions @ ((shape - 1) / 2)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def ellipsoid(grid: Grid, centre: Triple, radii: Triple) -> np.ndarray:
    """Return the voxels of an ellipsoid in the world."""
    i, j, k = np.ogrid[tuple(slice(0, n) for n in grid.shape)]
    inside = sum(
        ((a * i + b * j + c * k + d - at) / radius) ** 2
        for (a, b, c, d), at, radius in zip(grid.affine[:3], centre, radii, strict=True)
    )
    return np.asarray(inside < 1)


@cache
def body(grid: Grid, *, mirror: bool = False, without: tuple[str, ...] = ()) -> Mapping[str, np.ndarray]:
    """Return the masks of a healthy body; in a mirror, organs change sides and names that tell a side follow."""
    masks: dict[str, np.ndarray] = {name: np.zeros(grid.shape, dtype=bool) for name in NAMES if name not in without}
    for name, (x, y, z), radii in ORGANS:
        mask = ellipsoid(grid, (-x if mirror else x, y, z), radii)
        own = swapped(name) if mirror else name
        masks = {other: (before | mask) if other == own else (before & ~mask) for other, before in masks.items()}
    return masks


def swapped(name: str) -> str:
    """Return the name of the other side."""
    stem, _, side = name.rpartition("_")
    return {"left": f"{stem}_right", "right": f"{stem}_left"}.get(side, name)


def segmentation(grid: Grid, masks: Mapping[str, np.ndarray]) -> Segmentation:
    return Segmentation.from_masks(grid, masks)
