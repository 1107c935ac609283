"""Strategies that give every structure its share, with noise that lets second best places have a chance."""

from __future__ import annotations

import numpy as np

from ctatlas.atlas.queries.candidates import Candidates
from ctatlas.atlas.queries.strategies import Draw, best, strategy

BETA_FIRST, BETA_LAST = 1.0, 100.0
CLASS_SHARE = 0.66
SHORTLIST_SHARE = 0.75  # of the cases. Source: benchmarks/annotation_effort.py; one half left out too much
SHORTLIST_BATCHES = 200
_TINY = 1e-12


def power_noised(scores: np.ndarray, beta: float, rng: np.random.Generator) -> np.ndarray:
    """Return log score + Gumbel noise of scale 1/beta: the highest is a draw proportional to score ** beta.

    Notes
    -----
    Source: Kirsch 2022 (PowerBALD), applied to the score of a whole place.
    """
    noised: np.ndarray = np.log(np.maximum(scores, _TINY)) + rng.gumbel(0, 1 / beta, len(scores))
    return noised


def beta_at(progress: float) -> float:
    """Return the exponent of a round: from 1 (explore) to 100 (exploit), exponentially.

    Examples
    --------
    >>> [round(beta_at(t / 4), 2) for t in range(5)]
    [1.0, 3.16, 10.0, 31.62, 100.0]
    """
    return float(BETA_FIRST * (BETA_LAST / BETA_FIRST) ** progress)


def shares(n: int, n_classes: int, rng: np.random.Generator, share: float = CLASS_SHARE) -> tuple[np.ndarray, int]:
    """Split a budget: so many to each structure, the rest to all; what does not divide goes to random structures.

    Examples
    --------
    >>> each, rest = shares(40, 13, np.random.default_rng(0))
    >>> each.tolist(), rest
    ([2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2], 14)
    """
    to_classes = int(share * n + 1e-9)
    each = np.full(n_classes, to_classes // n_classes)
    each[rng.permutation(n_classes)[: to_classes % n_classes]] += 1
    return each, n - to_classes


def stratified(
    by_class: np.ndarray, overall: np.ndarray, candidates: Candidates, draw: Draw, share: float
) -> np.ndarray:
    """Select a share of the places structure by structure, the rest whatever the structure; no place twice.

    Parameters
    ----------
    by_class, overall : (n,) float
        Noised scores for both parts.
    """
    names, kind = np.unique(candidates.structure, return_inverse=True)
    each, rest = shares(draw.n, len(names), draw.rng, share)
    free = ~candidates.asked
    chosen: list[int] = []
    for number in draw.rng.permutation(len(names)).tolist():
        own = np.flatnonzero(free & (kind == number))
        chosen += own[np.argsort(-by_class[own], kind="stable")][: each[number]].tolist()
    free[chosen] = False
    rest += draw.n - rest - len(chosen)  # structures with too few places leave theirs to all
    others = np.flatnonzero(free)
    return np.array(chosen + others[np.argsort(-overall[others], kind="stable")][:rest].tolist(), np.intp)


@strategy(
    "power",
    lambda candidates: candidates.class_entropy,
    about="every structure the same share, by class entropy with power noise",
    source="nnActive 2025: class-stratified, power noise with beta 1",
)
def _power(scores: np.ndarray, candidates: Candidates, draw: Draw) -> np.ndarray:
    noised = power_noised(scores, BETA_FIRST, draw.rng)
    return stratified(noised, noised, candidates, draw, 1.0)


@strategy(
    "claspe",
    lambda candidates: candidates.class_entropy,
    about="two thirds structure by structure, one third over all, by entropy with noise that fades from round to round",
    source="ClaSP PE 2026: class_power_pe66_exp",
)
def _claspe(scores: np.ndarray, candidates: Candidates, draw: Draw) -> np.ndarray:
    beta = beta_at(draw.progress)
    by_class = power_noised(scores, beta, draw.rng)
    overall = power_noised(candidates.entropy, beta, draw.rng)
    return stratified(by_class, overall, candidates, draw, CLASS_SHARE)


@strategy(
    "default",
    lambda candidates: candidates.gain / candidates.minutes,
    about="cases shortlisted by attention size in stochastic batches, then ClaSP with attention in place of entropy",
    source="synthesis-learning reference §3.6",
)
def _default(scores: np.ndarray, candidates: Candidates, draw: Draw) -> np.ndarray:
    listed = candidates.part(~candidates.asked)
    numbers = np.flatnonzero(~candidates.asked)
    on_list = _shortlist(listed, draw)
    places = numbers[on_list]
    beta = beta_at(draw.progress)
    part = candidates.part(places)
    noised = [power_noised(scores[places], beta, draw.rng) for _ in range(2)]
    chosen = places[stratified(noised[0], noised[1], part, Draw(min(draw.n, len(part)), draw.rng), CLASS_SHARE)]
    if len(chosen) < draw.n:  # the shortlist is worked off
        taken = candidates.asked.copy()
        taken[chosen] = True
        rest = candidates.part(~taken)
        more = best(scores[~taken], rest, Draw(draw.n - len(chosen), draw.rng))
        chosen = np.concatenate([chosen, np.flatnonzero(~taken)[more]])
    return np.asarray(chosen)


def _shortlist(candidates: Candidates, draw: Draw) -> np.ndarray:
    """Return the places of the best of many random shares of the cases, by mean attention size."""
    cases, number = np.unique(candidates.case, return_inverse=True)
    size = np.bincount(number, weights=candidates.attention_ml, minlength=len(cases))
    n = max(1, round(SHORTLIST_SHARE * len(cases)))
    batches = [draw.rng.choice(len(cases), n, replace=False) for _ in range(SHORTLIST_BATCHES)]
    chosen = max(batches, key=lambda batch: float(size[batch].mean()))
    return np.flatnonzero(np.isin(number, chosen))
