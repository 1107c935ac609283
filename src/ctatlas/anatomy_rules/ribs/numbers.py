"""Ribs numbered by the vertebrae that they meet, both sides at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.findings import Finding
from ctatlas.anatomy_rules.ribs.chains import Chain
from ctatlas.anatomy_rules.ribs.pieces import rib_names, vertebra_names
from ctatlas.anatomy_rules.ribs.spine import Spine

CERVICAL, LUMBAR = 0, 13  # numbers of ribs at the last cervical and the first lumbar vertebra, which have no name
OFF_LEVEL = 2.0  # what a rib costs that lies a vertebra too high or too low …
OTHER_NAME = 1.0  # … and one that bears another number: the vertebrae count more than what a network wrote
LEFT_OUT = 0.5  # for each number without a rib between others
ALONE = 0.3  # for a number with a rib on one side only
UNLIKE = 0.5  # for two ribs of one number, of which one begins a vertebra above the other
SURPLUS = 4.0  # for a rib without a number
POINTS_MM = 14.0  # for which a rib goes on as its end points
ABOVE_LEVEL = 0.33  # of the way between vertebrae by which ribs end above the middle of their own


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The ribs of one number, one a side at most.

    Attributes
    ----------
    number : int
        1 to 12; 0 at C7, 13 at L1.
    ribs : tuple of Chain
    down_mm : float
        How far down the spine they begin.
    """

    number: int
    ribs: tuple[Chain, ...]
    down_mm: float


def numbered(chains: Sequence[Chain], spine: Spine) -> list[Pair]:
    """Give numbers to the ribs that begin at the spine, from above, both sides at once.

    Each number goes to the next rib of the left, of the right, of both or of none; the cheapest way of all is taken
    (dynamic programming over numbers and ribs used up). A rib that fits no number, such as one piece of two that did
    not find each other, gets none.
    """
    sides = [_from_above(chains, spine, side) for side in ("left", "right")]
    ways: dict[tuple[int, int], _Way] = {(0, 0): _Way(0.0)}
    for number in range(CERVICAL, LUMBAR + 1):
        ways = _with_surplus(ways, sides)
        next_ways: dict[tuple[int, int], _Way] = {}
        for used, way in ways.items():
            for takes in ((0, 0), (1, 0), (0, 1), (1, 1)):
                then = used[0] + takes[0], used[1] + takes[1]
                if then[0] <= len(sides[0]) and then[1] <= len(sides[1]):
                    taken = [side[at] for side, at, take in zip(sides, used, takes, strict=True) if take]
                    is_over = used == (len(sides[0]), len(sides[1]))
                    cost = _cost(taken, number, spine) if taken else LEFT_OUT * (used != (0, 0) and not is_over)
                    _keep_cheaper(next_ways, then, way.on(cost, number, taken))
        ways = next_ways
    best = _with_surplus(ways, sides)[len(sides[0]), len(sides[1])]
    return [
        Pair(number, tuple(c for c, _ in taken), float(np.mean([d for _, d in taken]))) for number, taken in best.pairs
    ]


_Placed = tuple[Chain, float]
"""A rib, and how far down the spine it begins."""


@dataclass(frozen=True, slots=True)
class _Way:
    """Numbers given away so far, and what that cost."""

    cost: float
    pairs: tuple[tuple[int, tuple[_Placed, ...]], ...] = ()

    def on(self, cost: float, number: int, taken: Sequence[_Placed]) -> _Way:
        return _Way(self.cost + cost, (*self.pairs, (number, tuple(taken))) if taken else self.pairs)


def _keep_cheaper(ways: dict[tuple[int, int], _Way], used: tuple[int, int], way: _Way) -> None:
    if used not in ways or way.cost < ways[used].cost:
        ways[used] = way


