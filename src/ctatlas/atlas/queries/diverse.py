"""Strategies against asking the same thing twice: core-set, stochastic batches."""

from __future__ import annotations

import numpy as np

from ctatlas.atlas.queries.candidates import Candidates
from ctatlas.atlas.queries.plain import no_score
from ctatlas.atlas.queries.strategies import Draw, strategy

BATCHES = 200


def farthest_first(features: np.ndarray, known: np.ndarray, n: int) -> np.ndarray:
    """Order points so that each is the farthest from all before it and from the known ones.

    Parameters
    ----------
    features : (m, f) float
    known : (m,) bool
        Without any, the first is that of largest norm.
    n : int
        How many; at most those that are not known.

    Examples
    --------
    >>> line = np.array([[0.0], [1.0], [5.0], [9.0]])
    >>> farthest_first(line, np.array([True, False, False, False]), 3).tolist()
    [3, 2, 1]
    """
    points = np.asarray(features, np.float32)
    distance = np.linalg.norm(points, axis=1).astype(np.float64)
    if known.any():
        distance = np.full(len(points), np.inf)
        for centre in np.flatnonzero(known).tolist():
            np.minimum(distance, _distances(points, centre), out=distance)
    first = not known.any()
    distance[known] = -1
    chosen = []
    for _ in range(n):
        centre = int(distance.argmax())
        chosen.append(centre)
        near = _distances(points, centre)
        taken = distance < 0
        distance = near if first else np.minimum(distance, near)
        distance[taken] = -1
        distance[centre] = -1
        first = False
    return np.array(chosen, np.intp)


def _distances(points: np.ndarray, centre: int) -> np.ndarray:
    apart: np.ndarray = ((points - points[centre]) ** 2).sum(axis=1).astype(np.float64)
    return apart


@strategy(
    "core-set",
    no_score,
    about="each place as unlike as can be to all asked before",
    source="Sener and Savarese 2018: k-centre greedy",
)
def _core_set(scores: np.ndarray, candidates: Candidates, draw: Draw) -> np.ndarray:
    del scores
    return farthest_first(candidates.features, candidates.asked, draw.n)


@strategy(
    "stochastic-batches",
    lambda candidates: candidates.entropy,
    about=f"of {BATCHES} random batches the one with the highest mean entropy",
    source="Gaillochet 2023: stochastic batch querying",
)
def best_batch(scores: np.ndarray, candidates: Candidates, draw: Draw) -> np.ndarray:
    """Select the random batch with the highest mean score, its highest first."""
    open_ones = np.flatnonzero(~candidates.asked)
    batches = [draw.rng.choice(open_ones, draw.n, replace=False) for _ in range(BATCHES)]
    chosen = max(batches, key=lambda batch: float(scores[batch].mean()))
    return chosen[np.argsort(-scores[chosen], kind="stable")]
