"""Is there a torso in the scan at all? What the network would invent organs in is refused here, with the reason."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

AT_LEAST_MM2 = 5000.0  # in some slice: the trunk of a newborn child
FAT_HU, AT_LEAST_FAT = (-160.0, -40.0), 0.01  # no one is without it; water, noise and MR are
TISSUE_HU, AT_LEAST_TISSUE = (0.0, 130.0), 0.05  # muscle and organs; cloth, foam and couches are not
AT_MOST_NOISE = 0.5  # of the variance between blocks, the part unlike their neighbours
SKULL_HU = 250.0
BRAIN_HU = (-10.0, 90.0)  # Source: table of tissue HU, rows of brain and fluid
BRAIN_MM2, BRAIN_MM = 4000.0, 30.0  # enclosed by bone in one slice, and along the body
LUNG_ML = 30.0


def why_not_torso(hu: np.ndarray, body: np.ndarray, lungs: np.ndarray, spacing_mm: tuple[float, float, float]) -> str:
    """Tell in a few words why a scan shows no torso; empty when it does.

    Parameters
    ----------
    hu, body, lungs : (x, y, z)
        A coarse copy in RAS order, what is inside its skin, and the lungs found there.
    spacing_mm : (3,) float
    """
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    if np.count_nonzero(body, axis=(0, 1)).max(initial=0) * spacing_mm[0] * spacing_mm[1] < AT_LEAST_MM2:
        return "nothing solid in the field of view"
    inner = ndimage.binary_erosion(body, iterations=2, border_value=1)
    smooth = ndimage.uniform_filter(hu, 3, mode="nearest")
    if hu[inner].size == 0 or np.var((hu - smooth)[inner]) > AT_MOST_NOISE * max(np.var(hu[inner]), 1.0):
        return "noise without structure"
    if _share(smooth[inner], FAT_HU) < AT_LEAST_FAT:
        return "no fat at its HU: not a CT of a body, or not in Hounsfield units"
    if _share(smooth[inner], TISSUE_HU) < AT_LEAST_TISSUE:
        return "no soft tissue at its HU: not a CT of a body, or not in Hounsfield units"
    if np.count_nonzero(lungs) * voxel_ml < LUNG_ML and _brain_mm(hu, smooth, spacing_mm) >= BRAIN_MM:
        return "a head"
    return ""


def _share(hu: np.ndarray, between: tuple[float, float]) -> float:
    """Return the fraction of voxels with between[0] <= HU <= between[1]."""
    return float(np.count_nonzero((hu >= between[0]) & (hu <= between[1])) / hu.size)


def _brain_mm(hu: np.ndarray, smooth: np.ndarray, spacing_mm: tuple[float, float, float]) -> float:
    """Return over what length a ring of bone encloses brain, slice by slice."""
    n_slices = 0
    for z in range(hu.shape[2]):
        bone = ndimage.binary_closing(hu[:, :, z] > SKULL_HU, iterations=2)
        enclosed = ndimage.binary_fill_holes(bone) & ~bone
        large = np.count_nonzero(enclosed) * spacing_mm[0] * spacing_mm[1] >= BRAIN_MM2
        n_slices += bool(large and _share(smooth[:, :, z][enclosed], BRAIN_HU) > 0.8)
    return n_slices * spacing_mm[2]
