"""How far several maps of one thing lie apart, voxel by voxel."""

from __future__ import annotations

import numpy as np


def spread(n: int, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return twice the standard deviation of n maps from their sum and the sum of their squares, float32.

    Of maps in [0, 1] it is 1 where half of them are 1 and half are 0, and 0 where they agree.

    Examples
    --------
    >>> spread(2, np.float32([1, 1]), np.float32([1, 0.5])).tolist()
    [1.0, 0.0]
    """
    variance = n * squares - total * total  # times n²; in whole numbers without rounding
    return np.asarray(np.sqrt(np.maximum(variance, 0).astype(np.float32)) * np.float32(2 / n))
