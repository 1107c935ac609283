"""Real scans and label maps on the pool's grid: 3 mm, in RAS order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from ctatlas.volume import read

SPACING_MM = 3.0
LABELLED = {"ts-example": "ts-example_ct.nii.gz"}
UNLABELLED = {
    "crlm-1004": "crlm-1004_ct.nii.gz",
    "lidc-0314": "lidc-0314_ct_2p5mm.nii.gz",
    "nsclc-r01-001": "nsclc-r01-001_ct_2mm.nii.gz",
    "4dlung-113": "4dlung-113_ct.nii.gz",
}


def to_ras(array: np.ndarray) -> np.ndarray:
    """Turn a (left, back, head) array into (right, front, head), or back."""
    return np.ascontiguousarray(array[::-1, ::-1])


def read_ras(path: Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Read an array in RAS order, and its voxel size in mm."""
    scan = read(path).reoriented("RAS")
    return scan.array, scan.grid.spacing_mm


def scan_on_grid(data: Path, name: str) -> np.ndarray:
    """Read one of the named scans of `torso_ct`, smoothed where its voxels are smaller than the pool's.

    Returns
    -------
    (right, front, head) int16
        HU.
    """
    ct, spacing = read_ras(data / "torso_ct" / (LABELLED | UNLABELLED)[name])
    sigma = [max(0.0, 0.35 * (SPACING_MM / s - 1)) for s in spacing]
    smooth = ndimage.gaussian_filter(ct.astype(np.float32), sigma)
    zoomed = ndimage.zoom(smooth, [s / SPACING_MM for s in spacing], order=1, mode="nearest")
    return np.rint(zoomed).astype(np.int16)


def body_mask(ct: np.ndarray) -> np.ndarray:
    """Return the largest thing denser than -400 HU, opened by two voxels and filled slice by slice."""
    dense = ndimage.binary_opening(ct > -400, iterations=1)
    parts, n = ndimage.label(dense)
    if n == 0:
        return dense
    counts = np.bincount(parts.ravel())
    counts[0] = 0
    body: np.ndarray = parts == counts.argmax()
    for k in range(body.shape[2]):
        body[:, :, k] = ndimage.binary_fill_holes(body[:, :, k])
    return body
