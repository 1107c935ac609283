"""Sampling without replacement with exactly known chances: what an honest estimate rests on."""

from __future__ import annotations

import numpy as np


def inclusion(weights: np.ndarray, n: int) -> np.ndarray:
    """Return each unit's chance to be among `n` drawn, proportional to its weight but at most 1.

    Parameters
    ----------
    weights : (m,) float
        Above 0.
    n : int
        At most m.

    Examples
    --------
    >>> inclusion(np.array([8.0, 1.0, 1.0]), 2).tolist()
    [1.0, 0.5, 0.5]
    """
    chances = np.zeros(len(weights))
    certain = np.zeros(len(weights), bool)
    while True:
        left = n - np.count_nonzero(certain)
        chances[certain] = 1
        open_ones = ~certain
        if left <= 0 or not open_ones.any():
            chances[open_ones] = 0
            return chances
        chances[open_ones] = left * weights[open_ones] / weights[open_ones].sum()
        over = open_ones & (chances >= 1)
        if not over.any():
            return chances
        certain |= over


def drawn(weights: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw `n` units, each with the chance that `inclusion` says.

    Returns
    -------
    chosen : (n,) int
        Numbers of units, in random order.
    chances : (m,) float
        Of all units.

    Notes
    -----
    Systematic sampling in random order: the chances are laid end to end on a line, and a comb with teeth 1 apart
    falls on it. Source: Madow 1949; Hartley and Rao 1962 for the random order.
    """
    n = min(n, len(weights))
    chances = inclusion(np.asarray(weights, np.float64), n)
    order = rng.permutation(len(weights))
    ends = np.cumsum(chances[order])
    ends[-1] = n  # what rounding left
    teeth = rng.random() + np.arange(n)
    chosen = order[np.searchsorted(ends, teeth, side="right")]
    return rng.permutation(chosen), chances
