"""Rules about left and right, the patient's, decided in world space against the midline of the body."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.components import Parts
from ctatlas.anatomy_rules.findings import NOTHING, Finding, Outcome
from ctatlas.anatomy_rules.landmarks import RIGHT, UP, Anatomy, Midline
from ctatlas.anatomy_rules.registry import rule
from ctatlas.anatomy_rules.size import dropped

Side = Literal["left", "right"]

ONE_SIDED = 0.95   # of a component on one side: the rest is no reason to cut it


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
    parts, midline = anatomy.parts(name), anatomy.midline()
    known = structures().get(name)
    wanted = (known.side if known else "") or (expected if not anatomy.mirrored() else "")
    if midline is None or not wanted:
        return NOTHING
    sign = 1 if wanted == "right" else -1
    wrong = [c.label for c in parts.components if sign * float(midline.to_the_right_mm(c.centre_mm)) < -tolerance_mm]
    partner = known.partner if known else ""
    if wrong and hand_over and partner in anatomy.names:
        return _handed_over(name, partner, anatomy, wrong)
    return dropped(name, parts, wrong, kind="side", why=f"not on the patient's {wanted}")


def _handed_over(name: str, partner: str, anatomy: Anatomy, labels: list[int]) -> Outcome:
    """Make components part of the structure's partner."""
    parts, other = anatomy.parts(name), anatomy.parts(partner)
    moved = Parts.of(parts.mask(labels), parts.grid, parts.box)
    i, j, k = (
        slice(min(a.start, b.start), max(a.stop, b.stop)) if other.components else a
        for a, b in zip(moved.box, other.box, strict=True)
    )
    box = (i, j, k)
    both = np.zeros([side.stop - side.start for side in box], dtype=bool)
    for one in (moved, other):
        if one.components:
            i, j, k = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(one.box, box, strict=True))
            both[i, j, k] |= one.mask()
    joined = Parts.of(both, parts.grid, box)
    findings = (
        Finding(name, "side", f"on the other side: given to {partner}", removed_ml=moved.volume_ml),
        Finding(partner, "side", f"taken over from {name}", added_ml=joined.volume_ml - other.volume_ml),
    )
    return Outcome({name: parts.without(labels), partner: joined}, findings)


@rule("situs")
def situs(name: str, anatomy: Anatomy) -> Outcome:
    """Flag a liver on the patient's left; nothing is repaired, and rules with an expected side keep still."""
    if not anatomy.mirrored():
        return NOTHING
    why = "most of it is on the patient's left: organs mirror-wise (situs inversus), or the scan's sides are wrong"
    return Outcome(findings=(Finding(name, "situs", why),))


@rule("split_sides")
def split_sides(name: str, anatomy: Anatomy, *, left: str, right: str) -> Outcome:
    """Part a structure that holds both sides; a component that crosses the midline is cut there."""
    parts = anatomy.parts(name)
    right_half = _right_half(parts, anatomy.midline() or _middle_of_scan(parts))
    sizes = np.bincount(parts.labels.ravel(order="K"))
    share = np.bincount(parts.labels[right_half], minlength=len(sizes)) / np.maximum(sizes, 1)
    crossing = [c for c in parts.components if 1 - ONE_SIDED < share[c.label] < ONE_SIDED]
    on_right = share > 0.5
    halves = on_right[parts.labels]
    if crossing:
        across = parts.mask([c.label for c in crossing])
        halves[across] = right_half[across]
    mask = parts.mask()
    sides = {left: mask & ~halves, right: mask & halves}
    why = f"{sum(c.volume_ml for c in crossing):.0f} mL cross the midline and were cut there"
    findings = (Finding(name, "split_sides", why),) if crossing else ()
    return Outcome({key: Parts.of(half, parts.grid, parts.box) for key, half in sides.items()}, findings, gone=(name,))


def _right_half(parts: Parts, midline: Midline) -> np.ndarray:
    """Return which voxels of the structure's box lie on the patient's right of the midline."""
    x_mm, z_mm = (_coordinate(parts, axis) for axis in (RIGHT, UP))
    return np.asarray(np.broadcast_to(x_mm > np.interp(z_mm, midline.z_mm, midline.x_mm), parts.labels.shape))


def _coordinate(parts: Parts, world_axis: int) -> np.ndarray:
    """Return a world coordinate of the voxels of a box, broadcastable to it: one line where the grid is not oblique."""
    row = parts.grid.affine[world_axis]
    total = np.full((1, 1, 1), row[3])
    for axis, part in enumerate(parts.box):
        steps_mm = row[axis] * np.arange(part.start, part.stop)
        if np.abs(steps_mm).max(initial=0.0) > 1e-3:
            shape = [1, 1, 1]
            shape[axis] = -1
            total = total + steps_mm.reshape(shape)
    return total


def _middle_of_scan(parts: Parts) -> Midline:
    """Return a straight midline through the middle of the field of view, for want of a spine and a skin."""
    centre_mm = parts.grid.world((np.array(parts.grid.shape) - 1) / 2)
    return Midline(centre_mm[UP : UP + 1], centre_mm[RIGHT : RIGHT + 1])
