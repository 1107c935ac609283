"""Votes on a real scan → pseudo-labels: only what is confident, allowed by the anatomical rules, and not against HU.

What falls through stays what the partial labels say of it: one of several classes, or nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from scipy import ndimage

from ctatlas.anatomy_rules import apply_rules, rules_of
from ctatlas.models import ModelCard
from ctatlas.training.classes import IGNORED, channels_of_code, trained_classes
from ctatlas.training.votes import Votes
from ctatlas.volume import Segmentation

SMOOTH_VOXELS = 1.5  # noise of a voxel says nothing of its material


@dataclass(frozen=True, slots=True, eq=False)
class PseudoLabels:
    """Codes (right, front, head) uint8 of a target, and per class how many mL each step left."""

    codes: np.ndarray
    kept_ml: Mapping[str, Mapping[str, float]]
    findings: tuple[str, ...]


@cache
def confidence() -> np.ndarray:
    """Return for every channel what its voxels must keep, (c, 3) float32.

    The least mean probability, the greatest spread, and by how many HU their surroundings within the class may differ
    from its median (infinite for what is of several materials).
    """
    text = files("ctatlas.training").joinpath("data", "confidence.csv").read_text(encoding="utf-8")
    rows = {
        row["class"]: [row["at_least"], row["at_most_spread"], row["at_most_hu_off"] or "inf"]
        for row in csv.DictReader(text.splitlines())
    }
    return np.array([rows.get(each.name, rows["*"]) for each in trained_classes()], dtype=np.float32)


def pseudo_labels(votes: Votes, partial: np.ndarray, card: ModelCard) -> PseudoLabels:
    """Turn votes into labels to train with.

    Parameters
    ----------
    votes : Votes
    partial : (right, front, head) uint8
        What is known of the scan without learning: codes of a target.
    card : ModelCard
        Its rules clean what the votes say.
    """
    winner = votes.mean.argmax(axis=0).astype(np.uint8)
    allowed, findings = _allowed_by_rules(winner, votes, card)
    at_least, at_most_spread, _ = confidence()[winner].transpose(3, 0, 1, 2)
    mean, spread = (
        np.take_along_axis(each, winner[None].astype(np.intp), axis=0)[0] for each in (votes.mean, votes.spread)
    )
    confident = allowed & (mean >= at_least) & (spread <= at_most_spread)
    taken = confident & _may_be(partial, winner)
    taken &= ~_of_other_material(np.where(taken, winner, 0), votes.scene.volume.array)
    codes = np.where(taken & (partial >= len(trained_classes())), winner, partial)
    ml = votes.scene.volume.grid.voxel_ml
    kept = {
        each.name: {
            step: round(float(np.count_nonzero(here & (winner == each.channel)) * ml), 1)
            for step, here in (("found", winner >= 0), ("allowed", allowed), ("confident", confident), ("taken", taken))
        }
        for each in trained_classes()[1:]
    }
    return PseudoLabels(codes, kept, findings)


def _allowed_by_rules(winner: np.ndarray, votes: Votes, card: ModelCard) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return where the rules leave the winning class as it is, and what they found."""
    names = {each.channel: each.name for each in card.classes if each.role != "background"}
    parts = {
        each.name: (each.split.left, each.split.right) if each.split else (each.name,)
        for each in card.classes
        if each.role != "background"
    }
    found = Segmentation.from_labels(votes.scene.volume.grid, np.asfortranarray(winner), names)
    found = found.with_masks(votes.scene.calibrated.masks())
    tidied = apply_rules(found, rules_of(card))
    allowed = winner == 0
    for channel, name in names.items():
        for part in parts[name]:
            if part in tidied.segmentation.names:
                allowed |= tidied.segmentation.mask(part) & (winner == channel)
    return allowed, tuple(f"{each.structure}: {each.why}" for each in tidied.findings)


def _of_other_material(labels: np.ndarray, hu: np.ndarray) -> np.ndarray:
    """Tell where an organ of one material is not as dense as most of it: there it is an effusion, or a neighbour.

    Lesions of the organ are taken out with them, and stay unjudged.
    """
    off = np.zeros(labels.shape, dtype=bool)
    for channel in np.flatnonzero(np.isfinite(confidence()[:, 2])):
        organ = labels == channel
        if organ.any():
            within = np.maximum(ndimage.gaussian_filter(organ.astype(np.float32), SMOOTH_VOXELS), 1e-3)
            mean = ndimage.gaussian_filter(np.where(organ, hu, 0).astype(np.float32), SMOOTH_VOXELS) / within
            off |= organ & (np.abs(mean - np.median(mean[organ])) > confidence()[channel, 2])
    return off


def _may_be(partial: np.ndarray, winner: np.ndarray) -> np.ndarray:
    """Tell where the partial labels leave the winning class among those that come into question."""
    n = len(trained_classes())
    members = np.zeros((IGNORED + 1, n), dtype=bool)
    members[IGNORED] = True
    for code, channels in channels_of_code().items():
        members[code, list(channels)] = True
    return np.asarray(members[partial, winner])


def record(labels: PseudoLabels, members: Sequence[Mapping[str, str]], round_number: int) -> dict[str, Any]:
    """Return what is worth keeping of how pseudo-labels were made, in plain types."""
    classes = trained_classes()
    return {
        "round": round_number,
        "models": [dict(member) for member in members],
        "confidence": {
            each.name: [round(float(value), 3) for value in confidence()[each.channel] if np.isfinite(value)]
            for each in classes
        },
        "volumes_ml": labels.kept_ml,
        "findings": list(labels.findings),
    }
