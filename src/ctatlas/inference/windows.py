"""Where the network looks: overlapping windows, how much each voxel of a window counts, and what is averaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import erf

from ctatlas.kernels.boxes import Box, Index

# Source: Isensee et al. 2021 (nnU-Net): a gaussian of an eighth of the window weighs its middle more than its edge.
SIGMA_PER_WINDOW = 1 / 8
_MONAI_FLOOR = 1e-3


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way to look at a whole scan through windows.

    Attributes
    ----------
    starts : callable
        (size, window, overlap) -> where windows begin along one axis.
    weights : callable
        Window -> the weight (x, y, z) float32 of each of its voxels, above 0.
    blends : "probabilities" or "logits"
        What is averaged where windows overlap.
    """

    starts: Callable[[int, int, float], list[int]]
    weights: Callable[[Index], np.ndarray]
    blends: Literal["probabilities", "logits"]


def even_starts(size: int, window: int, overlap: float) -> list[int]:
    """Return where windows begin along one axis of at least a window's length, first and last flush with its ends.

    Notes
    -----
    Source: nnU-Net `compute_steps_for_sliding_window`: as few as keep the overlap, then spread evenly.
    """
    n = int(np.ceil((size - window) / max(1, window * (1 - overlap)))) + 1
    return [int(np.rint((size - window) * step / max(1, n - 1))) for step in range(n)]


def fixed_starts(size: int, window: int, overlap: float) -> list[int]:
    """Return where windows begin that lie one step apart, the last one moved back to the end.

    Notes
    -----
    Source: MONAI 0.9.0 `dense_patch_slices`, `_get_scan_interval`.
    """
    step = window if size == window else max(1, int(window * (1 - overlap)))
    n = int(np.ceil((size - window) / step)) + 1
    return [min(each * step, size - window) for each in range(n)]


def window_boxes(shape: Index, window: Index, overlap: float, scheme: Scheme | None = None) -> list[Box]:
    """Return every window on a grid that is nowhere smaller than one; the last axis runs fastest."""
    starts = (scheme or SCHEMES["ctatlas"]).starts
    lines = (starts(size, length, overlap) for size, length in zip(shape, window, strict=True))
    a, b, c = window
    return [Box((i, j, k), (i + a, j + b, k + c)) for i, j, k in product(*lines)]


def window_weights(window: Index) -> np.ndarray:
    """Return the weight (x, y, z) float32 of each voxel of a window: a gaussian around its centre, above 0."""
    return _outer([_gaussian(length) for length in window]).astype(np.float32)


def monai_weights(window: Index) -> np.ndarray:
    """Return the weights of MONAI 0.9.0: a unit impulse right of the middle, smoothed, and raised to a floor.

    Notes
    -----
    Source: MONAI 0.9.0 `compute_importance_map`, `GaussianFilter` (erf, truncated at 4 sigma).
    """
    weights = _outer([_smoothed_impulse(length) for length in window]).astype(np.float32)
    floor = max(float(weights[weights > 0].min()), _MONAI_FLOOR)
    return np.asarray(np.maximum(weights, floor), np.float32)


def nnunet_weights(window: Index) -> np.ndarray:
    """Return the weights of nnU-Net, of which the largest is 10: an impulse right of the middle, smoothed.

    Notes
    -----
    Source: nnU-Net `compute_gaussian`.
    """
    lines = []
    for length in window:
        line = np.zeros(length)
        line[length // 2] = 1
        lines.append(gaussian_filter1d(line, length * SIGMA_PER_WINDOW, mode="constant"))
    weights = _outer(lines)
    weights = (weights * (10 / weights.max())).astype(np.float16)
    weights[weights == 0] = weights[weights > 0].min()
    return np.asarray(weights, np.float32)


SCHEMES = {
    "ctatlas": Scheme(even_starts, window_weights, "probabilities"),
    "monai-0.9": Scheme(fixed_starts, monai_weights, "logits"),
    "nnunet": Scheme(even_starts, nnunet_weights, "logits"),
}


def _gaussian(length: int) -> np.ndarray:
    from_centre = np.arange(length) - (length - 1) / 2
    profile: np.ndarray = np.exp(-0.5 * (from_centre / (length * SIGMA_PER_WINDOW)) ** 2)
    return profile


def _smoothed_impulse(length: int) -> np.ndarray:
    sigma = length * SIGMA_PER_WINDOW
    reach = int(4 * sigma + 0.5)
    at = np.arange(length) - length // 2
    steps = (erf((at + 0.5) / (sigma * np.sqrt(2))) - erf((at - 0.5) / (sigma * np.sqrt(2)))) / 2
    profile = np.where(np.abs(at) <= reach, steps, 0)
    return np.asarray(profile / profile.max())


def _outer(lines: list[np.ndarray]) -> np.ndarray:
    i, j, k = lines
    return np.asarray(i[:, None, None] * j[:, None] * k)
