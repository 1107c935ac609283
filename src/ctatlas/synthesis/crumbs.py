"""Crumbs of organs that painting leaves: what other organs, domes and walls cut off."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import ndimage

from ctatlas.synthesis.tables import tissue_id, tissues

IN_ONE_PIECE = ("liver", "spleen", "lung_left", "lung_right")
CRUMB_ML = 3.0


def sweep_crumbs(labels: np.ndarray, voxel_mm3: float) -> None:
    """Let small loose pieces of organs that are in one piece be fat.

    Parameters
    ----------
    labels : (x, y, z) uint8
        Tissue ids; changed in place.
    voxel_mm3 : float
        0 of a single slice, in which volumes are unknown: nothing is swept.
    """
    if not voxel_mm3:
        return
    for structure in IN_ONE_PIECE:
        mask = _tissues_of(structure)[labels]
        pieces, n = ndimage.label(mask, np.ones((3, 3, 3)))
        if n < 2:
            continue
        voxels = np.bincount(pieces.ravel())
        voxels[0] = voxels.max()
        crumb = (voxels * voxel_mm3 < 1000 * CRUMB_ML) & (voxels < voxels[1:].max())
        labels[crumb[pieces]] = tissue_id("visceral_fat")


@cache
def _tissues_of(structure: str) -> np.ndarray:
    """Return a look-up that says which tissues belong to a structure."""
    lookup = np.zeros(256, dtype=bool)
    lookup[[tissue.id for tissue in tissues().values() if tissue.structure == structure]] = True
    return lookup
