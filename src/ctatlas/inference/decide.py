"""Stage 4: from probabilities to structures, a slab at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ctatlas.inference.restore import Part
from ctatlas.models import ModelCard
from ctatlas.progress import SILENT, Progress
from ctatlas.volume.grid import Grid
from ctatlas.volume.segmentation import Place, Segmentation

# The winner of n classes has at least 1/n; the slack is for rounding in float32.
_SLACK = 0.999


def decide(slabs: Sequence[Part], card: ModelCard, grid: Grid, *, progress: Progress = SILENT) -> Segmentation:
    """Give every voxel its class (arg-max), or every class its voxels (threshold).

    Parameters
    ----------
    slabs : sequence of Part
        From `restore`, or of several models; outside of them nothing is found.
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


def _winner(slab: Part, dtype: np.dtype[np.unsignedinteger]) -> np.ndarray:
    """Return the channel with the highest probability at every voxel, (i, j, k)."""
    n = slab.n_classes
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


def _above_threshold(slabs: Sequence[Part], card: ModelCard, grid: Grid, progress: Progress) -> Segmentation:
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
