"""Strategies that ask for the highest score, and the two random ones that all others are measured against."""

from __future__ import annotations

import numpy as np

from ctatlas.atlas.queries.candidates import Candidates
from ctatlas.atlas.queries.sampling import drawn
from ctatlas.atlas.queries.strategies import Draw, best, strategy

strategy(
    "attention",
    lambda candidates: candidates.gain / candidates.minutes,
    about="expected gain a minute by the attention maps",
    source="ctatlas; attention after AbdomenAtlas-8K (NeurIPS 2023)",
)(best)
strategy(
    "attention-size",
    lambda candidates: candidates.attention_ml,
    about="volume of attention",
    source="AbdomenAtlas-8K (NeurIPS 2023): cases sorted by attention size",
)(best)
strategy(
    "entropy",
    lambda candidates: candidates.entropy,
    about="mean entropy of the ensemble's mean probability",
    source="predictive entropy; nnActive 2025",
)(best)
strategy(
    "bald",
    lambda candidates: candidates.bald,
    about="mean mutual information between members and prediction",
    source="Houlsby 2011; nnActive 2025",
)(best)


def foreground_weights(structure: np.ndarray, foreground_ml: np.ndarray, border_ml: np.ndarray) -> np.ndarray:
    """Return the chance of each place to be the next of a foreground-aware draw, (n,) summing to 1.

    Parameters
    ----------
    structure : (n,) text
    foreground_ml, border_ml : (n,) float
        How much of the structure and of its border is predicted there.

    Notes
    -----
    A third of the draws goes to any place, a third to a structure's voxels, a third to its border; the structure is
    drawn first, each as likely as the others. Source: nnActive, "random 66 % FG"; the current prediction stands for the
    true labels.
    """
    anywhere = np.full(len(structure), 1 / len(structure))
    names, kind = np.unique(structure, return_inverse=True)
    weights = anywhere.copy()
    for amount in (foreground_ml, border_ml):
        totals = np.bincount(kind, weights=amount, minlength=len(names))
        present = np.count_nonzero(totals)
        weights += amount / np.where(totals > 0, totals, 1)[kind] / present if present else anywhere
    chances: np.ndarray = weights / weights.sum()
    return chances


def audit_weights(structure: np.ndarray, foreground_ml: np.ndarray, border_ml: np.ndarray) -> np.ndarray:
    """Return `foreground_weights` of whole structures; one that nobody found counts as an ordinary one of its kind.

    Otherwise it would hardly ever be drawn, and weigh most when it is: what is missed as a whole is the largest error.
    """
    amounts = []
    for amount in (foreground_ml, border_ml):
        filled = amount.copy()
        for name in np.unique(structure).tolist():
            own = structure == name
            found = amount[own & (amount > 0)]
            filled[own & (amount == 0)] = np.median(found) if len(found) else 0
        amounts.append(filled)
    return foreground_weights(structure, amounts[0], amounts[1])


def no_score(candidates: Candidates) -> np.ndarray:
    """Give all places the same score."""
    return np.zeros(len(candidates))


@strategy("random", no_score, about="any place, each as likely", source="baseline")
def at_random(scores: np.ndarray, candidates: Candidates, draw: Draw) -> np.ndarray:
    """Select at random, without replacement."""
    del scores
    return np.asarray(draw.rng.permutation(np.flatnonzero(~candidates.asked))[: draw.n])


@strategy(
    "foreground-random",
    lambda places: foreground_weights(places.structure, places.foreground_ml, places.border_ml),
    about="at random: a third anywhere, a third on structures, a third on their borders",
    source="nnActive 2025: no plain uncertainty reliably beats it",
)
def at_random_by_weight(scores: np.ndarray, candidates: Candidates, draw: Draw) -> np.ndarray:
    """Select with known chances to be included, proportional to the scores."""
    open_ones = np.flatnonzero(~candidates.asked)
    chosen, _ = drawn(scores[open_ones], draw.n, draw.rng)
    return np.asarray(open_ones[chosen])
