"""How sure the network was, where a person asks: probabilities and entropy on the scan's grid, a slab at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ctatlas.inference.restore import Part
from ctatlas.inference.route import Route
from ctatlas.kernels.resample import shrink
from ctatlas.models import ModelCard
from ctatlas.progress import SILENT, Progress
from ctatlas.volume.grid import Grid

# A class below this everywhere in a slab is left out of its entropy: 117 such classes add less than a step of 1/255.
_NEGLIGIBLE = 1e-5


@dataclass(frozen=True, slots=True)
class ProbabilityMaps(Mapping[str, np.ndarray]):
    """The probabilities of classes by name, (i, j, k) uint8 each; 255 is certain, 0 outside the slabs.

    A map is made anew whenever it is asked for, so that of a hundred classes only one is ever held.

    Attributes
    ----------
    slabs : sequence of Part
    channels : mapping of str to int
        Name of a class -> its channel.
    grid : Grid
        Of the scan.
    """

    slabs: Sequence[Part]
    channels: Mapping[str, int]
    grid: Grid

    def __getitem__(self, name: str) -> np.ndarray:
        channel = self.channels[name]
        found = np.zeros(self.grid.shape, np.uint8, order="F")
        for slab in self.slabs:
            if slab.highest(channel) >= 0.5 / 255:
                found[slab.box.slices] = _in_255(slab.probability(channel))
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.channels)

    def __len__(self) -> int:
        return len(self.channels)


@dataclass(frozen=True, slots=True)
class MapsWhenAsked(Mapping[str, np.ndarray]):
    """Maps by name, each made whenever it is looked up, so that one alone is ever held.

    Attributes
    ----------
    makers : mapping of str to callable
    """

    makers: Mapping[str, Callable[[], np.ndarray]]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self.makers)

    def __len__(self) -> int:
        return len(self.makers)

    @classmethod
    def of(
        cls, *maps: Mapping[str, np.ndarray], then: Callable[[np.ndarray], np.ndarray] = np.asarray
    ) -> MapsWhenAsked:
        """Take several maps as one, of names that are twice there the first; `then` is done to each when it is made."""
        named = [(name, each) for each in reversed(maps) for name in each]
        return cls({name: partial(_then, then, each, name) for name, each in named})


def _then(then: Callable[[np.ndarray], np.ndarray], maps: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    return then(maps[name])


@dataclass(frozen=True, slots=True)
class NetworkMaps(Mapping[str, np.ndarray]):
    """The probabilities of classes by name where the network gave them, (i, j, k) float32 each.

    Attributes
    ----------
    planes : (c, i, j, k) float32
        On the network's grid, axes in the scan's order.
    channels : mapping of str to int
        Name of a class -> its channel.
    route : Route
    """

    planes: np.ndarray
    channels: Mapping[str, int]
    route: Route

    @property
    def grid(self) -> Grid:
        """The network's grid, axes in the scan's order."""
        return self.route.coarse

    def __getitem__(self, name: str) -> np.ndarray:
        found: np.ndarray = self.planes[self.channels[name]]
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.channels)

    def __len__(self) -> int:
        return len(self.channels)

    def share_of(self, mask: np.ndarray) -> np.ndarray:
        """Return how much of every voxel of the network's grid a mask of the whole scan fills, (i, j, k) float32."""
        return shrink(mask, self.route.shrinking())


def entropy_map(slabs: Sequence[Part], card: ModelCard, grid: Grid, *, progress: Progress = SILENT) -> np.ndarray:
    """Give the entropy of the classes' probabilities, (i, j, k) uint8; 255 is the most there is, 0 outside the slabs.

    Notes
    -----
    Arg-max: Shannon's entropy over all n classes by log n. Threshold: the largest entropy of a single class (found or
    not found) by log 2, because there every class is a question of its own.
    """
    entropy = np.zeros(grid.shape, np.uint8, order="F")
    progress.stage("entropy", len(slabs))
    for _ in noting_entropy(slabs, card, entropy):
        progress.advance()
    return entropy


def noting_entropy(slabs: Iterable[Part], card: ModelCard, entropy: np.ndarray) -> Iterator[Part]:
    """Pass slabs on as they come, with the entropy of each put into a map (i, j, k) uint8; see `entropy_map`."""
    for slab in slabs:
        note_entropy(slab, card, entropy)
        yield slab


def note_entropy(slab: Part, card: ModelCard, entropy: np.ndarray) -> None:
    """Put the entropy of one slab into a map (i, j, k) uint8; see `entropy_map`."""
    measure = _doubt_of_one if card.decide == "threshold" else _doubt_among_all
    entropy[slab.box.slices] = _in_255(measure(slab))


def _doubt_among_all(slab: Part) -> np.ndarray:
    counted = [channel for channel in range(slab.n_classes) if slab.highest(channel) > _NEGLIGIBLE]
    doubt = np.zeros_like(slab.probability(counted[0]))
    for channel in counted:
        doubt += _surprise(slab.probability(channel))
    return doubt / np.float32(np.log(max(2, slab.n_classes)))


def _doubt_of_one(slab: Part) -> np.ndarray:
    doubt = np.zeros_like(slab.probability(0))
    for channel in range(slab.n_classes):
        probability = slab.probability(channel)
        np.maximum(doubt, _surprise(probability) + _surprise(1 - probability), out=doubt)
    return doubt / np.float32(np.log(2))


def _surprise(probability: np.ndarray) -> np.ndarray:
    """Return -p log p, 0 at p = 0; numpy's float32 logarithm is several times as fast as `scipy.special.entr`."""
    return np.asarray(-probability * np.log(np.maximum(probability, np.finfo(np.float32).tiny)))


def _in_255(share: np.ndarray) -> np.ndarray:
    return np.asarray(np.rint(share.clip(0, 1) * 255), np.uint8)
