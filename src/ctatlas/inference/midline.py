"""The middle of the body from left to right, read from the spine in a coarse copy of a scan."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

BONE_HU = 180.0  # the shell of a vertebra in blocks of 3 mm. Source: table of tissue HU, bone rows
SPINE_WIDTH_MM = 40.0  # a vertebral body across. Source: table of organ sizes, L1 44 mm, T1 30 mm
REACH_MM = 150.0  # bone farther from the middle of the skin is no spine
WANDER_MM = 40.0  # a slice's spine lies this near to the scan's; scoliosis bends less from slice to slice
SMOOTH_MM = 60.0


def midline_of(hu: np.ndarray, body: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Find the middle of the body, slice by slice.

    Parameters
    ----------
    hu, body : (x, y, z)
        A coarse copy in RAS order, and the body in it (not empty).
    spacing_mm : (3,) float

    Returns
    -------
    (z,) float64
        Index along x of the spine; where no bone is seen, that of the middle of the skin.
    """
    columns = _bone_columns(hu, body)
    width = max(1, round(SPINE_WIDTH_MM / spacing_mm[0]))
    skin = _middle_of_skin(body)
    far_mm = np.abs(np.arange(hu.shape[0]) - np.median(skin)) * spacing_mm[0]
    trunk = ndimage.uniform_filter1d(columns.sum(axis=1), width, mode="constant") * (1 - far_mm / REACH_MM).clip(0)
    if trunk.max() <= 0:
        return skin
    wander = round(WANDER_MM / spacing_mm[0])
    lo, hi = max(0, int(trunk.argmax()) - wander), int(trunk.argmax()) + wander + 1
    near = ndimage.uniform_filter1d(columns[lo:hi], width, axis=0, mode="constant")
    seen = near.max(axis=0) > 0
    spine = np.interp(np.arange(hu.shape[2]), np.flatnonzero(seen), lo + near.argmax(axis=0)[seen])
    smooth: np.ndarray = ndimage.median_filter(spine, size=2 * round(SMOOTH_MM / spacing_mm[2] / 2) + 1, mode="nearest")
    return smooth


def _bone_columns(hu: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Count bone per x and slice in the back half of the body, (x, z)."""
    depth = np.flatnonzero(body.any(axis=(0, 2)))
    back = slice(depth[0], (depth[0] + depth[-1]) // 2 + 1)
    bone = body[:, back] & (hu[:, back] > BONE_HU)
    return np.asarray(bone.sum(axis=1, dtype=np.float64))


def _middle_of_skin(body: np.ndarray) -> np.ndarray:
    """Return the middle between the outermost points on both sides, per slice; slices without body take the mean."""
    across: np.ndarray = np.asarray(body.any(axis=1))
    first, last = across.argmax(axis=0), len(across) - 1 - across[::-1].argmax(axis=0)
    seen = across.any(axis=0)
    middle = (first + last) / 2.0
    return np.asarray(np.where(seen, middle, middle[seen].mean()))
