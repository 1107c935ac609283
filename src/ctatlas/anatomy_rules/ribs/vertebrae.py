"""Vertebrae: pieces given to the one that they belong to, and numbers in order down the spine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.spatial import KDTree

from ctatlas.anatomy_rules.findings import Finding
from ctatlas.anatomy_rules.ribs.pieces import Piece, nearest_of, vertebra_names, ways_mm
from ctatlas.anatomy_rules.ribs.spine import body_of
from ctatlas.anatomy_rules.ribs.steps import Vertebrae

OTHER_NUMBER, FARTHER_NUMBER = 1.0, 0.1  # what another number costs, and each one farther from what was written
ONE_LEFT_OUT, GAP = 1.5, 0.3  # … and a number left out, unless there is the room for it
A_VERTEBRA = 0.4  # of its neighbours' volume: a second piece this large, far from the first, is one of its own
HALVES = 0.7  # of the way between vertebrae: two pieces nearer than that …
WHOLE = 1.3  # … and together no larger than this share of a neighbour are one vertebra


@dataclass(frozen=True, slots=True, eq=False)
class _Unit:
    """A vertebra: its pieces, the largest first, and the centre of its body."""

    pieces: tuple[Piece, ...]
    centre_mm: np.ndarray

    @property
    def name(self) -> str:
        return self.pieces[0].name

    @property
    def volume_mm3(self) -> float:
        return sum(each.volume_mm3 for each in self.pieces)


def vertebrae_in_order(
    vertebrae: Sequence[Piece], step: Vertebrae, spacing_mm: tuple[float, float, float]
) -> tuple[list[Piece], list[Finding]]:
    """Put vertebrae in order down the spine, each of one number.

    Returns
    -------
    pieces, findings
        A piece that belongs to no vertebra is left out. Numbers change only where two vertebrae bear the same one, a
        vertebra bears two, or they are out of order.
    """
    units, crumbs = _units(vertebrae, step, spacing_mm)
    if len(units) < 2:
        return list(vertebrae), []
    units = _merged(_from_above(units))
    names = _numbered(units)
    found = [replace(p, name=name) for unit, name in zip(units, names, strict=True) for p in unit.pieces]
    found += _crumbs(crumbs, found, max(spacing_mm))
    return found, _findings(vertebrae, found)


def _units(
    vertebrae: Sequence[Piece], step: Vertebrae, spacing_mm: tuple[float, float, float]
) -> tuple[list[_Unit], list[Piece]]:
    """Take the largest piece of each number as a vertebra, and another one where it is far and large enough."""
    sizable = [each for each in vertebrae if each.volume_mm3 >= step.drop_below_mm3]
    crumbs = [each for each in vertebrae if each.volume_mm3 < step.drop_below_mm3]
    main = {each.name: each for each in sorted(sizable, key=lambda each: each.volume_mm3)}
    typical = float(np.median([each.volume_mm3 for each in main.values()])) if main else 0.0
    units = {id(each): _Unit((each,), body_of(each, spacing_mm).mean(axis=0)) for each in main.values()}
    for each in sizable:
        if id(each) not in units and each.volume_mm3 >= A_VERTEBRA * typical:
            centre = body_of(each, spacing_mm).mean(axis=0)
            if float(np.linalg.norm(centre - units[id(main[each.name])].centre_mm)) > 0.5 * step.apart_mm:
                units[id(each)] = _Unit((each,), centre)
    for each in sizable:
        if id(each) not in units:
            centre = each.points_mm.mean(axis=0)
            own = id(main[each.name])
            near = min(units, key=lambda key: float(np.linalg.norm(units[key].centre_mm - centre)))
            far = float(np.linalg.norm(units[own].centre_mm - centre)) > step.apart_mm
            home = near if far else own
            if far and float(np.linalg.norm(units[near].centre_mm - centre)) > 2 * step.apart_mm:
                crumbs.append(each)
            else:
                units[home] = replace(units[home], pieces=(*units[home].pieces, each))
    return list(units.values()), crumbs


def _from_above(units: Sequence[_Unit]) -> list[_Unit]:
    """Order vertebrae along their main direction, whose sign their numbers tell."""
    centres = np.array([unit.centre_mm for unit in units])
    heights = (centres - centres.mean(axis=0)) @ np.linalg.svd(centres - centres.mean(axis=0), full_matrices=False)[2][
        0
    ]
    ranks = np.array([vertebra_names().index(unit.name) for unit in units], dtype=float)
    sign = 1.0 if float(((heights - heights.mean()) * (ranks - ranks.mean())).sum()) >= 0 else -1.0
    return [units[at] for at in np.argsort(sign * heights)]


def _merged(units: Sequence[_Unit]) -> list[_Unit]:
    """Join two halves of one vertebra that bear two numbers."""
    ways = [float(np.linalg.norm(b.centre_mm - a.centre_mm)) for a, b in pairwise(units)]
    found = list(units)
    for at in range(len(ways) - 1, -1, -1):
        near = [way for k, way in enumerate(ways) if k != at and abs(k - at) <= 4]
        around = [u.volume_mm3 for k, u in enumerate(units) if k not in (at, at + 1) and abs(k - at) <= 3]
        one, other = found[at], found[at + 1]
        whole = one.volume_mm3 + other.volume_mm3
        if near and around and ways[at] < HALVES * np.median(near) and whole <= WHOLE * np.median(around):
            first, second = sorted((one, other), key=lambda unit: -unit.volume_mm3)
            share = first.volume_mm3 / whole
            centre = share * first.centre_mm + (1 - share) * second.centre_mm
            found[at : at + 2] = [_Unit((*first.pieces, *second.pieces), centre)]
    return found


def _numbered(units: Sequence[_Unit]) -> list[str]:
    """Return a name for each vertebra: in order, and as near to the written ones as can be (dynamic programming)."""
    known = vertebra_names()
    if len(units) > len(known):
        return [unit.name for unit in units]
    written = np.array([known.index(unit.name) for unit in units])
    numbers = np.arange(len(known))
    ways = np.array([np.linalg.norm(b.centre_mm - a.centre_mm) for a, b in pairwise(units)])
    best, came = _mismatch(written[0], numbers), []
    for at in range(1, len(units)):
        pitch = float(np.median(ways[max(0, at - 4) : at + 3]))
        costs = np.array([[_step_cost(int(b - a), ways[at - 1] / pitch) for b in numbers] for a in numbers])
        total = best[:, None] + costs
        came.append(np.argmin(total, axis=0))
        best = total.min(axis=0) + _mismatch(written[at], numbers)
    chosen = [int(np.argmin(best))]
    for back in reversed(came):
        chosen.append(int(back[chosen[-1]]))
    return [known[number] for number in reversed(chosen)]


def _mismatch(written: int, numbers: np.ndarray) -> np.ndarray:
    off = np.abs(numbers - written)
    return np.asarray(np.where(off > 0, OTHER_NUMBER + FARTHER_NUMBER * off, 0.0))


def _step_cost(step: int, way: float) -> float:
    """Return what it costs to go on by so many numbers over so long a way, in vertebrae."""
    if step < 1:
        return float("inf")
    if step == 1:
        return 0.0
    return GAP * (step - 1) if abs(way - step) < 0.5 else ONE_LEFT_OUT * (step - 1)


def _crumbs(crumbs: Sequence[Piece], vertebrae: Sequence[Piece], voxel_mm: float) -> list[Piece]:
    """Give crumbs to the vertebra that they touch; others go, but for all that the end of a scan leaves of one."""
    if not crumbs or not vertebrae:
        return []
    points = np.concatenate([each.points_mm for each in vertebrae])
    owner = np.repeat(np.arange(len(vertebrae)), [len(each.points_mm) for each in vertebrae])
    whole = {each.origin for each in vertebrae}
    tree, found = KDTree(points), []
    for crumb in crumbs:
        ways, nearest = ways_mm(tree, crumb.points_mm), nearest_of(tree, crumb.points_mm)
        at = int(np.argmin(ways))
        if crumb.origin not in whole:
            found.append(crumb)
        elif ways[at] <= 1.8 * voxel_mm:
            found.append(replace(crumb, name=vertebrae[int(owner[nearest[at]])].name))
    return found


def _findings(before: Sequence[Piece], after: Sequence[Piece]) -> list[Finding]:
    kept = {id(each.voxels): each.name for each in after}
    found = []
    for each in before:
        name = kept.get(id(each.voxels), "")
        if name != each.name:
            says = f"now {name}" if name else "belongs to no vertebra: dropped"
            found.append(
                Finding(each.name, "vertebrae", f"{each.volume_mm3 / 1000:.2g} mL {says}", each.volume_mm3 / 1000)
            )
    return found
