"""Rules about the place of a structure: order along the body, beside what, between what, inside and outside of what."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from ctatlas.anatomy_rules.components import Box, Parts
from ctatlas.anatomy_rules.findings import NOTHING, Finding, Outcome
from ctatlas.anatomy_rules.landmarks import UP, Anatomy, Level
from ctatlas.anatomy_rules.registry import rule
from ctatlas.anatomy_rules.size import dropped

Limits = tuple[float, float, float]


@rule("order_along_z")
def order_along_z(
    name: str,
    anatomy: Anatomy,
    *,
    below: list[str] | None = None,
    above: list[str] | None = None,
    level: Level = "middle",
    by_mm: float = 0.0,
) -> Outcome:
    """Drop components whose centre is not below (or above) a level of the reference structures by so many millimetres.

    Where the end of the scan cuts the reference on the side that the level depends on, the true level is unknown, and
    nothing is dropped.
    """
    outcome = NOTHING
    for references, sign in ((below or [], -1.0), (above or [], 1.0)):
        height_mm = anatomy.level_mm(references, level)
        extreme: Level = "bottom" if sign < 0 else "top"
        if height_mm is None or (level != extreme and anatomy.cut_at(references, upper=sign < 0)):
            continue
        parts = anatomy.parts(name)
        labels = [c.label for c in parts.components if sign * (c.centre_mm[UP] - height_mm) < by_mm]
        why = f"not {'below' if sign < 0 else 'above'} the {level} of {' and '.join(references)} by {by_mm:g} mm"
        outcome = dropped(name, parts, labels, kind="order_along_z", why=why)
    return outcome


@rule("near")
def near(name: str, anatomy: Anatomy, *, of: list[str], within_mm: float) -> Outcome:
    """Drop components that nowhere come within a distance of the references; all stay where there are none."""
    parts, references = anatomy.parts(name), anatomy.points_mm(of)
    if not parts.components or not len(references):
        return NOTHING
    tree = KDTree(references)
    labels = []
    for component in parts.components:
        points = parts.points_mm([component.label])
        distances_mm, _ = tree.query(points[:: max(1, len(points) // 2000)], distance_upper_bound=within_mm)
        labels += [component.label] if not np.isfinite(distances_mm).any() else []
    return dropped(name, parts, labels, kind="near", why=f"not within {within_mm:g} mm of {' or '.join(of)}")


@rule("between")
def between(name: str, anatomy: Anatomy, *, of: list[str], margin_mm: Limits = (0.0, 0.0, 0.0)) -> Outcome:
    """Drop components whose centre is not in the world box around the reference structures, widened by a margin.

    Where fewer structures are found than named (one lung, one hip bone), nothing is dropped.
    """
    parts, found = anatomy.parts(name), anatomy.present(of)
    if not parts.components or len(found) < len(of):
        return NOTHING
    points = np.concatenate([anatomy.parts(reference).points_mm() for reference in found])
    low, high = points.min(axis=0) - margin_mm, points.max(axis=0) + margin_mm
    labels = [c.label for c in parts.components if (c.centre_mm < low).any() or (c.centre_mm > high).any()]
    return dropped(name, parts, labels, kind="between", why=f"not between {' and '.join(of)}")


@rule("requires")
def requires(name: str, anatomy: Anatomy, *, any_of: list[str]) -> Outcome:
    """Drop a structure that can't be in view because none of the structures always seen with it is."""
    parts = anatomy.parts(name)
    if anatomy.present(any_of):
        return NOTHING
    why = f"none of {', '.join(any_of)} is in view"
    return dropped(name, parts, [c.label for c in parts.components], kind="requires", why=why)


@rule("near_midline")
def near_midline(name: str, anatomy: Anatomy, *, within_mm: float) -> Outcome:
    """Drop components whose centre is farther than a distance from the middle of the body, to the left or right."""
    parts, midline = anatomy.parts(name), anatomy.midline()
    if midline is None:
        return NOTHING
    labels = [c.label for c in parts.components if abs(float(midline.to_the_right_mm(c.centre_mm))) > within_mm]
    return dropped(name, parts, labels, kind="near_midline", why=f"farther than {within_mm:g} mm from the midline")


@rule("outside")
def outside(name: str, anatomy: Anatomy, *, of: list[str]) -> Outcome:
    """Take away the voxels that belong to the reference structures."""
    parts = anatomy.parts(name)
    return _cut(name, parts, ~_union(anatomy, of, parts.box), kind="outside", why=f"inside {' or '.join(of)}")


@rule("inside")
def inside(name: str, anatomy: Anatomy, *, of: list[str], margin_mm: float = 0.0) -> Outcome:
    """Take away the voxels farther than a margin outside the reference structures; all stay where there are none."""
    parts = anatomy.parts(name)
    if not parts.components or not anatomy.present(of):
        return NOTHING
    reach = [int(np.ceil(margin_mm / mm)) for mm in parts.grid.spacing_mm]
    bounds = zip(parts.box, reach, parts.grid.shape, strict=True)
    i, j, k = (slice(max(0, side.start - n), min(size, side.stop + n)) for side, n, size in bounds)
    allowed = _union(anatomy, of, (i, j, k))
    if margin_mm and not allowed.all():
        allowed = ndimage.distance_transform_edt(~allowed, sampling=parts.grid.spacing_mm) <= margin_mm
    i, j, k = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(parts.box, (i, j, k), strict=True))
    return _cut(name, parts, allowed[i, j, k], kind="inside", why=f"outside {' and '.join(of)}")


def _union(anatomy: Anatomy, references: list[str], box: Box) -> np.ndarray:
    """Return the voxels of all references in a box."""
    union = np.zeros([side.stop - side.start for side in box], dtype=bool)
    for reference in anatomy.present(references):
        union |= anatomy.within(reference, box)
    return union


def _cut(name: str, parts: Parts, allowed: np.ndarray, *, kind: str, why: str) -> Outcome:
    """Keep a structure's allowed voxels only."""
    mask = parts.mask()
    removed_ml = int(np.count_nonzero(mask & ~allowed)) * parts.grid.voxel_ml
    if not removed_ml:
        return NOTHING
    kept = Parts.of(mask & allowed, parts.grid, parts.box)
    return Outcome({name: kept}, (Finding(name, kind, why, removed_ml=removed_ml),))
