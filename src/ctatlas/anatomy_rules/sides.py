"""Rules about left and right, the patient's, decided in world space against the midline of the body."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.anatomy import Anatomy
from ctatlas.anatomy_rules.components import Box, Component
from ctatlas.anatomy_rules.findings import Change, Outcome
from ctatlas.anatomy_rules.landmarks import RIGHT, UP, Midline, is_mirrored, midline
from ctatlas.anatomy_rules.registry import rule
from ctatlas.anatomy_rules.size import dropped
from ctatlas.volume import Grid

Side = Literal["left", "right"]

ONE_SIDED = 0.95  # of a component on one side: the rest is no reason to cut it


@rule("side")
def side(
    name: str,
    anatomy: Anatomy,
    *,
    expected: Side | None = None,
    tolerance_mm: float = 0.0,
    hand_over: bool = False,
) -> Outcome:
    """Drop components whose centre is on the wrong side of the midline by more than a tolerance.

    The side is that of the structure's name (`kidney_left`), else `expected`, which is not asked for where the organs
    lie mirror-wise. With `hand_over`, components on the wrong side go to the partner structure instead of nowhere.
    """
    known, middle = structures().get(name), midline(anatomy)
    named = known.side if known else ""
    wanted = named or expected or ""
    if middle is None or not wanted or (not named and is_mirrored(anatomy)):
        return Outcome()
    sign = 1 if wanted == "right" else -1
    wrong = [c for c in anatomy.components(name) if sign * middle.to_the_right_mm(c.centre_mm) < -tolerance_mm]
    partner = known.partner if known and hand_over and known.partner in anatomy.names else ""
    return dropped(anatomy, name, wrong, f"not on the patient's {wanted}", to=partner)


@rule("situs")
def situs(name: str, anatomy: Anatomy) -> Outcome:
    """Note a liver on the patient's left; nothing is repaired, and rules with an expected side keep still."""
    if name != "liver" or not is_mirrored(anatomy):
        return Outcome()
    return Outcome(notes=("on the patient's left: organs mirror-wise (situs inversus), or the scan's sides are wrong",))


@rule("split_sides")
def split_sides(name: str, anatomy: Anatomy, *, left: str, right: str) -> Outcome:
    """Part a structure that holds both sides; a component that crosses the midline is cut there."""
    middle = midline(anatomy) or _middle_of_scan(anatomy.grid)
    changes: list[Change] = []
    for component in anatomy.components(name):
        changes += _parted(name, anatomy, component, middle, left=left, right=right)
    return Outcome(tuple(changes), replaced_by=(left, right))


def _parted(
    name: str, anatomy: Anatomy, component: Component, middle: Midline, *, left: str, right: str
) -> list[Change]:
    """Give a component to one side, or cut it."""
    voxels, on_right = anatomy.voxels(name, component), _right_half(anatomy.grid, component.box, middle)
    share = np.count_nonzero(voxels & on_right) / np.count_nonzero(voxels)
    if 1 - ONE_SIDED < share < ONE_SIDED:
        return [
            Change(name, left, component.box, voxels & ~on_right, "crosses the midline: cut there"),
            Change(name, right, component.box, voxels & on_right, "crosses the midline: cut there"),
        ]
    return [Change(name, right if share > 0.5 else left, component.box, voxels, "", component)]


def _right_half(grid: Grid, box: Box, middle: Midline) -> np.ndarray:
    """Return which voxels of a box lie on the patient's right of the midline."""
    x_mm, z_mm = (_coordinate(grid, box, axis) for axis in (RIGHT, UP))
    return np.asarray(np.broadcast_to(x_mm > middle.x_at(z_mm), [part.stop - part.start for part in box]))


def _coordinate(grid: Grid, box: Box, world_axis: int) -> np.ndarray:
    """Return a world coordinate of the voxels of a box, broadcastable to it: one line where the grid is not oblique."""
    row = grid.affine[world_axis]
    total = np.full((1, 1, 1), row[3])
    for axis, part in enumerate(box):
        steps_mm = row[axis] * np.arange(part.start, part.stop)
        if np.abs(steps_mm).max(initial=0.0) > 1e-3:
            shape = [1, 1, 1]
            shape[axis] = -1
            total = total + steps_mm.reshape(shape)
    return total


def _middle_of_scan(grid: Grid) -> Midline:
    """Return a straight midline through the middle of the field of view, for want of a spine and a skin."""
    centre_mm = grid.world((np.array(grid.shape) - 1) / 2)
    return Midline(centre_mm[UP : UP + 1], centre_mm[RIGHT : RIGHT + 1])
