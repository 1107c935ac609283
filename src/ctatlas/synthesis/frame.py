"""Where the voxels of an array lie in a drawn person: size, spine curve and a smooth random warp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctatlas.synthesis.phantom import Phantom

WARP_PITCH_MM = (110.0, 55.0, 28.0)  # correlation lengths of the pose and shape noise


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the voxels of an axis-aligned array lie in the person: coordinates along each axis, their warp in mm."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    warp: tuple[np.ndarray, np.ndarray, np.ndarray]
    reach_mm: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the array's shape."""
        return (len(self.x), len(self.y), len(self.z))

    @property
    def voxel_mm3(self) -> float:
        """Return a voxel's volume in the person of the tables, before size and warp; 0 of a single slice."""
        steps = [abs(axis[-1] - axis[0]) / max(len(axis) - 1, 1) for axis in (self.x, self.y, self.z)]
        return float(np.prod(steps))

    def box(self, low: np.ndarray, high: np.ndarray) -> tuple[slice, slice, slice]:
        """Return the index box that holds a box in mm, however the warp moves it."""
        spans = []
        for axis, lo, hi in zip((self.x, self.y, self.z), low, high, strict=True):
            inside = np.flatnonzero((axis >= lo - self.reach_mm) & (axis <= hi + self.reach_mm))
            spans.append(slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0))
        return (spans[0], spans[1], spans[2])

    def coordinates(self, box: tuple[slice, slice, slice]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the person's x, y, z of every voxel in a box."""
        return (
            self.x[box[0], None, None] + self.warp[0][box],
            self.y[None, box[1], None] + self.warp[1][box],
            self.z[None, None, box[2]] + self.warp[2][box],
        )


def frame_of(phantom: Phantom, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Frame:
    """Lay an axis-aligned array over a person.

    Parameters
    ----------
    phantom : Phantom
        Gives size, spine curve and the seed of the warp.
    x, y, z : 1-D arrays
        Positions of the voxel centres along each axis in mm: to the left, to the back, to the head.
    """
    rng = np.random.default_rng(phantom.warp_seed)
    x, y, z = (np.asarray(v, dtype=np.float32) / np.float32(phantom.scale) for v in (x, y, z))
    if phantom.mirrored:
        x = -x
    warp = [_smooth_noise(rng, (x, y, z), phantom.warp_mm) for _ in range(3)]
    bend = phantom.subject.scoliosis_mm * np.sin(z / 110)
    warp[0] += bend[None, None, :].astype(np.float32)
    warp[1] += (phantom.subject.kyphosis * ((z - 80) / 150) ** 2 - phantom.subject.kyphosis / 2)[None, None, :].clip(
        -20, 20
    )
    reach = max(float(np.abs(w).max()) if w.size else 0.0 for w in warp)
    return Frame(x, y, z, (warp[0], warp[1], warp[2]), reach)


def _smooth_noise(
    rng: np.random.Generator, axes: tuple[np.ndarray, np.ndarray, np.ndarray], sds: tuple[float, ...]
) -> np.ndarray:
    """Return a smooth random field in mm: cubic B-splines of white noise at several pitches, summed."""
    field = np.zeros(tuple(len(axis) for axis in axes), dtype=np.float32)
    for sd, pitch in zip(sds, WARP_PITCH_MM, strict=True):
        knots = rng.normal(0, sd, (14, 10, 24) if pitch > 100 else (26, 18, 44) if pitch > 50 else (48, 34, 84))
        for axis, positions in enumerate(axes):
            knots = np.moveaxis(
                np.tensordot(spline_weights(positions, pitch, knots.shape[axis]), knots, (1, axis)), 0, axis
            )
        field += knots.astype(np.float32)
    return field


def spline_weights(positions: np.ndarray, pitch: float, n: int) -> np.ndarray:
    """Return (positions, knots) weights of cubic B-splines of unit variance, knots centred on the origin."""
    t = np.abs(positions[:, None] / pitch + (n - 1) / 2 - np.arange(n)[None, :])
    near, far = 2 / 3 - t**2 + t**3 / 2, (2 - np.minimum(t, 2)) ** 3 / 6
    weights = np.where(t < 1, near, far)
    rows: np.ndarray = weights / np.sqrt((weights**2).sum(axis=1, keepdims=True) + 1e-9)
    return rows
