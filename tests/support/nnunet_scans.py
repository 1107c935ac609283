"""Scans on which a network of random weights finds something of everything."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import gaussian_filter


def noisy_scan(shape: tuple[int, int, int], *, seed: int = 0, border: int = 4, padding: int = 0) -> np.ndarray:
    """Return an (i, j, k) int16 array of smooth noise of HU-like size within a border of zeros, which is cropped."""
    rng = np.random.default_rng(seed)
    values = gaussian_filter(rng.standard_normal(shape), 2.5)
    values = (values / values.std() * 350 + 50).astype(np.int16)
    values[values == 0] = 1
    inside = tuple(slice(border, size - border - 1) for size in shape)
    framed = np.full(shape, padding, np.int16)
    framed[inside] = values[inside]
    return framed


def write_scan(
    path: Path, array: np.ndarray, spacing_mm: tuple[float, float, float], *, affine: np.ndarray | None = None
) -> Path:
    """Write a scan with an odd origin; spacing along i, j, k."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if affine is None:
        affine = np.diag([-spacing_mm[0], -spacing_mm[1], spacing_mm[2], 1.0])
        affine[:3, 3] = (31.5, -17.25, 402.0)
    image = nib.Nifti1Image(array, affine)
    image.header.set_zooms(spacing_mm)
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    nib.save(image, path)
    return path
