"""What a scanner does to a patch: thick slices, a soft or sharp kernel, and the noise that it shapes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

THICK_SHARE = 0.4
THICKNESS_MM = (1.0, 8.0)
SHARP_SHARE = 0.2
NOISE_HU = (2.0, 25.0)


def scanned(rng: np.random.Generator, hu: np.ndarray, voxel_mm: float, *, real: bool) -> np.ndarray:
    """Blur or sharpen a patch and add noise.

    Parameters
    ----------
    rng : np.random.Generator
    hu : (n, n, n) float32
        Slices lie along the last axis.
    voxel_mm : float
    real : bool
        Whether the patch was scanned before and has its own noise.
    """
    if rng.random() < THICK_SHARE:
        hu = in_slices(hu, float(np.exp(rng.uniform(*np.log(THICKNESS_MM)))) / voxel_mm, float(rng.random()))
    sigma, shaped = rng.uniform(0, 0.65), rng.uniform(0, 0.8)
    if sigma > 0.25:
        hu = ndimage.gaussian_filter(hu, sigma, truncate=2.5)
    if rng.random() < SHARP_SHARE:
        hu = hu + np.float32(rng.uniform(0.2, 0.8)) * (hu - ndimage.gaussian_filter(hu, 0.8, truncate=2.5))
        shaped = 0.0
    noise = rng.standard_normal(hu.shape, dtype=np.float32)
    if shaped > 0.3:  # smoother kernels leave coarser noise
        noise = ndimage.gaussian_filter(noise, (shaped, shaped, 0), truncate=2.5)
        noise /= noise.std()
    level = np.exp(rng.uniform(*np.log(NOISE_HU))) * (0.5 if real else 1.0)
    noisy: np.ndarray = hu + np.float32(level) * noise
    return noisy


def in_slices(hu: np.ndarray, thickness: float, phase: float) -> np.ndarray:
    """Average a patch over slices of `thickness` voxels, one beside the other, and interpolate between their middles.

    Parameters
    ----------
    hu : (i, j, k) float32
    thickness : float
        In voxels along the last axis; slices thinner than a voxel change nothing.
    phase : float
        From 0 to 1: where the first slice begins.
    """
    if thickness <= 1:
        return hu
    n = hu.shape[2]
    middles = np.arange(phase - 1, n / thickness + 1) * thickness
    voxels = np.arange(n)
    # How much of each voxel lies in each slice; voxels reach from k - 1/2 to k + 1/2.
    top = np.minimum(middles[:, None] + thickness / 2, voxels + 0.5)
    bottom = np.maximum(middles[:, None] - thickness / 2, voxels - 0.5)
    overlap = np.clip(top - bottom, 0, None)
    seen = overlap.sum(axis=1) > 0
    middles, overlap = middles[seen], overlap[seen]
    slices = overlap / overlap.sum(axis=1, keepdims=True)
    position = np.interp(voxels, middles, np.arange(len(middles)))
    between = np.maximum(1 - np.abs(position[:, None] - np.arange(len(middles))), 0)
    averaged: np.ndarray = hu @ (between @ slices).T.astype(np.float32)
    return averaged
