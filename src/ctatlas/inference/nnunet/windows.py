"""Where the network looks, and how much each voxel of a window counts, to the last bit as in nnU-Net."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from scipy import ndimage

Index = tuple[slice | int, ...]

_SIGMA = 1 / 8  # of a window
_HIGHEST = 10.0  # of the weights; 1000 until October 2023, whose sums could leave what half precision holds


def window_weights(patch: Sequence[int]) -> np.ndarray:
    """Return the weight of each voxel of a window, float16, above 0; Source: nnU-Net `compute_gaussian`."""
    spike = np.zeros(patch)
    spike[tuple(size // 2 for size in patch)] = 1
    weights = ndimage.gaussian_filter(spike, [size * _SIGMA for size in patch], 0, mode="constant", cval=0)
    weights /= weights.max() / _HIGHEST
    half: np.ndarray = weights.astype(np.float16)
    half[half == 0] = half[half != 0].min()
    return half


def starts(size: int, patch: int, step: float) -> list[int]:
    """Return where windows begin along an axis; `step` is the fraction of a window by which they move on at most."""
    n = int(np.ceil((size - patch) / (patch * step))) + 1
    real = (size - patch) / (n - 1) if n > 1 else 0.0
    return [int(np.round(real * each)) for each in range(n)]


def windows(shape: Sequence[int], patch: Sequence[int], step: float) -> list[Index]:
    """Return every window of a grid (z, y, x); with a patch of two axes, those of slice after slice."""
    lines = [starts(size, length, step) for size, length in zip(shape[-len(patch) :], patch, strict=True)]
    flat: Iterator[Index] = (
        tuple(slice(lo, lo + length) for lo, length in zip(corner, patch, strict=True)) for corner in product(*lines)
    )
    if len(patch) == len(shape):
        return list(flat)
    each = list(flat)
    return [(k, *inner) for k in range(shape[0]) for inner in each]


def padded(inputs: np.ndarray, patch: Sequence[int]) -> tuple[np.ndarray, tuple[slice, ...]]:
    """Put inputs (c, z, y, x) in the middle of at least one window of zeros; say where they are."""
    sides = [(0, 0)] * (inputs.ndim - len(patch))
    for size, length in zip(inputs.shape[-len(patch) :], patch, strict=True):
        missing = max(0, length - size)
        sides.append((missing // 2, missing - missing // 2))
    inner = tuple(slice(lo, lo + size) for (lo, _), size in zip(sides, inputs.shape, strict=True))
    return (np.pad(inputs, sides) if any(map(any, sides)) else inputs), inner[1:]
