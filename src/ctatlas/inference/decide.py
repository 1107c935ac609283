"""Stage 4: from probabilities to structures, a slab at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass

import numpy as np

from ctatlas.inference.restore import Part
from ctatlas.kernels.boxes import Box, bounding_box
from ctatlas.models import ModelCard
from ctatlas.progress import SILENT, Progress
from ctatlas.volume.grid import Grid
from ctatlas.volume.segmentation import Place, Segmentation

# The winner of n classes has at least 1/n; the slack is for rounding in float32.
_SLACK = 0.999


def decide(slabs: Iterable[Part], card: ModelCard, grid: Grid, *, progress: Progress = SILENT) -> Segmentation:
    """Give every voxel its class (arg-max), or every class its voxels (threshold).

    Parameters
    ----------
    slabs : iterable of Part
        From `restore` or `restored`, or of several models, gone through once; outside of them nothing is found.
    card : ModelCard
        Says how to decide, and what the classes are called.
    grid : Grid
        Of the scan.
    progress : Progress, optional
        Told of slabs where their number is known.

    Returns
    -------
    Segmentation
        Every class but the background. Ties of the arg-max go to the lowest channel.
    """
    slabs = _counted(slabs, progress)
    if card.decide == "threshold":
        return _above_threshold(slabs, card, grid)
    labels = np.zeros(grid.shape, np.uint8 if len(card.classes) <= 256 else np.uint16, order="F")
    for slab in slabs:
        labels[slab.box.slices] = _winner(slab, labels.dtype)
    if labels.dtype == np.uint16:
        return Segmentation.from_labels(grid, labels, card.foreground)
    return Segmentation(grid, (labels,), {name: Place(0, channel) for channel, name in card.foreground.items()})


def _counted(slabs: Iterable[Part], progress: Progress) -> Iterator[Part]:
    if not isinstance(slabs, Sized):
        yield from slabs
        return
    progress.stage("decide", len(slabs))
    for slab in slabs:
        yield slab
        progress.advance()


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


def _above_threshold(slabs: Iterable[Part], card: ModelCard, grid: Grid) -> Segmentation:
    """Make one mask after the other, so that besides the packed layers and the bits of all only one is ever held."""
    found: dict[int, list[_Bits]] = {channel: [] for channel in card.foreground}
    for slab in slabs:
        for channel, own in found.items():
            if slab.highest(channel) > card.threshold:
                own.extend(_Bits.of(slab.probability(channel) > card.threshold, slab.box))

    def mask(channel: int) -> np.ndarray:
        whole = np.zeros(grid.shape, np.bool_, order="F")
        for bits in found.pop(channel):
            bits.put_into(whole)
        return whole

    return Segmentation.from_masks(grid, ((name, mask(channel)) for channel, name in card.foreground.items()))


@dataclass(frozen=True, slots=True, eq=False)
class _Bits:
    """Where a class is in a slab: a bit a voxel of the smallest box around it."""

    box: Box
    packed: np.ndarray

    @classmethod
    def of(cls, mask: np.ndarray, slab: Box) -> Iterator[_Bits]:
        """Pack a slab's mask (i, j, k); nothing where it is empty."""
        if (box := bounding_box(mask)) is not None:
            (a, b, c), (d, e, f), (i, j, k) = box.lo, box.hi, slab.lo
            placed = Box((a + i, b + j, c + k), (d + i, e + j, f + k))
            yield cls(placed, np.packbits(mask[box.slices].ravel(order="F")))

    def put_into(self, whole: np.ndarray) -> None:
        """Set the voxels in a mask of the whole scan."""
        n = int(np.prod(self.box.shape))
        bits = np.unpackbits(self.packed, count=n).view(np.bool_)
        whole[self.box.slices] = bits.reshape(self.box.shape, order="F")
