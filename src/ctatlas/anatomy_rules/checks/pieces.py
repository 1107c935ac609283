"""Pieces and holes of a structure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import fill_voids
import numpy as np
from scipy.spatial import KDTree

from ctatlas.anatomy_rules.checks.findings import Fix, Sign
from ctatlas.anatomy_rules.checks.registry import check
from ctatlas.anatomy_rules.checks.subject import Subject
from ctatlas.anatomy_rules.components import Component, label_components, measure_components

MAIN_SHARE = 0.9  # of the volume in the largest pieces: what is left may safely go
AT_MOST_POINTS = 4000


@check("pieces")
def pieces(
    name: str, subject: Subject, *, at_most: int, at_least_ml: float, drop_below_ml: float = 0.0
) -> Iterator[Sign]:
    """Find more components than a structure has; those below `at_least_ml` are not counted.

    Dropping the others is safe where each is below `drop_below_ml`, and what stays is nearly all there is.
    """
    counted = [piece for piece in subject.pieces(name) if piece.volume_ml >= at_least_ml]
    if len(counted) <= at_most:
        return
    extra = counted[at_most:]
    yield Sign(
        f"{len(counted)} pieces, at most {at_most} expected",
        len(counted),
        at_most,
        "pieces",
        extra[0].box,
        _without(name, subject, counted[:at_most], drop_below_ml),
    )


@check("gap")
def gap(name: str, subject: Subject, *, at_most_mm: float, at_least_ml: float) -> Iterator[Sign]:
    """Find a tube that is interrupted: the way from one piece to the nearest other one.

    Two pieces that the scan cuts may be joined outside of it, as the two limbs of the aortic arch.
    """
    counted = [piece for piece in subject.pieces(name) if piece.volume_ml >= at_least_ml]
    if len(counted) < 2:
        return
    points = [_points(name, subject, piece) for piece in counted]
    trees = [KDTree(each) for each in points]
    for at, piece in enumerate(counted[1:], start=1):
        others = [other for other in range(at) if not (_ends(subject, piece) & _ends(subject, counted[other]))]
        if len(others) < at:
            continue
        way_mm = min(float(np.min(trees[other].query(points[at])[0])) for other in others)
        if way_mm > at_most_mm + max(subject.grid.spacing_mm):
            yield Sign(f"interrupted by {way_mm:.0f} mm", way_mm, at_most_mm, "mm", piece.box)


@check("empty_slices")
def empty_slices(name: str, subject: Subject, *, at_most_mm: float, at_least_ml: float = 0.5) -> Iterator[Sign]:
    """Find slices without a structure that has voxels above and below them; smaller pieces are not looked at."""
    box, axis = subject.box(name), subject.along
    if box is None:
        return
    filled = _slices_with_pieces(name, subject, at_least_ml) - box[axis].start
    step_mm = subject.grid.spacing_mm[axis]
    for before, after in pairwise(filled.tolist()):
        empty_mm = (after - before - 1) * step_mm
        if empty_mm > at_most_mm:
            sides = list(box)
            sides[axis] = slice(box[axis].start + before, box[axis].start + after + 1)
            where = (sides[0], sides[1], sides[2])
            yield Sign(f"{empty_mm:.0f} mm of slices without it", empty_mm, at_most_mm, "mm", where)


@check("holes")
def holes(name: str, subject: Subject, *, at_most_ml: float) -> Iterator[Sign]:
    """Find what a structure encloses on all sides and nothing else claims; filling it is safe."""
    box, mask = subject.box(name), subject.mask(name)
    if box is None:
        return
    enclosed = fill_voids.fill(mask) & ~mask
    if not enclosed.any():
        return
    enclosed &= ~subject.others_within(name, box)
    cavities = measure_components(label_components(enclosed), subject.grid, start=_start(box))
    large = [cavity for cavity in cavities if cavity.volume_ml > at_most_ml]
    if large:
        total_ml = sum(cavity.volume_ml for cavity in large)
        where = max(large, key=lambda cavity: cavity.volume_ml).box
        fix = Fix("fill_holes", box, add=enclosed)
        yield Sign(f"holes of {total_ml:.1f} mL inside", total_ml, at_most_ml, "mL", where, fix)


def _slices_with_pieces(name: str, subject: Subject, at_least_ml: float) -> np.ndarray:
    """Return the indices, along the body, of the slices that show pieces of at least a volume."""
    shown = np.zeros(subject.grid.shape[subject.along], dtype=bool)
    across = tuple(axis for axis in range(3) if axis != subject.along)
    for piece in subject.pieces(name):
        if piece.volume_ml >= at_least_ml:
            shown[piece.box[subject.along]] |= subject.anatomy.voxels(name, piece).any(axis=across)
    return np.flatnonzero(shown)


def _without(name: str, subject: Subject, kept: Sequence[Component], drop_below_ml: float) -> Fix | None:
    """Drop all but some pieces, unless one of the others is too large to drop unseen or may go on outside."""
    box, everything = subject.box(name), subject.pieces(name)
    others = [piece for piece in everything if all(piece is not one for one in kept)]
    share = sum(piece.volume_ml for piece in kept) / subject.volume_ml(name)
    unsafe = any(piece.volume_ml >= drop_below_ml or piece.at_edge for piece in others)
    if box is None or unsafe or share < MAIN_SHARE:
        return None
    remove = np.zeros([side.stop - side.start for side in box], dtype=bool)
    for piece in others:
        inner = tuple(slice(p.start - b.start, p.stop - b.start) for p, b in zip(piece.box, box, strict=True))
        remove[inner] |= subject.anatomy.voxels(name, piece)
    return Fix("drop_pieces", box, remove=remove)


def _ends(subject: Subject, piece: Component) -> set[tuple[int, int]]:
    """Return the faces of the scan that cut a piece, (axis, index)."""
    shape = subject.grid.shape
    low = {(axis, 0) for axis, side in enumerate(piece.box) if side.start == 0}
    return low | {(axis, 1) for axis, side in enumerate(piece.box) if side.stop == shape[axis]}


def _points(name: str, subject: Subject, piece: Component) -> np.ndarray:
    voxels = np.argwhere(subject.anatomy.voxels(name, piece)) + _start(piece.box)
    return subject.grid.world(voxels[:: max(1, len(voxels) // AT_MOST_POINTS)])


def _start(box: tuple[slice, slice, slice]) -> tuple[int, int, int]:
    i, j, k = (side.start for side in box)
    return i, j, k
