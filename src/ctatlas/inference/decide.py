"""Stage 4: from probabilities to structures, and how sure that was, a slab at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ctatlas.inference.restore import Slab
from ctatlas.models import ModelCard
from ctatlas.progress import SILENT, Progress
from ctatlas.volume.grid import Grid
from ctatlas.volume.segmentation import Place, Segmentation

# A class below this everywhere in a slab is left out of its entropy: 21 such classes add less than a step of 1/255.
_NEGLIGIBLE = 1e-5
# The winner of n classes has at least 1/n; the slack is for rounding in float32.
_SLACK = 0.999


@dataclass(frozen=True, slots=True)
class Inferred:
    """What a model finds in a scan.

    Attributes
    ----------
    segmentation : Segmentation
        Every class of the card but the background, auxiliary ones too, under the names of the card, and what the card
        takes from calibrated HU; not yet tidied.
    probabilities : mapping of str to (i, j, k) uint8
        Of the classes asked for; 255 is certain. 0 outside the body's box.
    entropy : (i, j, k) uint8 or None
        0 where the network is certain, 255 where it cannot tell at all. 0 outside the body's box.
    why_nothing : str
        A few words when the scan shows no torso, so that nothing was looked for; else empty.
    """

    segmentation: Segmentation
    probabilities: Mapping[str, np.ndarray] = field(default_factory=dict)
    entropy: np.ndarray | None = None
    why_nothing: str = ""


def decide(slabs: Sequence[Slab], card: ModelCard, grid: Grid, *, progress: Progress = SILENT) -> Segmentation:
    """Give every voxel its class (arg-max), or every class its voxels (threshold).

    Parameters
    ----------
    slabs : sequence of Slab
        From `restore`; outside of them nothing is found.
    card : ModelCard
        Says how to decide, and what the classes are called.
    grid : Grid
        Of the scan.
    progress : Progress, optional

    Returns
    -------
    Segmentation
        Every class but the background. Ties of the arg-max go to the lowest channel.
    """
    if card.decide == "threshold":
        return _above_threshold(slabs, card, grid, progress)
    labels = np.zeros(grid.shape, np.uint8 if len(card.classes) <= 256 else np.uint16, order="F")
    progress.stage("decide", len(slabs))
    for slab in slabs:
        labels[slab.box.slices] = _winner(slab, labels.dtype)
        progress.advance()
    if labels.dtype == np.uint16:
        return Segmentation.from_labels(grid, labels, card.foreground)
    return Segmentation(grid, (labels,), {name: Place(0, channel) for channel, name in card.foreground.items()})


def probability_maps(
    slabs: Sequence[Slab], card: ModelCard, grid: Grid, names: Collection[str]
) -> dict[str, np.ndarray]:
    """Give the probabilities of some classes, name -> (i, j, k) uint8; 255 is certain, 0 outside the slabs."""
    channels = {channel: name for channel, name in card.foreground.items() if name in names}
    maps = {name: np.zeros(grid.shape, np.uint8, order="F") for name in channels.values()}
    for slab in slabs:
        for channel, name in channels.items():
            if slab.highest(channel) >= 0.5 / 255:
                maps[name][slab.box.slices] = _in_255(slab.probability(channel))
    return maps


def entropy_map(slabs: Sequence[Slab], card: ModelCard, grid: Grid) -> np.ndarray:
    """Give the entropy of the classes' probabilities, (i, j, k) uint8; 255 is the most there is, 0 outside the slabs.

    Notes
    -----
    Arg-max: Shannon's entropy over all n classes by log n. Threshold: the largest entropy of a single class (found or
    not found) by log 2, because there every class is a question of its own.
    """
    entropy = np.zeros(grid.shape, np.uint8, order="F")
    measure = _doubt_of_one if card.decide == "threshold" else _doubt_among_all
    for slab in slabs:
        entropy[slab.box.slices] = _in_255(measure(slab))
    return entropy


def _winner(slab: Slab, dtype: np.dtype[np.unsignedinteger]) -> np.ndarray:
    """Return the channel with the highest probability at every voxel, (i, j, k)."""
    n = len(slab.planes)
    best = slab.probability(0)
    winner = np.zeros_like(best, dtype)
    for channel in range(1, n):
        if slab.highest(channel) < _SLACK / n:
            continue
        probability = slab.probability(channel)
        ahead = probability > best
        np.maximum(best, probability, out=best)
        np.maximum(winner, ahead * dtype.type(channel), out=winner)  # channels rise, so the maximum is the latest
    return winner


def _above_threshold(slabs: Sequence[Slab], card: ModelCard, grid: Grid, progress: Progress) -> Segmentation:
    """Make one mask after the other, so that besides the packed layers only one is ever held."""
    progress.stage("decide", len(card.foreground))

    def mask(channel: int) -> np.ndarray:
        found = np.zeros(grid.shape, np.bool_, order="F")
        for slab in slabs:
            if slab.highest(channel) > card.threshold:
                found[slab.box.slices] = slab.probability(channel) > card.threshold
        progress.advance()
        return found

    return Segmentation.from_masks(grid, ((name, mask(channel)) for channel, name in card.foreground.items()))


def _doubt_among_all(slab: Slab) -> np.ndarray:
    counted = [channel for channel in range(len(slab.planes)) if slab.highest(channel) > _NEGLIGIBLE]
    doubt = np.zeros_like(slab.probability(counted[0]))
    for channel in counted:
        doubt += _surprise(slab.probability(channel))
    return doubt / np.float32(np.log(max(2, len(slab.planes))))


def _doubt_of_one(slab: Slab) -> np.ndarray:
    doubt = np.zeros_like(slab.probability(0))
    for channel in range(len(slab.planes)):
        probability = slab.probability(channel)
        np.maximum(doubt, _surprise(probability) + _surprise(1 - probability), out=doubt)
    return doubt / np.float32(np.log(2))


def _surprise(probability: np.ndarray) -> np.ndarray:
    """Return -p log p, 0 at p = 0; numpy's float32 logarithm is several times as fast as `scipy.special.entr`."""
    return np.asarray(-probability * np.log(np.maximum(probability, np.finfo(np.float32).tiny)))


def _in_255(share: np.ndarray) -> np.ndarray:
    return np.asarray(np.rint(share.clip(0, 1) * 255), np.uint8)
