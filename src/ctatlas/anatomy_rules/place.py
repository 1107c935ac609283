"""Rules about the place of a structure: order along the body, near what, between what, inside and outside of what."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from ctatlas.anatomy_rules.anatomy import SAMPLE_MM, Anatomy
from ctatlas.anatomy_rules.components import Box, Component
from ctatlas.anatomy_rules.findings import Change, Outcome
from ctatlas.anatomy_rules.landmarks import UP, Level, landmarks, level_mm, midline
from ctatlas.anatomy_rules.registry import rule
from ctatlas.anatomy_rules.size import dropped

Lengths = tuple[float, float, float]
_SAME_HEIGHT_MM = 1e-3  # slices of a tilted scan: rounding


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

    Where the end of the scan cuts the references on the side that the level depends on, the true level is unknown, and
    nothing is dropped. References smaller than they can be don't count.
    """
    references, sign, far_end = (below, -1.0, "bottom") if below else (above or [], 1.0, "top")
    found = landmarks(anatomy, references)
    height_mm = level_mm(anatomy, found, level)
    if height_mm is None or (level != far_end and anatomy.cut_at(found, UP, upper=bool(below))):
        return Outcome()
    wrong = [c for c in anatomy.components(name) if sign * (float(c.centre_mm[UP]) - height_mm) < by_mm]
    where = f"{'below' if below else 'above'} the {level} of {' and '.join(references)}"
    return dropped(anatomy, name, wrong, f"not {where} by {by_mm:g} mm")


