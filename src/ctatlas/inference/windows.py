"""Where the network looks: overlapping windows, and how much each voxel of a window counts."""

from __future__ import annotations

from itertools import product

import numpy as np

from ctatlas.kernels.boxes import Box, Index

# Source: Isensee et al. 2021 (nnU-Net): a gaussian of an eighth of the window weighs its middle more than its edge.
SIGMA_PER_WINDOW = 1 / 8


def starts(size: int, window: int, overlap: float) -> list[int]:
    """Return where windows begin along one axis of at least a window's length, first and last flush with its ends.

    Notes
    -----
    Source: nnU-Net `compute_steps_for_sliding_window`: as few as keep the overlap, then spread evenly.
    """
    n = int(np.ceil((size - window) / max(1, window * (1 - overlap)))) + 1
    return [int(np.rint((size - window) * step / max(1, n - 1))) for step in range(n)]


def window_boxes(shape: Index, window: Index, overlap: float) -> list[Box]:
    """Return every window on a grid that is nowhere smaller than one; the last axis runs fastest."""
    lines = (starts(size, length, overlap) for size, length in zip(shape, window, strict=True))
    a, b, c = window
    return [Box((i, j, k), (i + a, j + b, k + c)) for i, j, k in product(*lines)]


def window_weights(window: Index) -> np.ndarray:
    """Return the weight (x, y, z) float32 of each voxel of a window: a gaussian around its centre, above 0."""
    i, j, k = (_profile(length) for length in window)
    weights: np.ndarray = i[:, None, None] * j[:, None] * k
    return weights.astype(np.float32)


def _profile(length: int) -> np.ndarray:
    from_centre = np.arange(length) - (length - 1) / 2
    profile: np.ndarray = np.exp(-0.5 * (from_centre / (length * SIGMA_PER_WINDOW)) ** 2)
    return profile
