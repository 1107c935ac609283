"""From slice to slice along the body: steps, ragged outlines, slices that lack a structure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctatlas.anatomy_rules.checks.findings import Sign
from ctatlas.anatomy_rules.checks.registry import check
from ctatlas.anatomy_rules.checks.subject import Subject
from ctatlas.anatomy_rules.components import Box

FACES_TO_OUTLINE = np.pi / 4  # voxel edges over-count an outline in the plane by 4/pi
NEIGHBOURS = 3  # slices on either side that say what is usual here
AT_MOST_ROUGH = 1.3  # times the outline of a disc of the same area
ROUND_PART = 0.4  # of the largest area: smaller slices are those of the ends, which always differ much


@check("step")
def step(name: str, subject: Subject, *, at_most_mm: float) -> Iterator[Sign]:
    """Find slices whose outlines don't fit: how far the outline moves, beyond what it does between slices nearby."""
    box, axis = subject.box(name), subject.along
    if box is None or box[axis].stop - box[axis].start < 2 * NEIGHBOURS:
        return
    mask = np.moveaxis(subject.mask(name), axis, 2)
    areas = subject.areas_mm2(name, axis)
    outlines_mm = _outlines_mm(mask, _in_plane_mm(subject))
    pixel_mm2 = float(np.prod(_in_plane_mm(subject)))
    differs_mm2 = np.count_nonzero(mask[:, :, 1:] != mask[:, :, :-1], axis=(0, 1)) * pixel_mm2
    outlines_mm = np.minimum(outlines_mm, AT_MOST_ROUGH * np.sqrt(4 * np.pi * areas))  # vessels in a liver hide a step
    moves_mm = differs_mm2 / np.maximum((outlines_mm[1:] + outlines_mm[:-1]) / 2, 1e-6)
    is_round = np.minimum(areas[1:], areas[:-1]) > ROUND_PART * areas.max()
    excess_mm = np.array([_excess(moves_mm, at) for at in range(len(moves_mm))]) * is_round
    worst = int(excess_mm.argmax())
    if excess_mm[worst] > at_most_mm:
        sides = list(box)
        sides[axis] = slice(box[axis].start + worst, box[axis].start + worst + 2)
        says = f"the outline moves by {excess_mm[worst]:.0f} mm more than between slices nearby"
        where: Box = (sides[0], sides[1], sides[2])
        yield Sign(says, float(excess_mm[worst]), at_most_mm, "mm", where)


@check("ragged")
def ragged(name: str, subject: Subject, *, at_most: float, at_least_slices: int = 5) -> Iterator[Sign]:
    """Find a tube with a blurry outline: in the middle one of its slices, against that of a disc of the same area."""
    box, axis = subject.box(name), subject.along
    if box is None:
        return
    mask = np.moveaxis(subject.mask(name), axis, 2)
    areas = subject.areas_mm2(name, axis)
    counted = areas >= 12 * float(np.prod(_in_plane_mm(subject)))  # fewer pixels have no outline to speak of
    if np.count_nonzero(counted) < at_least_slices:
        return
    outlines_mm = _outlines_mm(mask, _in_plane_mm(subject))
    rough = float(np.median(outlines_mm[counted] / np.sqrt(4 * np.pi * areas[counted])))
    if rough > at_most:
        yield Sign(f"outline {rough:.2f} times that of a disc of its area", rough, at_most, "times")


@check("missing_beside")
def missing_beside(name: str, subject: Subject, *, beside: list[list[str]], at_most_share: float) -> Iterator[Sign]:
    """Find slices without a structure where others are: any of the groups, all of its members in the slice.

    The share is that of the slices which show the first structure of the group.
    """
    axis = subject.along
    mine = _slices_with(subject, name)
    for group in beside:
        shown = [_slices_with(subject, other) for other in group]
        if not all(each.any() for each in shown):
            continue
        lacking = np.logical_and.reduce(shown) & ~mine
        share = float(np.count_nonzero(lacking) / np.count_nonzero(shown[0]))
        if share > at_most_share:
            at = np.flatnonzero(lacking)
            box = subject.box(group[0])
            sides = list(box) if box else [slice(0, n) for n in subject.grid.shape]
            sides[axis] = slice(int(at[0]), int(at[-1]) + 1)
            lacking_mm = len(at) * subject.grid.spacing_mm[axis]
            says = f"{lacking_mm:.0f} mm with {' and '.join(group)} but without it"
            yield Sign(says, share, at_most_share, "share", (sides[0], sides[1], sides[2]))
            return


def _excess(moves_mm: np.ndarray, at: int) -> float:
    """Return how much one value exceeds the middle one of those nearby."""
    nearby = np.concatenate([moves_mm[max(0, at - NEIGHBOURS) : at], moves_mm[at + 1 : at + 1 + NEIGHBOURS]])
    return float(moves_mm[at] - np.median(nearby)) if len(nearby) else 0.0


def _outlines_mm(mask: np.ndarray, spacing_mm: tuple[float, float]) -> np.ndarray:
    """Measure the outline of each slice (the last axis), in mm."""
    padded = np.pad(mask, ((1, 1), (1, 1), (0, 0)))
    across = np.count_nonzero(padded[1:] != padded[:-1], axis=(0, 1)) * spacing_mm[1]
    along = np.count_nonzero(padded[:, 1:] != padded[:, :-1], axis=(0, 1)) * spacing_mm[0]
    return np.asarray(FACES_TO_OUTLINE * (across + along))


def _in_plane_mm(subject: Subject) -> tuple[float, float]:
    one, two = (mm for axis, mm in enumerate(subject.grid.spacing_mm) if axis != subject.along)
    return one, two


def _slices_with(subject: Subject, name: str) -> np.ndarray:
    """Tell which slices of the scan across the body show a structure."""
    shown = np.zeros(subject.grid.shape[subject.along], dtype=bool)
    if name in subject.names and (box := subject.box(name)):
        shown[box[subject.along]] = subject.areas_mm2(name, subject.along) > 0
    return shown
