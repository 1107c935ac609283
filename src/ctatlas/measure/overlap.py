"""How much two masks share."""

from __future__ import annotations

import math

import numpy as np


def dice(reference: np.ndarray, predicted: np.ndarray) -> float:
    """Measure how much two masks share.

    Parameters
    ----------
    reference, predicted : (i, j, k) bool
        On the same grid; callers have checked that.

    Returns
    -------
    float
        2 |A and B| / (|A| + |B|), in [0, 1]; nan when both are empty, so that an absent structure is never a success.

    Notes
    -----
    Source: Dice 1945.

    Examples
    --------
    >>> float(dice(np.array([True, True, False]), np.array([True, False, False])))
    0.6666666666666666
    """
    total = int(np.count_nonzero(reference)) + int(np.count_nonzero(predicted))
    return 2 * int(np.count_nonzero(reference & predicted)) / total if total else math.nan
