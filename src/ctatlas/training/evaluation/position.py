"""A guess from place alone, to which a model's Dice is compared: what does not beat it has learned nothing.

The average of 40 drawn people, fitted to a case's true organ centres by one scale and shift per axis. The fit sees the
truth, so no guess from position alone could be better.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ctatlas.measure.overlap import dice
from ctatlas.synthesis.cases import structure_ids
from ctatlas.synthesis.landmarks import fit
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import draw_phantom
from ctatlas.training.evaluation.cases import UNSEEN_SEED, Case
from ctatlas.training.evaluation.store import Store

GRID_MM = 6.0
PEOPLE = 40
ORIGIN_MM = (-300.0, -240.0, -440.0)  # left, back, head of the middle of L1
END_MM = (300.0, 240.0, 400.0)
LARGE_VOXELS = round(2000 / GRID_MM**3)  # a centre of fewer is not trusted
PAIRS = {
    whole: (f"{one}_left", f"{one}_right")
    for whole, one in (("lungs", "lung"), ("hips", "hip"), ("femurs", "femur"), ("adrenal_glands", "adrenal_gland"))
}


def position_dice(store: Store, case: Case) -> dict[str, float]:
    """Return the Dice of the guess for every structure of a case that people are drawn with and that is there.

    Nothing is guessed where no structure is large enough to say where the case lies.
    """
    facts = {"position": case.name, "people": [UNSEEN_SEED, PEOPLE, GRID_MM]}
    return store.figures(facts, lambda: _dice(store, case))


def _dice(store: Store, case: Case) -> dict[str, float]:
    names = structure_ids()[1]
    upright = case.truth.select([name for name in names.values() if name in case.truth.names]).reoriented("LPS")
    picks = [
        np.arange(0, n, GRID_MM / s).astype(int)
        for n, s in zip(upright.grid.shape, upright.grid.spacing_mm, strict=True)
    ]
    truth = {name: mask[np.ix_(*picks)] for name, mask in upright.items()}
    truth = {name: mask for name, mask in truth.items() if mask.any()}
    centres = _centres(truth, (0.0, 0.0, 0.0))
    if not centres:
        return {}
    guess = _guess(store, centres, tuple(len(p) for p in picks), list(truth))
    for whole, parts in PAIRS.items():
        present = [part for part in parts if part in truth]
        if present:
            truth[whole], guess[whole] = (np.logical_or.reduce([m[p] for p in present]) for m in (truth, guess))
    return {name: dice(truth[name], guess[name]) for name in truth}


def _guess(
    store: Store, centres: Mapping[str, np.ndarray], shape: tuple[int, ...], wanted: list[str]
) -> dict[str, np.ndarray]:
    """Return where more than half of the fitted people have each structure."""
    numbers = {name: number for number, name in structure_ids()[1].items()}
    votes = {name: np.zeros(shape, dtype=np.uint8) for name in wanted}
    for labels in _people(store):
        people = {name: labels == number for name, number in numbers.items()}
        scale, shift = fit(_centres(people, ORIGIN_MM), centres)
        index = [
            np.rint(((np.arange(n) * GRID_MM - t) / s - o) / GRID_MM).astype(int).clip(0, have - 1)
            for n, have, t, s, o in zip(shape, labels.shape, shift, scale, ORIGIN_MM, strict=True)
        ]
        fitted = labels[np.ix_(*index)]
        for name in votes:
            votes[name] += fitted == numbers[name]
    return {name: vote > PEOPLE / 2 for name, vote in votes.items()}


def _people(store: Store) -> np.ndarray:
    """Return (person, left, back, head) uint8: structure ids on a 6 mm grid."""

    def make() -> dict[str, np.ndarray]:
        axes = [np.arange(low, high, GRID_MM) for low, high in zip(ORIGIN_MM, END_MM, strict=True)]
        drawn = (draw_phantom(np.random.default_rng([UNSEEN_SEED, 7, n])) for n in range(PEOPLE))
        return {"labels": np.stack([structure_ids()[0][paint(person, *axes)] for person in drawn])}

    return store.arrays({"people": [UNSEEN_SEED, PEOPLE, GRID_MM, *ORIGIN_MM, *END_MM]}, make)["labels"]


def _centres(masks: Mapping[str, np.ndarray], origin: tuple[float, float, float]) -> dict[str, np.ndarray]:
    voxels = {name: np.argwhere(mask) for name, mask in masks.items()}
    return {name: v.mean(axis=0) * GRID_MM + origin for name, v in voxels.items() if len(v) > LARGE_VOXELS}