@rule("near")
def near(name: str, anatomy: Anatomy, *, of: list[str], within_mm: float) -> Outcome:
    """Drop components that nowhere come within a distance of the references; all stay where there are none.

    Where the end of the scan cuts a component, what it should be near may lie outside, and it stays.
    """
    references = anatomy.points_mm(of)
    if not len(references):
        return Outcome()
    tree, far = KDTree(references), []
    reach_mm = within_mm + max(SAMPLE_MM, *anatomy.grid.spacing_mm)  # voxels that touch have centres this far apart
    for component in (c for c in anatomy.components(name) if not c.at_edge):
        voxels = np.argwhere(anatomy.voxels(name, component)) + [side.start for side in component.box]
        points = anatomy.grid.world(voxels[:: max(1, len(voxels) // 2000)])
        distances_mm, _ = tree.query(points, distance_upper_bound=reach_mm)
        far += [component] if not np.isfinite(distances_mm).any() else []
    return dropped(anatomy, name, far, f"not within {within_mm:g} mm of {' or '.join(of)}")


@rule("between")
def between(name: str, anatomy: Anatomy, *, of: list[str], margin_mm: Lengths = (0.0, 0.0, 0.0)) -> Outcome:
    """Drop components whose centre is not in the world box around the references, widened by a margin along x, y, z.

    Where fewer structures are found than named (one lung, one hip bone), nothing is dropped.
    """
    if len(anatomy.present(of)) < len(of):
        return Outcome()
    points = anatomy.points_mm(of)
    low, high = points.min(axis=0) - margin_mm, points.max(axis=0) + margin_mm
    wrong = [c for c in anatomy.components(name) if (c.centre_mm < low).any() or (c.centre_mm > high).any()]
    return dropped(anatomy, name, wrong, f"not between {' and '.join(of)}")


@rule("requires")
def requires(name: str, anatomy: Anatomy, *, any_of: list[str]) -> Outcome:
    """Drop a structure that can't be in view because none of the structures always seen with it is."""
    if anatomy.present(any_of):
        return Outcome()
    return dropped(anatomy, name, anatomy.components(name), f"none of {', '.join(any_of)} is in view")


@rule("near_midline")
def near_midline(name: str, anatomy: Anatomy, *, within_mm: float) -> Outcome:
    """Drop components whose centre is farther than a distance from the middle of the body, to the left or right."""
    middle = midline(anatomy)
    if middle is None:
        return Outcome()
    far = [c for c in anatomy.components(name) if abs(middle.to_the_right_mm(c.centre_mm)) > within_mm]
    return dropped(anatomy, name, far, f"farther than {within_mm:g} mm from the midline")


@rule("part_of")
def part_of(name: str, anatomy: Anatomy, *, organ: str, touching: float) -> Outcome:
    """Hand components over to an organ that makes up at least a share of their surface; the only component stays.

    A piece that was called by another name than what it was cut from is joined to it by a broad, flat face.
    """
    components = anatomy.components(name)
    theirs = [c for c in components if _touching(name, anatomy, c, organ) >= touching] if len(components) > 1 else []
    if len(theirs) == len(components):
        return Outcome()
    return dropped(anatomy, name, theirs, f"{organ} makes up {touching:.0%} of its surface, or more", to=organ)


@rule("outside")
def outside(name: str, anatomy: Anatomy, *, of: list[str]) -> Outcome:
    """Take away the voxels that belong to the references as well."""
    changes = []
    for reference in anatomy.present(of):
        box = _shared(anatomy.box(name), anatomy.box(reference))
        shared = anatomy.within(name, box) & anatomy.within(reference, box)
        if shared.any():
            changes.append(Change(name, "", box, shared, f"inside {reference}"))
    return Outcome(tuple(changes))


@rule("inside")
def inside(name: str, anatomy: Anatomy, *, of: list[str], margin_mm: float = 0.0) -> Outcome:
    """Take away the voxels farther than a margin outside the references; all stay where there are none."""
    box, references = anatomy.tight_box(name), anatomy.present(of)
    if box is None or not references:
        return Outcome()
    wide = _widened(anatomy, box, margin_mm)
    allowed = np.zeros([side.stop - side.start for side in wide], dtype=bool)
    for reference in references:
        allowed |= anatomy.within(reference, wide)
    if margin_mm and allowed.any():
        allowed = ndimage.distance_transform_edt(~allowed, sampling=anatomy.grid.spacing_mm) <= margin_mm
    beyond = anatomy.within(name, wide) & ~allowed
    return Outcome((Change(name, "", wide, beyond, f"outside {' and '.join(of)}"),) if beyond.any() else ())


@rule("not_below")
def not_below(name: str, anatomy: Anatomy, *, of: list[str]) -> Outcome:
    """Take away the voxels lower down the body than the lowest of the references; all stay where there are none."""
    box, references = anatomy.tight_box(name), anatomy.present(of)
    if box is None or not references:
        return Outcome()
    lowest_mm = min(_lowest_mm(anatomy, reference) for reference in references)
    below = anatomy.within(name, box) & (_heights_mm(anatomy, box) < lowest_mm - _SAME_HEIGHT_MM)
    return Outcome((Change(name, "", box, below, f"below {' and '.join(of)}"),) if below.any() else ())


def _touching(name: str, anatomy: Anatomy, component: Component, other: str) -> float:
    """Return the share of the voxels that border a component which belong to another structure."""
    if other not in anatomy.names:
        return 0.0
    wide = _widened(anatomy, component.box, max(anatomy.grid.spacing_mm))
    i, j, k = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(component.box, wide, strict=True))
    mask = np.zeros([side.stop - side.start for side in wide], dtype=bool)
    mask[i, j, k] = anatomy.voxels(name, component)
    rim = ndimage.binary_dilation(mask) & ~mask
    return int(np.count_nonzero(rim & anatomy.within(other, wide))) / max(int(np.count_nonzero(rim)), 1)


def _lowest_mm(anatomy: Anatomy, name: str) -> float:
    """Return how high the lowest voxel of a structure that has any lies in the body."""
    boxes = [component.box for component in anatomy.components(name)]
    return min(float(_heights_mm(anatomy, box)[anatomy.within(name, box)].min()) for box in boxes)


def _heights_mm(anatomy: Anatomy, box: Box) -> np.ndarray:
    """Return how high the voxels of a box lie in the body."""
    i, j, k = np.ogrid[box]
    a, b, c, start = anatomy.grid.affine[UP]
    return np.asarray(a * i + b * j + c * k + start)


def _shared(one: Box | None, other: Box | None) -> Box:
    """Return what two boxes have in common; empty where one is missing."""
    if one is None or other is None:
        return slice(0, 0), slice(0, 0), slice(0, 0)
    i, j, k = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return i, j, k


def _widened(anatomy: Anatomy, box: Box, margin_mm: float) -> Box:
    """Grow a box on all sides, as far as the grid goes."""
    reach = [int(np.ceil(margin_mm / mm)) for mm in anatomy.grid.spacing_mm]
    bounds = zip(box, reach, anatomy.grid.shape, strict=True)
    i, j, k = (slice(max(0, side.start - n), min(size, side.stop + n)) for side, n, size in bounds)
    return i, j, k