def _with_surplus(ways: dict[tuple[int, int], _Way], sides: Sequence[Sequence[_Placed]]) -> dict[tuple[int, int], _Way]:
    """Let ribs go without a number, at a price."""
    found = dict(ways)
    for i, j in sorted(np.ndindex(len(sides[0]) + 1, len(sides[1]) + 1), key=sum):
        for before in ((i - 1, j), (i, j - 1)):
            if before in found:
                _keep_cheaper(found, (i, j), found[before].on(SURPLUS, -1, ()))
    return found


def _from_above(chains: Sequence[Chain], spine: Spine, side: str) -> list[_Placed]:
    held = [(c, _down_mm(c, spine)) for c in chains if c.has_head and structures()[c.name].side == side]
    return sorted(held, key=lambda each: each[1])


def _cost(taken: Sequence[_Placed], number: int, spine: Spine) -> float:
    """Return what it costs that ribs bear a number: for their heights, their names, and for each other's."""
    cost = ALONE if len(taken) == 1 else UNLIKE * abs(taken[0][1] - taken[1][1]) / spine.pitch_mm(taken[0][1])
    for chain, down_mm in taken:
        off = abs(down_mm - expected_mm(number, spine)) / spine.pitch_mm(down_mm)
        cost += OFF_LEVEL * off + OTHER_NAME * (1 - _votes(chain, number))
    return cost


def _down_mm(chain: Chain, spine: Spine) -> float:
    """Return how far down the spine a rib begins: where its end points, were it whole."""
    return float(spine.down_mm(chain.end_mm + min(chain.gap_mm, POINTS_MM) * chain.way))


def renamed(chains: Sequence[Chain], pairs: Sequence[Pair]) -> tuple[list[Chain], list[Finding]]:
    """Give ribs the names of their numbers; pieces in front follow the rib whose name they bore.

    A rib at C7 or L1 keeps the name that it has: no label set has another one for it.
    """
    names = {
        id(chain): name_of(structures()[chain.name].side, pair.number)
        for pair in pairs
        for chain in pair.ribs
        if CERVICAL < pair.number < LUMBAR
    }
    moved = {chain.name: names[id(chain)] for chain in chains if id(chain) in names}
    found, findings = [], []
    for chain in chains:
        name = names.get(id(chain), chain.name if chain.has_head else moved.get(chain.name, chain.name))
        found.append(replace(chain, name=name))
        if name != chain.name:
            says = f"meets T{number_of(name)}: now {name}" if chain.has_head else f"its rib is now {name}"
            findings.append(Finding(chain.name, "rib_numbers", says, removed_ml=chain.volume_mm3 / 1000))
    return found, findings


def name_of(side: str, number: int) -> str:
    """Return the name of a rib."""
    ribs = [name for name in rib_names() if structures()[name].side == side]
    return ribs[number - 1]


def number_of(name: str) -> int:
    """Return the number of a rib."""
    side = structures()[name].side
    return [each for each in rib_names() if structures()[each].side == side].index(name) + 1


def thoracic(number: int) -> str:
    """Return the vertebra of a rib's number: T1 to T12, C7 for 0, L1 for 13."""
    return vertebra_names()[vertebra_names().index("vertebrae_T1") + number - 1]


def expected_mm(number: int, spine: Spine) -> float:
    """Return how far down the spine the ribs of a number end; counted on where their vertebra is not in view."""
    known = vertebra_names()
    ranks = np.array([known.index(name) for name in spine.names], dtype=float)
    rank = known.index(thoracic(number)) - ABOVE_LEVEL
    levels = spine.levels_mm
    if rank < ranks[0]:
        return float(levels[0] - (ranks[0] - rank) * spine.pitch_mm(levels[0]))
    if rank > ranks[-1]:
        return float(levels[-1] + (rank - ranks[-1]) * spine.pitch_mm(levels[-1]))
    return float(np.interp(rank, ranks, levels))


def _votes(chain: Chain, number: int) -> float:
    """Return which share of a rib bears a number."""
    own = sum(piece.volume_mm3 for piece in chain.pieces if number_of(piece.name) == number)
    return own / chain.volume_mm3
