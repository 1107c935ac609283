"""The windpipe and main bronchi, followed slice by slice through a coarse copy of a scan while their walls are seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

# Tried in turn until the lumen is walled off from the lung. The first is half-way between air and wall; a thin wall
# beside lung shows in blocks of 3 mm at the low ones only.
THRESHOLDS_HU = (-500.0, -600.0, -700.0, -800.0, -860.0, -900.0, -930.0, -950.0)
EMPTY_HU = -880.0  # the middle of a windpipe is emptier than this, the lung's tissue seldom
EMPTIER_THAN_LUNG_HU = 40.0  # air of the windpipe -1000, emphysema -950: else it is a corner of the lung
BRONCHUS_EMPTY_HU = -800.0  # narrower: more of each block is wall
WINDPIPE_MM2 = (60.0, 700.0)  # lumen across. Source: tracheal diameter 16 to 19.5 mm (table of organ sizes), widely
BRONCHUS_MM2 = 25.0
CARINA_MM2 = 1100.0  # both main bronchi cut lengthwise in one slice
WALL_HU = 150.0  # what is around a lumen is denser by this on average; around a leak it is lung
GROWTH = 2.0  # from slice to slice; more is a leak into lung
OFF_MIDLINE_MM = 35.0
WINDPIPE_MM = 30.0  # a shorter tube is gas in the gullet
ABOVE_LUNG_MM = 60.0  # higher up it is larynx and throat
BELOW_CARINA_MM = 45.0  # where main bronchi end: the left one is about 5 cm long


@dataclass(frozen=True, slots=True)
class _Chest:
    """What every slice is read from: a coarse copy (x, y, z) and its body, up to a little above the lungs; their HU."""

    hu: np.ndarray
    body: np.ndarray
    lung_hu: float
    spacing_mm: tuple[float, float, float]

    def sections(self, z: int, threshold_hu: float, start: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Yield the air-filled sections (x, y) bool of a slice, or those only that share a voxel with `start`."""
        labels, n = ndimage.label(self.body[:, :, z] & (self.hu[:, :, z] < threshold_hu))
        for label in range(1, n + 1) if start is None else np.setdiff1d(labels[start], 0):
            yield labels == label

    def mm2(self, section: np.ndarray) -> float:
        """Return the area of a section."""
        return int(np.count_nonzero(section)) * self.spacing_mm[0] * self.spacing_mm[1]

    def is_empty(self, z: int, section: np.ndarray) -> bool:
        """Tell whether a section holds air rather than lung: its emptier quarter, for walls are in the rest."""
        hu = self.hu[:, :, z][section]
        return bool(hu.min() <= EMPTY_HU and np.quantile(hu, 0.25) <= self.lung_hu - EMPTIER_THAN_LUNG_HU)

    def is_walled(self, z: int, section: np.ndarray) -> bool:
        """Tell whether a wall stands out around a section."""
        hu, rim = self.hu[:, :, z], ndimage.binary_dilation(section) & ~section
        return bool(rim.any() and hu[rim].mean() - hu[section].mean() >= WALL_HU)


def find_airway(
    hu: np.ndarray,
    body: np.ndarray,
    lungs: np.ndarray,
    *,
    midline: np.ndarray,
    spacing_mm: tuple[float, float, float],
) -> np.ndarray:
    """Find the lumen of the windpipe and, as far as walls are seen, of the main bronchi.

    Parameters
    ----------
    hu, body, lungs : (x, y, z)
        A coarse copy in RAS order; the body in it; the lungs, airway included.
    midline : (z,) float
        Index along x of the middle of the body, per slice.
    spacing_mm : (3,) float

    Returns
    -------
    (x, y, z) bool
        Empty when no tube of 30 mm runs down the middle between the lungs from their upper half: the scan starts
        below the carina, or shows no chest.
    """
    airway = np.zeros(hu.shape, dtype=bool)
    levels = np.flatnonzero(lungs.any(axis=(0, 1)))
    if not len(levels):
        return airway
    top = min(hu.shape[2], int(levels[-1]) + 1 + round(ABOVE_LUNG_MM / spacing_mm[2]))
    chest = _Chest(hu[:, :, :top], body[:, :, :top], float(np.median(hu[lungs])), spacing_mm)
    tried = np.zeros(chest.hu.shape, dtype=bool)
    for z in range(top - 1, (int(levels[0]) + int(levels[-1])) // 2, -1):
        for section in _windpipe_sections(chest, z, midline[z]):
            if (tried[:, :, z] & section).any():
                continue
            tube = _followed_down(chest, section, z)
            tried |= tube
            if np.count_nonzero(tube) > np.count_nonzero(airway):
                airway[:, :, :top] = tube
    long_enough = np.count_nonzero(airway.any(axis=(0, 1))) * spacing_mm[2] >= WINDPIPE_MM
    return airway if long_enough else np.zeros_like(airway)


def _windpipe_sections(chest: _Chest, z: int, middle: float) -> Iterator[np.ndarray]:
    """Yield the sections of a slice that a windpipe may have: near the middle, round, empty, of its size."""
    for section in chest.sections(z, THRESHOLDS_HU[0]):
        x, y = np.nonzero(section)
        width, depth = np.ptp(x) * chest.spacing_mm[0], np.ptp(y) * chest.spacing_mm[1]
        round_enough = max(width, depth) <= 3 * (min(width, depth) + chest.spacing_mm[0])
        central = abs(x.mean() - middle) * chest.spacing_mm[0] <= OFF_MIDLINE_MM
        sized = WINDPIPE_MM2[0] <= chest.mm2(section) <= WINDPIPE_MM2[1]
        if sized and central and round_enough and chest.is_empty(z, section):
            yield section


def _followed_down(chest: _Chest, section: np.ndarray, z: int) -> np.ndarray:
    """Follow a lumen down through the carina until its walls are lost or the main bronchi end."""
    tube = np.zeros(chest.hu.shape, dtype=bool)
    lumens = [section]
    below_carina_mm = 0.0
    while lumens and below_carina_mm <= BELOW_CARINA_MM:
        for lumen in lumens:
            tube[:, :, z] |= lumen
        z -= 1
        lumens = [lower for lumen in lumens for lower in _next_lumens(chest, lumen, z)] if z >= 0 else []
        if below_carina_mm or len(lumens) > 1:
            below_carina_mm += chest.spacing_mm[2]
    return tube


def _next_lumens(chest: _Chest, lumen: np.ndarray, z: int) -> list[np.ndarray]:
    """Return the sections one slice below a lumen, at the first threshold at which they have not leaked."""
    at_most = min(GROWTH * chest.mm2(lumen) + 4 * chest.spacing_mm[0] * chest.spacing_mm[1], CARINA_MM2)
    for threshold in THRESHOLDS_HU:
        lower = [
            section
            for section in chest.sections(z, threshold, start=lumen)
            if chest.mm2(section) >= BRONCHUS_MM2
            and chest.hu[:, :, z][section].min() <= BRONCHUS_EMPTY_HU
            and chest.is_walled(z, section)
        ]
        if not lower or sum(map(chest.mm2, lower)) <= at_most:
            return lower
    return []
