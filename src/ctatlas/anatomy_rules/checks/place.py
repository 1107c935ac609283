"""Regions of the body: levels, the midline, neighbours, parents, the skin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from ctatlas.anatomy_rules.anatomy import SAMPLE_MM
from ctatlas.anatomy_rules.checks.findings import Fix, Sign
from ctatlas.anatomy_rules.checks.registry import check
from ctatlas.anatomy_rules.checks.subject import BODY, Subject
from ctatlas.anatomy_rules.components import Box, Component
from ctatlas.anatomy_rules.landmarks import UP, Level, level_mm

AT_MOST_POINTS = 2000  # of a piece
LITTLE = 0.2  # of a structure: taking that much of it away is safe


@check("level")
def level(
    name: str,
    subject: Subject,
    *,
    than: list[str],
    order: Literal["below", "above"],
    at: Level = "middle",
    by_mm: float = 0.0,
    at_least_ml: float = 1.0,
) -> Iterator[Sign]:
    """Find pieces whose centre is not below (or above) a level of the references by so many millimetres.

    Where the scan cuts the references on the side that the level depends on, the level is not known.
    """
    far_end = "bottom" if order == "below" else "top"
    height_mm = level_mm(subject.anatomy, than, at)
    if height_mm is None or (at != far_end and subject.anatomy.cut_at(than, UP, upper=order == "below")):
        return
    sign = -1.0 if order == "below" else 1.0
    for piece in _sizable(subject, name, at_least_ml):
        away_mm = sign * (float(piece.centre_mm[UP]) - height_mm)
        if away_mm < by_mm:
            where = f"{order} the {at} of {' and '.join(than)}"
            says = f"{piece.volume_ml:.1f} mL {away_mm:.0f} mm {where}, at least {by_mm:g} mm expected"
            yield Sign(says, away_mm, by_mm, "mm", piece.box)


@check("near_midline")
def near_midline(name: str, subject: Subject, *, within_mm: float, at_least_ml: float = 1.0) -> Iterator[Sign]:
    """Find pieces whose centre is too far from the midline."""
    if subject.middle is None:
        return
    for piece in _sizable(subject, name, at_least_ml):
        away_mm = abs(subject.middle.to_the_right_mm(piece.centre_mm))
        if away_mm > within_mm:
            says = f"{piece.volume_ml:.1f} mL {away_mm:.0f} mm from the midline"
            yield Sign(says, away_mm, within_mm, "mm", piece.box)


@check("near")
def near(name: str, subject: Subject, *, of: list[str], within_mm: float, at_least_ml: float = 0.5) -> Iterator[Sign]:
    """Find pieces that nowhere come near any of the references; one that the scan cuts may do so outside of it."""
    references = subject.anatomy.points_mm(of)
    if not len(references):
        return
    tree = KDTree(references)
    slack_mm = max(SAMPLE_MM, *subject.grid.spacing_mm)  # voxels that touch have centres this far apart
    for piece in _sizable(subject, name, at_least_ml):
        voxels = np.argwhere(subject.anatomy.voxels(name, piece)) + [side.start for side in piece.box]
        points = subject.grid.world(voxels[:: max(1, len(voxels) // AT_MOST_POINTS)])
        way_mm = float(np.min(tree.query(points)[0])) - slack_mm
        if way_mm > within_mm and not piece.at_edge:
            says = f"{piece.volume_ml:.1f} mL {way_mm:.0f} mm from {' and '.join(of)}"
            yield Sign(says, way_mm, within_mm, "mm", piece.box)


@check("inside")
def inside(name: str, subject: Subject, *, of: list[str], margin_mm: float, at_most_ml: float) -> Iterator[Sign]:
    """Find what lies outside the references, beyond a margin; nothing where there are none."""
    box, references = subject.box(name), subject.present(of)
    if box is None or not references:
        return
    wide = subject.widened(box, margin_mm)
    allowed = np.zeros([side.stop - side.start for side in wide], dtype=bool)
    for reference in references:
        allowed |= subject.within(reference, wide)
    if margin_mm and allowed.any():
        allowed = ndimage.distance_transform_edt(~allowed, sampling=subject.grid.spacing_mm) <= margin_mm
    beyond = subject.within(name, wide) & ~allowed
    beyond_ml = int(np.count_nonzero(beyond)) * subject.grid.voxel_ml
    if beyond_ml > at_most_ml:
        says = f"{beyond_ml:.1f} mL farther than {margin_mm:g} mm outside {' and '.join(of)}"
        yield Sign(says, beyond_ml, at_most_ml, "mL", subject.around(wide, beyond))


@check("outside_body")
def outside_body(name: str, subject: Subject, *, margin_mm: float, at_most_ml: float) -> Iterator[Sign]:
    """Find what lies farther than a margin outside the skin, on the table or in the air.

    Dropping pieces that lie wholly outside is safe; what goes on inside may show that the skin was found wrongly.
    """
    box = subject.box(name)
    if box is None or BODY not in subject.anatomy.names or subject.anatomy.box(BODY) is None:
        return
    outside = subject.mask(name) & ~subject.within(BODY, box)
    if int(np.count_nonzero(outside)) * subject.grid.voxel_ml <= at_most_ml:
        return
    wide = subject.widened(box, 2 * margin_mm)
    away_mm = ndimage.distance_transform_edt(~subject.within(BODY, wide), sampling=subject.grid.spacing_mm)
    beyond = subject.within(name, wide) & (away_mm > margin_mm)
    beyond_ml = int(np.count_nonzero(beyond)) * subject.grid.voxel_ml
    if beyond_ml > at_most_ml:
        says = f"{beyond_ml:.1f} mL farther than {margin_mm:g} mm outside the skin"
        where, fix = subject.around(wide, beyond), _without_outside_pieces(name, subject, box)
        yield Sign(says, beyond_ml, at_most_ml, "mL", where, fix)


def _without_outside_pieces(name: str, subject: Subject, box: Box) -> Fix | None:
    """Drop the pieces that are wholly outside of the body, where what stays is nearly all."""
    remove = np.zeros([side.stop - side.start for side in box], dtype=bool)
    for piece in subject.pieces(name):
        voxels = subject.anatomy.voxels(name, piece)
        if not (voxels & subject.within(BODY, piece.box)).any():
            i, j, k = (slice(p.start - b.start, p.stop - b.start) for p, b in zip(piece.box, box, strict=True))
            remove[i, j, k] |= voxels
    removed_ml = int(np.count_nonzero(remove)) * subject.grid.voxel_ml
    is_safe = 0 < removed_ml <= LITTLE * subject.volume_ml(name)
    return Fix("drop_outside_body", box, remove=remove) if is_safe else None


def _sizable(subject: Subject, name: str, at_least_ml: float) -> list[Component]:
    return [piece for piece in subject.pieces(name) if piece.volume_ml >= at_least_ml]
