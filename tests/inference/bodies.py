"""Bodies painted in world space, for scans of any orientation: what is where is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ctatlas.volume import Grid, Volume

SHELL_MM = 7.0


@dataclass(frozen=True)
class Painted:
    """A scan, and the masks that were painted."""

    volume: Volume
    truth: Mapping[str, np.ndarray]


def grid_of(
    spacing_mm: tuple[float, float, float],
    *,
    low_mm: tuple[float, float, float] = (-202.0, -166.0, -151.0),
    high_mm: tuple[float, float, float] = (202.0, 150.0, 265.0),
    turn: np.ndarray | None = None,
) -> Grid:
    """Return a grid in RAS order over a box of the patient, turned about its middle."""
    shape = tuple(round((b - a) / mm) for a, b, mm in zip(low_mm, high_mm, spacing_mm, strict=True))
    directions = (np.eye(3) if turn is None else turn) * spacing_mm
    affine = np.eye(4)
    affine[:3, :3] = directions
    middle = (np.array(low_mm) + high_mm) / 2
    affine[:3, 3] = middle - directions @ ((np.array(shape) - 1) / 2)
    return Grid((shape[0], shape[1], shape[2]), affine)


def coordinates(grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the world x, y and z of every voxel, (i, j, k) float32 each."""
    i, j, k = np.ogrid[tuple(slice(0, n) for n in grid.shape)]
    x, y, z = ((a * i + b * j + c * k + d).astype(np.float32) for a, b, c, d in grid.affine[:3])
    return x, y, z


def turned(degrees: float, axis: tuple[float, float, float]) -> np.ndarray:
    """Return the rotation about an axis, (3, 3)."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def torso(grid: Grid, *, touching: bool = False, right_lung: float = 1.0, noise_hu: float = 15.0) -> Painted:
    """Paint a chest and belly with lungs, windpipe, spine, heart, gas in stomach and bowel, and lay it on a table.

    `touching` brings the lungs together in front of the heart, but for a line of half a millimetre. `right_lung` is the
    part of the right lung that still holds air, from its top; the rest is fluid.
    """
    x, y, z = coordinates(grid)
    body = np.abs(x / 165) ** 2.4 + np.abs(y / 108) ** 2.4 < 1
    inner = np.abs(x / 145) ** 2.4 + np.abs(y / 90) ** 2.4 < 1
    right = _ellipsoid(x, y, z, centre=(76, 2, 120), radii=(58, 78, 130))
    left = _ellipsoid(x, y, z, centre=(-78, 2, 120), radii=(54, 78, 130))
    if touching:
        front = (np.abs(x) < 90) & (y > 35) & (y < 70) & (z > 120) & (z < 180)
        right, left = right | (front & (x > 0.25)), left | (front & (x < -0.25))
    dome = z > 40 + 30 * np.exp(-(((np.abs(x) - 75) / 60) ** 2) - ((y / 60) ** 2))
    heart = _ellipsoid(x, y, z, centre=(-15, 10, 90), radii=(50, 45, 45))
    spine = np.hypot(x, y + 66) < 21
    trachea = _tube(x, y, z, (0, 20, 300), (0, 12, 130), radius=9)
    wall = _tube(x, y, z, (0, 20, 300), (0, 12, 130), radius=12)
    for end in ((34, 4, 104), (-38, 4, 100)):
        trachea |= _tube(x, y, z, (0, 12, 130), end, radius=6)
        wall |= _tube(x, y, z, (0, 12, 130), end, radius=8.5)
    right, left = (lung & dome & inner & ~heart & ~spine & ~wall for lung in (right, left))
    fluid = right & (z < 250 - 210 * right_lung)
    right &= ~fluid
    gas = _ellipsoid(x, y, z, centre=(-60, 50, 10), radii=(40, 22, 20))
    gas |= _ellipsoid(x, y, z, centre=(70, 40, -90), radii=(28, 34, 45))
    hu = np.full(grid.shape, -1000.0)
    for value, where in (
        (-930, (np.abs(x) < 190) & (y < -60) & (y > -108)),  # blanket
        (-50, (np.abs(x) < 195) & (y < -104) & (y > -114)),  # shell of the table, which the back touches
        (-100, body),
        (55, inner),
        (45, heart),
        (8, fluid),
        (-850, left | right),
        (450, spine),
        (180, np.hypot(x, y + 66) < 17),
        (-1000, gas & inner),
        (-995, trachea & body),
    ):
        hu[where] = value
    rng = np.random.default_rng(7)
    hu += rng.normal(0, noise_hu, grid.shape)
    hu[left | right] += rng.normal(0, 40, np.count_nonzero(left | right))
    truth = {"body": body, "lung_left": left, "lung_right": right, "trachea": trachea & body}
    return Painted(_scan(hu, grid), truth)


def head(grid: Grid) -> Volume:
    """Paint a skull with brain and sinuses, on a neck of soft tissue and fat; z = 0 is the base of the skull."""
    x, y, z = coordinates(grid)
    scalp, bone, brain = (
        _ellipsoid(x, y, z, centre=(0, 0, 60), radii=(76 + more, 92 + more, 74 + more)) for more in (6, 0, -SHELL_MM)
    )
    neck = (np.hypot(x, y + 20) < 62) & (z < 30)
    hu = np.full(grid.shape, -1000.0)
    for value, where in (
        (-90, scalp | neck),
        (50, (np.hypot(x, y + 20) < 52) & (z < 30)),
        (900, bone),
        (35, brain),
        (6, _ellipsoid(x, y, z, centre=(0, 0, 65), radii=(14, 30, 12))),
        (-1000, _ellipsoid(x, y, z, centre=(0, 78, 35), radii=(22, 9, 14))),
        (-700, _ellipsoid(x, y, z, centre=(60, -20, 5), radii=(9, 12, 12))),
        (-700, _ellipsoid(x, y, z, centre=(-60, -20, 5), radii=(9, 12, 12))),
        (-990, _tube(x, y, z, (0, 20, 10), (0, 0, -150), radius=8)),
    ):
        hu[where] = value
    return _scan(hu + np.random.default_rng(3).normal(0, 6, grid.shape), grid)


def mirrored(painted: Painted) -> Painted:
    """Return the scan of the same body seen in a mirror, on the same grid (in RAS order, x = 0 in its middle)."""
    names = {"lung_left": "lung_right", "lung_right": "lung_left"}
    truth = {names.get(name, name): mask[::-1] for name, mask in painted.truth.items()}
    return Painted(Volume(painted.volume.array[::-1], painted.volume.grid), truth)


def _scan(hu: np.ndarray, grid: Grid) -> Volume:
    return Volume(np.clip(np.rint(hu), -1024, 3071).astype(np.int16), grid)


def _ellipsoid(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, *, centre: tuple[float, ...], radii: tuple[float, ...]
) -> np.ndarray:
    distance = sum(((at - c) / r) ** 2 for at, c, r in zip((x, y, z), centre, radii, strict=True))
    return np.asarray(distance < 1)


def _tube(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, start: tuple[float, ...], end: tuple[float, ...], *, radius: float
) -> np.ndarray:
    """Return the voxels within a distance of a line."""
    a, line = np.array(start, float), np.array(end, float) - start
    offsets = [at - c for at, c in zip((x, y, z), a, strict=True)]
    along = sum(offset * step for offset, step in zip(offsets, line, strict=True)) / (line @ line)
    along = np.clip(along, 0, 1)
    return np.asarray(sum((o - along * step) ** 2 for o, step in zip(offsets, line, strict=True)) < radius**2)
