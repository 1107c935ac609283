"""One mask out of several annotators' masks of one structure, and how far these agree.

All that counts is how often each pattern of votes occurs: the masks are looked at once, within the box that holds them,
and majority, STAPLE and the figures of agreement are worked out from a table with one row a pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

import numpy as np

from ctatlas.volume import box_of
from ctatlas.volume.segmentation import Box

AT_MOST_ANNOTATORS = 16  # a bit each
# Source: Warfield, Zou, Wells 2004, "Simultaneous truth and performance level estimation (STAPLE)", doi
# 10.1109/TMI.2004.828354; where to start is what SimpleITK's implementation does.
_START = 0.99999
_AT_MOST_ROUNDS = 10_000
_SETTLED = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """Who says what about one structure.

    Attributes
    ----------
    shape : (3,) int
        Of the grid.
    box : Box
        The smallest that holds all masks; of one voxel when all are empty.
    codes : (i, j, k) uint16
        Within the box: bit r is set where annotator r has a voxel.
    patterns : (p, r) bool
        The patterns of votes that occur there.
    counts : (p,) int64
        How many voxels have each.
    """

    shape: tuple[int, ...]
    box: Box
    codes: np.ndarray
    patterns: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, masks: Iterable[np.ndarray]) -> Votes:
        """Collect the votes of (i, j, k) bool masks, which may come from a generator, one at a time."""
        shape: tuple[int, ...] = ()
        parts: list[tuple[Box | None, np.ndarray]] = []
        for mask in masks:
            shape, inside = mask.shape, box_of(mask)
            parts.append((inside, mask[inside].copy() if inside else np.zeros(0, bool)))
        if not 0 < len(parts) <= AT_MOST_ANNOTATORS:
            raise ValueError(f"{len(parts)} masks; expected 1 to {AT_MOST_ANNOTATORS}")
        box = _around([inside for inside, _ in parts if inside])
        codes = np.zeros([side.stop - side.start for side in box], np.uint16, order="F")
        for number, (inside, part) in enumerate(parts):
            if inside:
                codes[_within(inside, box)] |= part * np.uint16(1 << number)
        counts = np.zeros(1 << len(parts), np.int64)
        for k in range(codes.shape[2]):
            counts += np.bincount(codes[:, :, k].ravel(order="K"), minlength=len(counts))
        occurring = np.flatnonzero(counts)
        patterns = (occurring[:, None] >> np.arange(len(parts))) & 1 == 1
        return cls(shape, box, codes, patterns, counts[occurring])

    def mask(self, decision: np.ndarray) -> np.ndarray:
        """Return the (i, j, k) bool mask of the voxels whose pattern is decided for; decision is (p,) bool."""
        table = np.zeros(1 << self.patterns.shape[1], bool)
        table[self.patterns @ (1 << np.arange(self.patterns.shape[1]))] = decision
        mask = np.zeros(self.shape, bool, order="F")
        mask[self.box] = table[self.codes]
        return mask


@dataclass(frozen=True, slots=True, eq=False)
class Staple:
    """What STAPLE estimates.

    Attributes
    ----------
    probability : (p,) float64
        Of each pattern of votes, that its voxels are the structure's.
    sensitivity, specificity : (r,) float64
        Of each annotator, within the box.
    """

    probability: np.ndarray
    sensitivity: np.ndarray
    specificity: np.ndarray


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far annotators agree.

    Attributes
    ----------
    dice, lowest_dice : float
        Mean and lowest of all pairs; 1 for two empty masks.
    kappa : float
        Fleiss's, over the voxels of the box that holds all masks; 1 where all say the same.
    disputed_voxels : int
        Voxels that some have and some don't.
    """

    dice: float
    lowest_dice: float
    kappa: float
    disputed_voxels: int


def majority(votes: Votes) -> np.ndarray:
    """Return the voxels that more than half of the annotators have; where half have them, the last one decides."""
    yes, n = votes.patterns.sum(axis=1), votes.patterns.shape[1]
    return votes.mask((2 * yes > n) | ((2 * yes == n) & votes.patterns[:, -1]))


def staple_mask(votes: Votes) -> np.ndarray:
    """Return the voxels that are the structure's with a probability of one half or more, by STAPLE."""
    return votes.mask(staple(votes).probability >= 0.5)


def staple(votes: Votes) -> Staple:
    """Estimate, by expectation-maximisation, the hidden truth and how well each annotator tells it.

    Notes
    -----
    The prior is the mean share of the box that the annotators mark, alike for all voxels. The box makes the result
    independent of how much of the body the scan shows; over a whole scan the specificity of everybody would be 1.
    """
    said, counts = votes.patterns, votes.counts.astype(float)
    n_annotators = said.shape[1]
    prior = float(counts @ said.mean(axis=1) / counts.sum())
    sensitivity, specificity = np.full(n_annotators, _START), np.full(n_annotators, _START)
    truth = np.zeros(len(counts))
    for _ in range(_AT_MOST_ROUNDS):
        if_true = prior * np.where(said, sensitivity, 1 - sensitivity).prod(axis=1)
        if_false = (1 - prior) * np.where(said, 1 - specificity, specificity).prod(axis=1)
        total = if_true + if_false
        new = np.divide(if_true, total, out=np.full(len(counts), prior), where=total > 0)
        settled = np.abs(new - truth).max() < _SETTLED
        truth = new
        if settled:
            break
        sensitivity = _share(counts * truth, said, sensitivity)
        specificity = _share(counts * (1 - truth), ~said, specificity)
    return Staple(truth, sensitivity, specificity)


def agreement(votes: Votes) -> Agreement:
    """Say how far the annotators agree; with one alone there is nothing to disagree about."""
    said, counts = votes.patterns, votes.counts
    sizes = counts @ said
    dices = [
        1.0 if sizes[a] + sizes[b] == 0 else float(2 * (counts @ (said[:, a] & said[:, b])) / (sizes[a] + sizes[b]))
        for a, b in combinations(range(said.shape[1]), 2)
    ] or [1.0]
    disputed = said.any(axis=1) & ~said.all(axis=1)
    return Agreement(float(np.mean(dices)), min(dices), _kappa(said, counts), int(counts[disputed].sum()))


def _kappa(said: np.ndarray, counts: np.ndarray) -> float:
    """Return Fleiss's kappa of two categories. Source: Fleiss 1971, doi 10.1037/h0031619."""
    n = said.shape[1]
    if n < 2:
        return 1.0
    yes = said.sum(axis=1)
    alike = float(counts @ ((yes * (yes - 1) + (n - yes) * (n - yes - 1)) / (n * (n - 1))) / counts.sum())
    share = float(counts @ yes / (n * counts.sum()))
    by_chance = share**2 + (1 - share) ** 2
    return 1.0 if by_chance == 1 else (alike - by_chance) / (1 - by_chance)


def _share(weights: np.ndarray, said: np.ndarray, before: np.ndarray) -> np.ndarray:
    total = weights.sum()
    return np.asarray(weights @ said / total) if total > 0 else before


def _around(boxes: list[Box]) -> Box:
    if not boxes:
        return slice(0, 1), slice(0, 1), slice(0, 1)
    i, j, k = (slice(min(b[a].start for b in boxes), max(b[a].stop for b in boxes)) for a in range(3))
    return i, j, k


def _within(inner: Box, outer: Box) -> Box:
    i, j, k = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, outer, strict=True))
    return i, j, k


# How a consensus is made: the words of `atlas.toml`
CONSENSUS: Mapping[str, Callable[[Votes], np.ndarray]] = MappingProxyType({"majority": majority, "staple": staple_mask})
