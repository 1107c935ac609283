"""The outline of a structure: surface against volume, width, flat ends, where the scan cuts it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from ctatlas.anatomy_rules.checks.findings import Sign
from ctatlas.anatomy_rules.checks.registry import check
from ctatlas.anatomy_rules.checks.subject import Subject
from ctatlas.anatomy_rules.components import Box

FACES_TO_SURFACE = 2 / 3  # voxel faces over-count a surface by 3/2, the mean of |x| + |y| + |z| over directions
FEW_SLICES = 4  # of fewer the last one says nothing


@check("leak")
def leak(name: str, subject: Subject, *, at_most: float) -> Iterator[Sign]:
    """Find a surface too large for the volume: a mask that runs out into its surroundings.

    Measured against a ball of the same volume, which has 1.
    """
    if not subject.has(name):
        return
    volume_mm3 = 1000 * subject.volume_ml(name)
    rough = surface_mm2(subject, name) / (36 * np.pi * volume_mm3**2) ** (1 / 3)
    if rough > at_most:
        yield Sign(f"surface {rough:.1f} times that of a ball of its volume", float(rough), at_most, "times")


@check("width")
def width(name: str, subject: Subject, *, at_most_mm: float) -> Iterator[Sign]:
    """Find a tube wider than it can be: the largest ball that fits inside."""
    box = subject.box(name)
    if box is None:
        return
    mask = np.pad(subject.mask(name), 1)
    depth_mm = ndimage.distance_transform_edt(mask, sampling=subject.grid.spacing_mm)
    widest_mm = 2 * float(depth_mm.max()) - min(subject.grid.spacing_mm)
    if widest_mm > at_most_mm:
        at = np.array(np.unravel_index(int(depth_mm.argmax()), mask.shape)) - 1 + [side.start for side in box]
        i, j, k = (slice(int(each), int(each) + 1) for each in at)
        where = subject.widened((i, j, k), widest_mm / 2)
        yield Sign(f"{widest_mm:.0f} mm wide", widest_mm, at_most_mm, "mm", where)


@check("flat_cut")
def flat_cut(name: str, subject: Subject, *, at_most_ratio: float, at_least_share: float) -> Iterator[Sign]:
    """Find an end as flat as a slice inside the scan: the border of a window, or where somebody stopped to draw.

    Measured is the area of the last slice against that of the one before it, where it has at least a share of the
    largest. Of something round it is half or less, however thick slices are. Where another structure goes on, nothing
    was cut.
    """
    box = subject.box(name)
    if box is None or min(side.stop - side.start for side in box) < FEW_SLICES:
        return
    for axis in range(3):
        areas = subject.areas_mm2(name, axis)
        last = len(areas) - 1
        for at, before, beyond in ((0, 1, box[axis].start - 1), (last, last - 1, box[axis].stop)):
            share, ratio = float(areas[at] / areas.max()), float(areas[at] / max(areas[before], 1e-6))
            is_inside = 0 <= beyond < subject.grid.shape[axis]
            is_flat = share >= at_least_share and ratio > at_most_ratio
            if is_inside and is_flat and not _goes_on(name, subject, axis, at, beyond):
                says = f"ends in a flat face of {areas[at]:.0f} mm², {ratio:.0%} of the slice before it"
                yield Sign(says, ratio, at_most_ratio, "share", _slice_of(box, axis, at))


@check("cut_by_scan")
def cut_by_scan(name: str, subject: Subject, *, at_most_share: float) -> Iterator[Sign]:
    """Note where the scan ends before the structure: its area there against its largest slice."""
    box = subject.box(name)
    if box is None:
        return
    for axis in range(3):
        areas = subject.areas_mm2(name, axis)
        ends = [(0, box[axis].start == 0), (len(areas) - 1, box[axis].stop == subject.grid.shape[axis])]
        for at, is_cut in ends:
            share = float(areas[at] / areas.max())
            if is_cut and share > at_most_share:
                says = f"cut by the end of the scan over {areas[at]:.0f} mm²"
                yield Sign(says, share, at_most_share, "share", _slice_of(box, axis, at))


def surface_mm2(subject: Subject, name: str) -> float:
    """Measure a structure's surface from its voxel faces; the faces at the end of the scan are none."""
    mask, box = subject.mask(name), subject.box(name)
    if box is None:
        return 0.0
    total_mm2 = 0.0
    for axis, side in enumerate(box):
        face_mm2 = float(np.prod([mm for at, mm in enumerate(subject.grid.spacing_mm) if at != axis]))
        before, after = [slice(None)] * 3, [slice(None)] * 3
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        n_faces = int(np.count_nonzero(mask[tuple(before)] != mask[tuple(after)]))
        ends = [(0, side.start > 0), (-1, side.stop < subject.grid.shape[axis])]
        n_faces += sum(int(np.count_nonzero(mask.take(at, axis))) for at, is_inside in ends if is_inside)
        total_mm2 += n_faces * face_mm2
    return FACES_TO_SURFACE * total_mm2


def _goes_on(name: str, subject: Subject, axis: int, at: int, beyond: int) -> bool:
    """Tell whether other structures take up most of what lies beyond an end."""
    box = subject.box(name)
    if box is None:
        return False
    sides = list(box)
    sides[axis] = slice(beyond, beyond + 1)
    end = subject.mask(name).take([at], axis)
    taken = subject.others_within(name, (sides[0], sides[1], sides[2])) & end
    return bool(np.count_nonzero(taken) > 0.5 * np.count_nonzero(end))


def _slice_of(box: Box, axis: int, at: int) -> Box:
    sides = list(box)
    sides[axis] = slice(box[axis].start + at, box[axis].start + at + 1)
    return sides[0], sides[1], sides[2]
