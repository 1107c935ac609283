"""Structures held against each other: voxels in common, touching, and the combined label map."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.checks.findings import Sign
from ctatlas.anatomy_rules.checks.registry import check
from ctatlas.anatomy_rules.checks.subject import Subject, may_share, same_tissue
from ctatlas.anatomy_rules.components import Box
from ctatlas.anatomy_rules.landmarks import RIGHT


@check("overlap")
def overlap(name: str, subject: Subject, *, at_most_ml: float, others: list[str] | None = None) -> Iterator[Sign]:
    """Find voxels shared with a structure that may not have them; each pair is told once."""
    for other in others or subject.names[subject.names.index(name) + 1 :]:
        box = shared_box(subject, name, other)
        if box is None or other == name or (others is None and may_share(name, other)):
            continue
        shared = subject.within(name, box) & subject.within(other, box)
        shared_ml = int(np.count_nonzero(shared)) * subject.grid.voxel_ml
        if shared_ml > at_most_ml:
            yield Sign(f"shares {shared_ml:.1f} mL with {other}", shared_ml, at_most_ml, "mL", box)


@check("duplicate")
def duplicate(name: str, subject: Subject, *, at_most_dice: float) -> Iterator[Sign]:
    """Find a structure that is nearly the same as another one; each pair is told once."""
    for other in subject.names[subject.names.index(name) + 1 :]:
        box = shared_box(subject, name, other)
        if box is None or same_tissue(name, other):
            continue
        both_ml = subject.volume_ml(name) + subject.volume_ml(other)
        smaller_ml = min(subject.volume_ml(name), subject.volume_ml(other))
        if 2 * smaller_ml / both_ml <= at_most_dice:
            continue
        shared = int(np.count_nonzero(subject.within(name, box) & subject.within(other, box)))
        dice = 2 * shared * subject.grid.voxel_ml / both_ml
        if dice > at_most_dice:
            yield Sign(f"nearly the same as {other}", dice, at_most_dice, "Dice")


@check("fused")
def fused(name: str, subject: Subject, *, at_most_mm2: float, side_share: float) -> Iterator[Sign]:
    """Find left and right grown together: they touch, or one has a good part on either side and the other is empty."""
    partner = structures()[name].partner
    if not subject.has(name) or partner not in subject.names:
        return
    if subject.has(partner):
        touching_mm2 = contact_mm2(subject, name, partner)
        if structures()[name].side == "left" and touching_mm2 > at_most_mm2:
            yield Sign(f"touches {partner} over {touching_mm2:.0f} mm²", touching_mm2, at_most_mm2, "mm²")
    elif subject.middle is not None:
        points = subject.anatomy.points_mm((name,))
        share = float(np.mean(points[:, RIGHT] > subject.middle.x_at(points[:, 2])))
        if min(share, 1 - share) > side_share:
            says = f"{share:.0%} on the patient's right, {1 - share:.0%} on the left, and {partner} is empty"
            yield Sign(says, min(share, 1 - share), side_share, "share")


@check("combined_differs")
def combined_differs(name: str, subject: Subject, *, at_most_ml: float = 0.0) -> Iterator[Sign]:
    """Find where the combined label map and a structure's mask tell different things.

    Where masks overlap one of them has the label; a voxel that the mask has and the map gives to another structure is
    no difference if that one has it, too.
    """
    combined, ids = subject.given.combined, subject.given.ids or {}
    if combined is None or name not in ids:
        return
    box = _around(subject.box(name), _combined_box(subject, ids[name]))
    if box is None:
        return
    labels, mask = combined[box], subject.within(name, box)
    labelled = labels == ids[name]
    differs, lost = labelled & ~mask, mask & ~labelled
    for other, number in ids.items():
        if other in subject.names and lost.any():
            lost &= (labels != number) | ~subject.within(other, box)
    different_ml = int(np.count_nonzero(differs | lost)) * subject.grid.voxel_ml
    if different_ml > at_most_ml:
        says = f"{different_ml:.2f} mL differ between the mask and the combined labels"
        yield Sign(says, different_ml, at_most_ml, "mL", box)


def shared_box(subject: Subject, name: str, other: str) -> Box | None:
    """Return what the boxes of two structures have in common; None where there is nothing."""
    one, two = (subject.box(each) if each in subject.names else None for each in (name, other))
    if one is None or two is None:
        return None
    i, j, k = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, two, strict=True))
    return (i, j, k) if all(side.start < side.stop for side in (i, j, k)) else None


def contact_mm2(subject: Subject, name: str, other: str) -> float:
    """Measure the faces at which two structures touch, in mm²; voxels that both have count with all their faces."""
    box = subject.box(name)
    if box is None:
        return 0.0
    wide = subject.widened(box, max(subject.grid.spacing_mm))
    mine, theirs = subject.within(name, wide), subject.within(other, wide)
    if not theirs.any():
        return 0.0
    total_mm2 = 0.0
    for axis in range(3):
        face_mm2 = float(np.prod([mm for at, mm in enumerate(subject.grid.spacing_mm) if at != axis]))
        before = [slice(None)] * 3
        after = [slice(None)] * 3
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        one, two = tuple(before), tuple(after)
        n_faces = np.count_nonzero(mine[one] & theirs[two]) + np.count_nonzero(theirs[one] & mine[two])
        total_mm2 += int(n_faces) * face_mm2
    return total_mm2


def _combined_box(subject: Subject, number: int) -> Box | None:
    """Return the box of a number in the combined label map."""
    combined = subject.given.combined
    if combined is None:
        return None
    boxes = subject.once(("combined boxes",), lambda: ndimage.find_objects(combined))
    box = boxes[number - 1] if number <= len(boxes) else None
    return (box[0], box[1], box[2]) if box else None


def _around(one: Box | None, two: Box | None) -> Box | None:
    """Return the box that holds two."""
    if one is None or two is None:
        return one or two
    i, j, k = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, two, strict=True))
    return i, j, k
