"""The one mask of each structure: whose it is, and who keeps a voxel that two structures claim. No files here.

Structures may share voxels where one lies in the other or anatomy says so (`may_share_voxels`). Of two others

1. the one with the better kind of mask keeps the voxel (`priority`: a person's mask against a model's),
2. of two revised ones the one revised later (`later`: who drew it saw the other),
3. the one that the models hold more probable there (`probability`),
4. the smaller one (`size`: it would lose the larger share).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np

from ctatlas.anatomy import may_share_voxels
from ctatlas.atlas.config import LabelKind
from ctatlas.atlas.ensemble import Collision
from ctatlas.volume import Segmentation

_SLICES = 16  # looked at together

# A structure's name and voxels (positions in Fortran order) -> how probable the models hold it there, (n,) float32;
# None where none of them knows
Probability = Callable[[str, np.ndarray], np.ndarray | None]


@dataclass(frozen=True, slots=True)
class Claim:
    """A mask that a structure could get.

    Attributes
    ----------
    kind : str
    rank : int
        Place of the kind among the atlas's priorities; 0 is the best.
    number : int
        Of a revision, the latest where several are made into one.
    """

    kind: LabelKind
    rank: int
    number: int = 0

    @property
    def strength(self) -> tuple[int, int]:
        """Return what sorts the stronger claim first."""
        return self.rank, -self.number


def chosen(kinds: Sequence[LabelKind], there: Iterable[LabelKind]) -> LabelKind | None:
    """Return the best kind of mask that is there, of those in question; an empty mask that a source annotated is there.

    Examples
    --------
    >>> chosen(("original", "revised", "pseudo"), {"pseudo", "revised"}), chosen(("revised",), {"pseudo"})
    ('revised', None)
    """
    available = set(there)
    return next((kind for kind in kinds if kind in available), None)


def resolved(
    masks: Segmentation, claims: Mapping[str, Claim], probability: Probability | None = None
) -> tuple[Segmentation, list[Collision]]:
    """Let no voxel belong to two structures that may not share it, and count who lost what to whom.

    Parameters
    ----------
    masks : Segmentation
        One mask a structure.
    claims : mapping of str to Claim
        Of each of them.
    probability : callable, optional

    Notes
    -----
    Structures of one layer share nothing, so that only voxels of two layers are looked at, some slices at a time. Where
    three structures meet, the strongest pair is decided first, and who has lost a voxel takes it from nobody.
    """
    if masks.n_layers < 2:
        return masks, []
    judge = _Judge(claims, cache(masks.n_voxels), {name: place for place, name in enumerate(masks.names)}, probability)
    layers = list(masks.layers)  # copied when a structure of theirs loses a voxel
    names = [_names_by_value(masks, number) for number in range(masks.n_layers)]
    lost: Counter[tuple[str, str, str]] = Counter()
    for k in range(0, masks.grid.shape[2], _SLICES):
        slabs = [_slab(layer, k) for layer in layers]
        start = k * masks.grid.shape[0] * masks.grid.shape[1]
        for dispute in sorted(_disputes(slabs, names), key=judge.strongest_first):
            points = dispute.open_points(slabs)
            first_wins, rule = judge.decide(dispute.one.name, dispute.other.name, points + start)
            for winner, loser, at in (
                (dispute.one, dispute.other, points[first_wins]),
                (dispute.other, dispute.one, points[~first_wins]),
            ):
                if not len(at):
                    continue
                if layers[loser.layer] is masks.layers[loser.layer]:
                    layers[loser.layer] = masks.layers[loser.layer].copy(order="F")
                    slabs[loser.layer] = _slab(layers[loser.layer], k)
                slabs[loser.layer][at] = 0
                lost[winner.name, loser.name, rule] += len(at)
    found = [Collision(winner, loser, n, rule) for (winner, loser, rule), n in sorted(lost.items()) if n]
    return Segmentation(masks.grid, tuple(layers), masks.places), found


@dataclass(frozen=True, slots=True)
class _Party:
    """One of two structures that claim the same voxels."""

    name: str
    layer: int
    value: int


@dataclass(frozen=True, slots=True, eq=False)
class _Dispute:
    """Two structures that claim the same voxels of a slab, and may not share them."""

    one: _Party
    other: _Party
    points: np.ndarray

    def open_points(self, slabs: Sequence[np.ndarray]) -> np.ndarray:
        """Return the voxels that both still have."""
        one, other = (slabs[side.layer][self.points] == side.value for side in (self.one, self.other))
        return np.asarray(self.points[one & other])


@dataclass(frozen=True, slots=True, eq=False)
class _Judge:
    """Decides who keeps a voxel."""

    claims: Mapping[str, Claim]
    sizes: Callable[[], Mapping[str, int]]
    order: Mapping[str, int]
    probability: Probability | None

    def strongest_first(self, dispute: _Dispute) -> tuple[object, ...]:
        """Sort the disputes of the strongest structures first."""
        names = dispute.one.name, dispute.other.name
        return (*sorted(self.claims[name].strength for name in names), *(self.order[name] for name in names))

    def decide(self, one: str, other: str, points: np.ndarray) -> tuple[np.ndarray, str]:
        """Tell for each voxel whether the first one keeps it, and by which rule."""
        first, second = self.claims[one], self.claims[other]
        if first.rank != second.rank:
            return np.full(len(points), first.rank < second.rank), "priority"
        if first.number != second.number:
            return np.full(len(points), first.number > second.number), "later"
        sizes = self.sizes()
        smaller = (sizes[one], self.order[one]) < (sizes[other], self.order[other])
        shares = [self.probability(name, points) if self.probability else None for name in (one, other)]
        if shares[0] is None or shares[1] is None:
            return np.full(len(points), smaller), "size"
        return np.where(shares[0] == shares[1], smaller, shares[0] > shares[1]), "probability"


def _slab(layer: np.ndarray, k: int) -> np.ndarray:
    """Return some slices of a layer as they lie in memory, flat; a view."""
    return layer[:, :, k : k + _SLICES].reshape(-1, order="F")


def _names_by_value(masks: Segmentation, layer: int) -> dict[int, str]:
    return {place.value: name for name, place in masks.places.items() if place.layer == layer}


def _disputes(slabs: Sequence[np.ndarray], names: Sequence[Mapping[int, str]]) -> Iterator[_Dispute]:
    for a, b in combinations(range(len(slabs)), 2):
        points = np.flatnonzero((slabs[a] != 0) & (slabs[b] != 0))
        pairs = slabs[a][points].astype(np.uint16) << 8 | slabs[b][points]
        for pair in np.unique(pairs).tolist():
            one, other = _Party(names[a][pair >> 8], a, pair >> 8), _Party(names[b][pair & 255], b, pair & 255)
            if not may_share_voxels(one.name, other.name):
                yield _Dispute(one, other, points[pairs == pair])
