"""The published attention of AbdomenAtlas-8K written down plainly, whole volumes in float64: the oracle.

Written from a description of create_attention.py, and checked against what that itself gave.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

FULL = np.ones((3, 3, 3), bool)


@dataclass
class Maps:
    attention: np.ndarray
    inconsistency: np.ndarray
    uncertainty: np.ndarray
    overlap: np.ndarray
    size: int


def attention(soft: np.ndarray, entropy: np.ndarray, own: np.ndarray, rivals: list[np.ndarray]) -> Maps:
    """Work out the maps of one structure; soft and entropy are (model, i, j, k) uint8."""
    spread = np.std(soft / 255, axis=0)
    doubt = np.mean(entropy / 255, axis=0)
    spread_mask, doubt_mask = opened(spread > 0.1), opened(doubt > 0.05)
    overlap = own & np.any([np.zeros_like(own), *rivals], axis=0)
    spread, doubt = np.where(spread_mask, spread, 0), np.where(doubt_mask, doubt, 0)
    heat = spread + doubt + overlap
    if heat.max() > 0:
        heat = heat / heat.max()
    size = int((spread_mask | doubt_mask | overlap).sum())
    as_bytes = [(values * 255).astype(np.uint8) for values in (heat, spread, doubt)]
    return Maps(*as_bytes, overlap.astype(np.uint8), size)


def opened(mask: np.ndarray) -> np.ndarray:
    return ndimage.binary_dilation(ndimage.binary_erosion(mask, FULL, iterations=2), FULL, iterations=2)
