"""Fill a network with numbers made from the names of its entries, and an input with the same, so that runs compare.

The rule is that of the golden vectors in tests/models/networks/golden.
"""

from __future__ import annotations

import zlib
from math import prod, sqrt

import numpy as np


def numbers(name: str, n: int) -> np.ndarray:
    """Return n numbers in [-1, 1), (n,) float64, that depend on nothing but the name and the place."""
    h = np.arange(n, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(zlib.crc32(name.encode()))
    for _ in range(2):
        h = (h ^ (h >> np.uint32(16))) * np.uint32(0x45D9F3B)
    return (h ^ (h >> np.uint32(16))) / 2.0**31 - 1


def entry(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the values of one floating entry of a state dict, float64."""
    v = numbers(name, prod(shape))
    if name.endswith("running_mean"):
        v = 0.1 * v
    elif name.endswith("running_var"):
        v = 1 + 0.5 * v
    elif len(shape) >= 2 and not name.endswith("organ_embedding"):
        v *= sqrt(3 / prod(shape[1:]))
    elif len(shape) == 1 and name.endswith("weight"):
        v = 1 + 0.25 * v
    elif len(shape) == 1:
        v *= 0.1
    return v.reshape(shape)


def windows(shape: tuple[int, ...], name: str = "input") -> np.ndarray:
    """Return an input in [0, 1), float64."""
    return 0.5 + 0.5 * numbers(name, prod(shape)).reshape(shape)
