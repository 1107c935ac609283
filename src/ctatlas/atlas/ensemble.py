"""One label map out of several models' predictions.

Where all say the same there is nothing to decide: the mean of their probabilities would say it, too. Only the voxels
about which they differ, one in a hundred, are looked at: there the structure, or nothing, with the highest mean
probability wins, and where a model left no probabilities the one that most of them say. So memory holds one label map
and those voxels, however many models there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ctatlas.anatomy import holders, may_share_voxels
from ctatlas.volume import Grid

_AT_ONCE = 2**18  # voxels whose places are worked out together
_MAX = np.float32(255)

# A structure's name -> its probabilities by each model, uint8 (255 is certain) on grids of their own
Probabilities = Callable[[str], Iterator[tuple[np.ndarray, Grid]]]


@dataclass(frozen=True, slots=True)
class Collision:
    """How many voxels some models gave to one structure and some to another, and who got them."""

    winner: str
    loser: str
    n_voxels: int
    rule: str


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """Where predictions differ.

    Attributes
    ----------
    labels : (i, j, k) uint8
        What the first says, everywhere; Fortran order.
    points : (n,) int64
        Voxels about which they differ, as positions in Fortran order.
    said : (m, n) uint8
        What each says there.
    """

    labels: np.ndarray
    points: np.ndarray
    said: np.ndarray


def differences(maps: Iterable[np.ndarray]) -> Difference:
    """Compare (i, j, k) uint8 label maps, which may come from a generator, one at a time."""
    first = np.zeros(0, np.uint8)
    others: list[tuple[np.ndarray, np.ndarray]] = []
    for number, labels in enumerate(maps):
        flat = np.asfortranarray(labels)
        if number == 0:
            first = flat
            continue
        points = _unlike(first, flat)
        others.append((points, flat.reshape(-1, order="F")[points]))
    points = np.unique(np.concatenate([np.zeros(0, np.int64), *(points for points, _ in others)]))
    said = np.repeat(first.reshape(-1, order="F")[points][None], len(others) + 1, axis=0)
    for row, (where, values) in zip(said[1:], others, strict=True):
        row[np.searchsorted(points, where)] = values
    return Difference(first, points, said)


def decided(
    found: Difference,
    names: Mapping[int, str],
    grid: Grid,
    probabilities: Probabilities | None = None,
    known: Sequence[Collection[int]] = (),
) -> tuple[np.ndarray, list[Collision]]:
    """Decide the voxels about which predictions differ.

    Parameters
    ----------
    found : Difference
    names : mapping of int to str
        Ids of the label maps.
    grid : Grid
        Of the label maps.
    probabilities : callable, optional
        Gives those of every model that knows a structure; without, the number of models counts.
    known : sequence of collections of int, optional
        The ids that each model knows; by default all know all. About what it doesn't know a model says nothing: it
        follows the first that does.

    Returns
    -------
    labels : (i, j, k) uint8
    collisions : list of Collision

    Notes
    -----
    "Nothing" has what the probabilities of the structures in question leave of 1. Of equals the one that the earliest
    model says wins. What lies in another structure (a tumor in its organ) has the voxel when it has at least one half,
    whatever the other has: models in which both may be true give the organ there no less than the tumor.
    """
    if not len(found.points):
        return found.labels, []
    ids = {name: number for number, name in names.items()}
    outer_of = {number: [ids[outer] for outer in holders(name, ids)] for number, name in names.items()}
    knowing = list(known) or [names] * len(found.said)
    said = _without_ignorance(found.said, names, knowing)
    score = _Score(said, outer_of)
    for number in sorted(names, key=lambda one: -len(outer_of[one])):  # the inner before the outer
        asked = np.flatnonzero((said == number).any(axis=0))
        if not len(asked):
            continue
        if probabilities is None:
            able = np.array([number in ids_known for ids_known in knowing])
            share = (said[able][:, asked] == number).mean(axis=0, dtype=np.float32)
        else:
            share = mean_probability(probabilities(names[number]), grid, found.points[asked])
        score.count(number, asked, share)
    winners = score.winners(None if probabilities else (said == 0).mean(axis=0, dtype=np.float32))
    labels = found.labels.copy(order="F")
    labels.reshape(-1, order="F")[found.points] = winners
    rule = "majority" if probabilities is None else "probability"
    return labels, _collisions(said, winners, names, rule)


def mean_probability(maps: Iterator[tuple[np.ndarray, Grid]], grid: Grid, points: np.ndarray) -> np.ndarray:
    """Return the mean of several uint8 maps on their own grids at voxels of another, (n,) float32 within 0..1.

    Between the maps' voxel centres the values are linear; beyond the outermost they go on as they are.
    """
    from scipy.ndimage import map_coordinates

    total, n_maps = np.zeros(len(points), np.float32), 0
    for values, own in maps:
        n_maps += 1
        to_own = np.linalg.inv(own.affine) @ grid.affine
        for start in range(0, len(points), _AT_ONCE):
            part = points[start : start + _AT_ONCE]
            voxels = np.array(np.unravel_index(part, grid.shape, order="F"), float)
            places = to_own[:3, :3] @ voxels + to_own[:3, 3:]
            total[start : start + len(part)] += map_coordinates(
                values, places, output=np.float32, order=1, mode="nearest"
            )
    return total / (_MAX * np.float32(max(1, n_maps)))


class _Score:
    """The best candidate of each voxel so far."""

    def __init__(self, said: np.ndarray, outer_of: Mapping[int, list[int]]) -> None:
        self.said, self.outer_of = said, outer_of
        n_models, n = said.shape
        self.best, self.share = np.zeros(n, np.uint8), np.full(n, -1, np.float32)
        self.first = np.full(n, n_models, np.uint8)  # the earliest model that says so
        self.nothing = np.ones(n, np.float32)
        self.inner = np.zeros(n, np.uint8)  # what has at least one half and lies in something else

    def count(self, number: int, at: np.ndarray, share: np.ndarray) -> None:
        """Let a structure compete at some voxels, except where something in it has won already."""
        within_it = [inner for inner, outer in self.outer_of.items() if number in outer]
        free = ~np.isin(self.inner[at], within_it)
        at, share = at[free], share[free]
        self._compete(number, at, share)
        self.nothing[at] -= share
        if self.outer_of[number]:
            self.inner[at[share >= 0.5]] = number

    def winners(self, nothing: np.ndarray | None) -> np.ndarray:
        """Return the best of each voxel, once "nothing" has competed, with what others left or as told."""
        share = self.nothing if nothing is None else nothing
        at = np.flatnonzero((self.said == 0).any(axis=0))
        self._compete(0, at, share[at])
        return self.best

    def _compete(self, number: int, at: np.ndarray, share: np.ndarray) -> None:
        first = (self.said[:, at] == number).argmax(axis=0).astype(np.uint8)
        better = (share > self.share[at]) | ((share == self.share[at]) & (first < self.first[at]))
        won = at[better]
        self.best[won], self.share[won], self.first[won] = number, share[better], first[better]


def _without_ignorance(said: np.ndarray, names: Mapping[int, str], knowing: Sequence[Collection[int]]) -> np.ndarray:
    """Let a model that says "nothing" about what it doesn't know say what the first one says that knows."""
    if all(set(names) <= set(known) for known in knowing):
        return said
    said = said.copy()
    given = said.copy()
    for model, known in enumerate(knowing):
        unknown = np.zeros(256, bool)
        unknown[[number for number in names if number not in known]] = True
        for other in given:
            follows = (said[model] == 0) & unknown[other]
            said[model, follows] = other[follows]
    return said


def _unlike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the positions, in Fortran order, at which two label maps differ, slab by slab."""
    n = one.shape[0] * one.shape[1]
    return np.concatenate(
        [np.flatnonzero((one[:, :, k] != other[:, :, k]).ravel(order="F")) + k * n for k in range(one.shape[2])]
    )


def _collisions(said: np.ndarray, winners: np.ndarray, names: Mapping[int, str], rule: str) -> list[Collision]:
    """Count the voxels that a structure lost to another although a model had given it them."""
    counts: Counter[tuple[int, int]] = Counter()
    for loser in names:
        lost = (said == loser).any(axis=0) & (winners != loser) & (winners != 0)
        by_winner = np.bincount(winners[lost], minlength=256)
        counts.update({(winner, loser): int(by_winner[winner]) for winner in names if by_winner[winner]})
    return [
        Collision(names[winner], names[loser], n, rule)
        for (winner, loser), n in sorted(counts.items())
        if not may_share_voxels(names[winner], names[loser])
    ]
