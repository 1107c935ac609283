"""Pieces of ribs that make up one rib: whose ends point at each other, and crumbs beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.spatial import KDTree

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.ribs.lines import Line, line_of
from ctatlas.anatomy_rules.ribs.pieces import Piece, ways_mm
from ctatlas.anatomy_rules.ribs.spine import Spine
from ctatlas.anatomy_rules.ribs.steps import Fragments

CRUMB_MM = 12.0  # shorter pieces point nowhere: a rib is about that thick
AT_SPINE_MM = 60.0  # a rib whose end is this near to a vertebra's body has its head, or lacks only that
AROUND_END_MM = 25.0  # of an end: what of the rib may be nearest to the spine
AT_MOST_STEMS = 8  # of one name, the largest: of more nothing can be made
OVERLAP_MM = 24.0  # nearer whole slices: the ends lie side by side where a rib was cut aslant
CLOSE_MM = 8.0  # no rib lies between nearer ends
ANOTHER_NUMBER_MM = 8.0  # of a way that two pieces of one number have ahead of others
DEGREE_MM = 0.3  # a degree off the way weighs like so many mm of way


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """A way from the end of one piece to that of another, (3,) world mm each.

    Attributes
    ----------
    from_mm, from_way, to_mm, to_way : (3,) float64
        The ends, and the directions in which they point.
    radius_mm : float
    inner_mm : tuple of (3,) float64
        A little before both ends, where a cut aslant moves no middle.
    """

    from_mm: np.ndarray
    from_way: np.ndarray
    to_mm: np.ndarray
    to_way: np.ndarray
    radius_mm: float
    inner_mm: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """One rib.

    Attributes
    ----------
    name : str
        The name that most of it bears.
    pieces : tuple of Piece
        The largest first.
    links : tuple of Link
    end_mm, way : (3,) float64
        Its end toward the spine, world, and where that points.
    gap_mm : float
        From there to the nearest vertebra's body.
    length_mm, radius_mm : float
        Of all pieces; near that end.
    """

    name: str
    pieces: tuple[Piece, ...]
    links: tuple[Link, ...]
    end_mm: np.ndarray
    way: np.ndarray
    gap_mm: float
    length_mm: float
    radius_mm: float

    @property
    def volume_mm3(self) -> float:
        """Volume of all its pieces."""
        return sum(each.volume_mm3 for each in self.pieces)

    @property
    def has_head(self) -> bool:
        """Whether it begins at the spine, or lacks only its head."""
        return self.gap_mm <= AT_SPINE_MM


@dataclass(frozen=True, slots=True, eq=False)
class _Stem:
    """A piece with a line, which of its ends is the one toward the spine, and how far that is from a body."""

    piece: Piece
    line: Line
    which: int
    gap_mm: float

    @property
    def at_spine(self) -> bool:
        return self.gap_mm <= AT_SPINE_MM


def _spinal_end(line: Line, bodies: KDTree, spine: Spine) -> tuple[int, float]:
    """Return which end comes from the spine, and its distance: the nearer one, and of two near ones the hinder.

    The first rib's front end, too, is near to the spine.
    """
    ends = np.stack([line.end(0), line.end(1)])
    gaps = ways_mm(bodies, ends)
    which = int(np.argmin(gaps - ends @ spine.backward))
    return which, float(gaps[which])


def chains_of(
    ribs: Sequence[Piece], spine: Spine, step: Fragments, spacing_mm: tuple[float, float, float]
) -> tuple[list[Chain], list[Piece]]:
    """Put pieces together to ribs.

    Returns
    -------
    chains, crumbs
        Ribs, and pieces that belong to none. With the step off each piece but the crumbs is a rib of its own, or stays
        with the largest of its name.
    """
    bodies = KDTree(np.concatenate(spine.bodies_mm))
    stems, crumbs = [], []
    n_stems: dict[str, int] = defaultdict(int)
    for each in ribs:
        line = line_of(each, spacing_mm) if float(np.ptp(each.points_mm, axis=0).max()) >= CRUMB_MM / 2 else None
        if line is not None and line.length_mm >= CRUMB_MM and n_stems[each.name] < AT_MOST_STEMS:
            stems.append(_Stem(each, line, *_spinal_end(line, bodies, spine)))
            n_stems[each.name] += 1
        else:
            crumbs.append(each)
    groups = _linked(stems, step) if step.on else [([stem], []) for stem in stems]
    chains = [_chain(members, links, bodies) for members, links in groups]
    return _with_crumbs(chains, crumbs, step, max(spacing_mm))


def _linked(stems: Sequence[_Stem], step: Fragments) -> list[tuple[list[_Stem], list[Link]]]:
    """Join ends, the cheapest ways first: an end is joined once, and a rib has one head."""
    group = list(range(len(stems)))
    taken: set[tuple[int, int]] = set()
    links: list[tuple[int, Link]] = []
    for _, one, other, link in sorted(_ways(stems, step), key=lambda way: way[0]):
        mine, theirs = group[one[0]], group[other[0]]
        heads = sum(stems[at].at_spine for at, each in enumerate(group) if each in (mine, theirs))
        if mine != theirs and heads <= 1 and not {one, other} & taken:
            group = [mine if each == theirs else each for each in group]
            taken |= {one, other}
            links.append((one[0], link))
    return [
        (
            [stem for stem, each in zip(stems, group, strict=True) if each == number],
            [link for at, link in links if group[at] == number],
        )
        for number in sorted(set(group))
    ]


_Way = tuple[float, tuple[int, int], tuple[int, int], Link]


def _ways(stems: Sequence[_Stem], step: Fragments) -> Iterator[_Way]:
    """Yield the ways from end to end that a rib may go, with what they cost."""
    for (a, one), (b, other) in combinations(enumerate(stems), 2):
        if structures()[one.piece.name].side != structures()[other.piece.name].side:
            continue
        for end in (0, 1):
            for far_end in (0, 1):
                link = Link(
                    one.line.end(end),
                    one.line.outward(end),
                    other.line.end(far_end),
                    other.line.outward(far_end),
                    (one.line.radius_mm + other.line.radius_mm) / 2,
                    (one.line.inner(end), other.line.inner(far_end)),
                )
                cost = _cost(link, step)
                if cost is not None and not _blocked(link, stems, {a, b}):
                    another = 0.0 if one.piece.name == other.piece.name else ANOTHER_NUMBER_MM
                    yield cost + another, (a, end), (b, far_end), link


def _cost(link: Link, step: Fragments) -> float | None:
    """Return what a way costs in mm, None where the ends don't point at each other."""
    way_mm = float(np.linalg.norm(link.to_mm - link.from_mm))
    if way_mm > step.gap_mm:
        return None
    inner = link.inner_mm[1] - link.inner_mm[0]
    bend_deg = _degrees(float(-link.from_way @ link.to_way))
    aside_mm = float(np.linalg.norm(inner - (inner @ link.from_way) * link.from_way))
    if float(np.linalg.norm(inner)) <= OVERLAP_MM and aside_mm <= 1.5 * link.radius_mm and bend_deg <= step.angle_deg:
        return DEGREE_MM * bend_deg
    direction = inner / max(float(np.linalg.norm(inner)), 1e-9)
    off_deg = _degrees(float(link.from_way @ direction)), _degrees(float(-link.to_way @ direction))
    return way_mm + DEGREE_MM * sum(off_deg) if max(off_deg) <= step.angle_deg else None


