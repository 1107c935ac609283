"""Stage 4: from probabilities to structures, a slab at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import Protocol

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
    deciding = deciding_by(card, grid)
    for slab in _counted(slabs, progress):
        deciding.take(slab)
    return deciding.segmentation()


class Deciding(Protocol):
    """What has been decided so far, slab by slab."""

    def take(self, slab: Part) -> None:
        """Decide one more slab."""

    def segmentation(self) -> Segmentation:
        """Return every class but the background, once; what was held for it is let go."""


def deciding_by(card: ModelCard, grid: Grid) -> Deciding:
    """Begin to decide as a card says, on the grid of a scan."""
    return _Thresholds(card, grid) if card.decide == "threshold" else _ArgMax(card, grid)


class _ArgMax:
    """One label map."""

    def __init__(self, card: ModelCard, grid: Grid) -> None:
        self.card, self.grid = card, grid
        self.labels = np.zeros(grid.shape, np.uint8 if len(card.classes) <= 256 else np.uint16, order="F")

    def take(self, slab: Part) -> None:
        """Give the slab's voxels their classes."""
        self.labels[slab.box.slices] = _winner(slab, self.labels.dtype)

    def segmentation(self) -> Segmentation:
        """Return the map's classes."""
        names = self.card.foreground
        if self.labels.dtype == np.uint16:
            return Segmentation.from_labels(self.grid, self.labels, names)
        return Segmentation(self.grid, (self.labels,), {name: Place(0, channel) for channel, name in names.items()})


class _Thresholds:
    """The bits of every class, of which one mask after the other is made: only one is ever held beside the layers."""

    def __init__(self, card: ModelCard, grid: Grid) -> None:
        self.card, self.grid = card, grid
        self.found: dict[int, list[_Bits]] = {channel: [] for channel in card.foreground}

    def take(self, slab: Part) -> None:
        """Give every class the slab's voxels."""
        for channel, own in self.found.items():
            if slab.highest(channel) > self.card.threshold:
                own.extend(_Bits.of(slab.probability(channel) > self.card.threshold, slab.box))

    def segmentation(self) -> Segmentation:
        """Pack mask after mask."""
        return Segmentation.from_masks(
            self.grid, ((name, self._mask(channel)) for channel, name in self.card.foreground.items())
        )

    def _mask(self, channel: int) -> np.ndarray:
        whole = np.zeros(self.grid.shape, np.bool_, order="F")
        for bits in self.found.pop(channel):
            bits.put_into(whole)
        return whole


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