def _degrees(cosine: float) -> float:
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def _blocked(link: Link, stems: Sequence[_Stem], own: set[int]) -> bool:
    """Tell whether another rib crosses a way."""
    way_mm = float(np.linalg.norm(link.to_mm - link.from_mm))
    if way_mm <= CLOSE_MM:
        return False
    shares = np.linspace(0.0, 1.0, max(2, int(way_mm / 3.0)))[:, None]
    points = link.from_mm + shares * (link.to_mm - link.from_mm)
    others = [stem.line.points_mm for at, stem in enumerate(stems) if at not in own]
    return bool(others) and float(ways_mm(KDTree(np.concatenate(others)), points).min()) < link.radius_mm


def _chain(members: Sequence[_Stem], links: Sequence[Link], bodies: KDTree) -> Chain:
    """Make a rib of pieces: named as most of it is, its end the one nearest to the spine."""
    pieces = sorted((stem.piece for stem in members), key=lambda piece: -piece.volume_mm3)
    first = min(members, key=lambda stem: stem.gap_mm)
    length = sum(stem.line.length_mm for stem in members)
    length += sum(float(np.linalg.norm(link.to_mm - link.from_mm)) for link in links)
    points, end = first.piece.points_mm, first.line.end(first.which)
    near = points[np.abs(points - end).max(axis=1) <= AROUND_END_MM]
    gap = float(ways_mm(bodies, near if len(near) else points).min())
    return Chain(
        most_common(pieces),
        tuple(pieces),
        tuple(links),
        end,
        first.line.outward(first.which),
        gap,
        length,
        first.line.radius_mm,
    )


def most_common(pieces: Sequence[Piece]) -> str:
    """Return the name that most of the volume bears."""
    volumes: dict[str, float] = defaultdict(float)
    for each in pieces:
        volumes[each.name] += each.volume_mm3
    return max(volumes, key=lambda name: volumes[name])


def _with_crumbs(
    chains: Sequence[Chain], crumbs: Sequence[Piece], step: Fragments, voxel_mm: float
) -> tuple[list[Chain], list[Piece]]:
    """Give crumbs to the rib that they lie at; return those that belong to none, too."""
    trees = [KDTree(np.concatenate([each.points_mm for each in chain.pieces])) for chain in chains]
    taken: dict[int, list[Piece]] = defaultdict(list)
    left: list[Piece] = []
    for crumb in crumbs:
        ways = [
            float(ways_mm(tree, crumb.points_mm).min())
            if structures()[chain.name].side == structures()[crumb.name].side
            else np.inf
            for chain, tree in zip(chains, trees, strict=True)
        ]
        at = int(np.argmin(ways)) if ways else -1
        same = ways and chains[at].name == crumb.name
        if ways and ways[at] <= (step.near_mm if same else 2 * voxel_mm) and step.on:
            taken[at].append(crumb)
        else:
            left.append(crumb)
    found = [replace(chain, pieces=(*chain.pieces, *taken[at])) for at, chain in enumerate(chains)]
    return found, left
