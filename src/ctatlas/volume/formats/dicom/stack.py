"""Where the slices of a group lie: how even, upright and complete a stack they are.

Only position and orientation count; slice thickness, spacing between slices, slice location, instance numbers and the
gantry tilt tag are never used, because each of them is wrong in real series. Source of all tolerances:
reference/volumes.md §2.2 to §2.4, run on 23 phantoms and all fixture series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from ctatlas.volume.formats.dicom.frames import Frame
from ctatlas.volume.formats.dicom.grouping import AT_LEAST_SLICES, Group, divisions, n_places

_DIRECTION_LENGTH_OFF = 1e-2
_DIRECTIONS_COSINE = 1e-3
_SAME_POSITION_MM = 0.01
_SAME_POSITION_GAPS = 0.02  # of the median gap
_GAP_OFF = 0.1  # of the median gap
_OFF_LINE_MM = 0.1
_TILT_DEGREES = 0.3
_TILT_SHIFT_MM = 0.1  # over the whole stack; guards short stacks with rounded positions
_TILT_SHIFT_PIXELS = 0.5  # below that the stack may be taken for orthogonal
# What interpolation may bridge; ours: beyond a vertebra's height, or half of the slices, it would be invention.
_BRIDGED_MM = 25.0
_BRIDGED_SHARE = 0.5
_MOST_TILT_DEGREES = 40.0  # gantries tilt by up to 30


@dataclass(frozen=True, slots=True)
class Defect:
    """What is irregular about a stack, in words, and whether resampling can mend it."""

    text: str
    is_mendable: bool = False


@dataclass(frozen=True, slots=True)
class Lean:
    """How far a stack leans from its slices' normal, as an angle and as the sideways shift from first to last slice."""

    degrees: float
    shift_mm: float

    def matters(self, pixel_mm: float) -> bool:
        """Whether it moves slices so far that the grid would be wrong."""
        return self.shift_mm > _TILT_SHIFT_PIXELS * pixel_mm


@dataclass(frozen=True, slots=True)
class Stack:
    """The frames of a group in space.

    Attributes
    ----------
    frames : tuple of Frame
        Rising along the normal.
    axes : (3, 3) float64
        Rows are unit vectors in LPS: of growing column index, of growing row index, their right-handed normal.
    positions_mm : (n, 3) float64
        Centres of first pixels, LPS.
    along_mm : (n,) float64
        The same along the normal.
    steps : (n - 1,) int or None
        Regular distances from slice to slice, above 1 where slices are missing; None where the spacing is uneven.
    lean : Lean or None
        None where there is none worth a word.
    defects : tuple of Defect
    """

    frames: tuple[Frame, ...]
    axes: np.ndarray
    positions_mm: np.ndarray
    along_mm: np.ndarray
    steps: np.ndarray | None
    lean: Lean | None
    defects: tuple[Defect, ...]

    @property
    def is_regular(self) -> bool:
        """Whether every slice lies on one orthogonal grid."""
        return not self.defects

    @property
    def is_mendable(self) -> bool:
        """Whether resampling mends every defect."""
        return all(defect.is_mendable for defect in self.defects)

    @property
    def span_mm(self) -> float:
        """Distance along the normal from the first slice to the last."""
        return float(self.along_mm[-1] - self.along_mm[0])

    @property
    def step_mm(self) -> float:
        """Distance from slice to slice along the normal, missing ones counted; the median one where it varies."""
        if self.steps is None:
            return float(np.median(np.diff(self.along_mm))) if len(self.frames) > 1 else 0.0
        return self.span_mm / max(1, int(self.steps.sum()))


def stack(group: Group) -> Stack:
    """Sort a group's frames along their normal and say what is irregular about them."""
    axes = _axes(group.frames)
    if axes is None:
        nowhere = np.zeros((len(group.frames), 3))
        askew = (Defect("image axes that are not at right angles"),)
        return Stack(group.frames, np.eye(3), nowhere, nowhere[:, 0], None, None, askew)
    positions = np.array([frame.position_mm for frame in group.frames])
    along = positions @ axes[2]
    order = np.argsort(along, kind="stable")
    frames, positions, along = tuple(group.frames[n] for n in order), positions[order], along[order]
    steps, defects = _gaps(along)
    lean = _lean(positions, along)
    defects = [*_clashes(group), *_shared_positions(along), *defects, *_off_line(positions, along)]
    if lean and (defects or lean.matters(min(frames[0].spacing_mm))):
        is_gantry = lean.degrees <= _MOST_TILT_DEGREES
        defects.append(Defect(f"gantry tilt of {lean.degrees:.1f} degrees", is_gantry))
    return Stack(frames, axes, positions, along, steps, lean, tuple(defects))


def blocks_of(group: Group) -> list[Group]:
    """Divide a group that no resampling makes one stack, by the first fact that leaves regular stacks; else keep it.

    So chest and pelvis of one series are two stacks if the scanner says so, by acquisition or stack, and not one with a
    large hole.
    """
    if stack(group).is_mendable or n_places(group.frames) < len(group.frames):
        return [group]
    for parts in divisions(group.frames):
        blocks = [
            replace(group, frames=tuple(frames), parted_by=f"{group.parted_by}, {fact}".strip(", "))
            for frames, fact in parts
        ]
        if all(len(block.frames) >= AT_LEAST_SLICES and stack(block).is_regular for block in blocks):
            return blocks
    return [group]


def _axes(frames: Sequence[Frame]) -> np.ndarray | None:
    """Return unit vectors (LPS) of growing column index, growing row index, and their normal; None when askew."""
    row, column = np.median([frame.orientation for frame in frames], axis=0).reshape(2, 3)
    lengths = np.linalg.norm([row, column], axis=1)
    if np.abs(lengths - 1).max() > _DIRECTION_LENGTH_OFF or abs(row @ column) > _DIRECTIONS_COSINE:
        return None
    row = row / lengths[0]
    column = column - (column @ row) * row
    column /= np.linalg.norm(column)
    return np.array([row, column, np.cross(row, column)])


def _clashes(group: Group) -> list[Defect]:
    """Name SOP instance UIDs that different images bear."""
    n = len(group.clashes)
    return [Defect(f"different images bear the same SOP instance UID ({n} x)")] if n else []


def _shared_positions(along: np.ndarray) -> list[Defect]:
    """Name positions that hold more than one image."""
    same = np.diff(along) < _same_position_mm(along)
    if not same.any():
        return []
    if same.all():
        return [Defect(f"all images lie at one position ({along[0]:.2f} mm)")]
    where = ", ".join(f"{mm:.2f}" for mm in along[1:][same][:3])
    more = ", …" if same.sum() > 3 else ""
    return [Defect(f"more than one image at the same position ({where}{more} mm)")]


def _same_position_mm(along: np.ndarray) -> float:
    """Return the gap below which two slices share a position."""
    gaps = np.diff(along)
    real = gaps[gaps > _SAME_POSITION_MM]
    return max(_SAME_POSITION_MM, _SAME_POSITION_GAPS * float(np.median(real)) if len(real) else 0.0)


def _gaps(along: np.ndarray) -> tuple[np.ndarray | None, list[Defect]]:
    """Return how many regular distances lie between neighbours, and name missing slices or uneven spacing."""
    places = along[np.append(True, np.diff(along) >= _same_position_mm(along))]
    gaps = np.diff(places)
    if len(gaps) < 2:
        return np.ones(len(gaps), int), []
    for unit in (float(np.median(gaps)), float(gaps.min())):
        steps = np.rint(gaps / unit).astype(int)
        if (np.abs(gaps / unit - steps) <= _GAP_OFF).all() and (steps >= 1).all():
            break
    else:
        runs = [(mm, len(list(run))) for mm, run in groupby(round(float(gap), 2) for gap in gaps)]
        listed = ", ".join(f"{mm:.2f} mm x {n}" for mm, n in runs[:6])
        text = f"the spacing varies ({listed}{', …' if len(runs) > 6 else ''})"
        wide = np.flatnonzero(gaps > _BRIDGED_MM)
        return None, [Defect(text, not wide.size), *_missing(places, wide)]
    if (steps == 1).all():
        even = np.linspace(places[0], places[-1], len(places))
        off = float(np.abs(places - even).max())
        text = f"positions stray by {off:.2f} mm from even spacing"
        return (None, [Defect(text, is_mendable=True)]) if off > _GAP_OFF * unit else (steps, [])
    holes = np.flatnonzero(steps > 1)
    missing = [f"{int(steps[n]) - 1} between {places[n]:.2f} and {places[n + 1]:.2f} mm" for n in holes]
    n_missing = int((steps - 1).sum())
    more = ", …" if len(missing) > 4 else ""
    text = f"{n_missing} slice{'s' * (n_missing > 1)} missing ({', '.join(missing[:4])}{more})"
    may_be_bridged = gaps.max() <= _BRIDGED_MM and n_missing <= _BRIDGED_SHARE * len(places)
    return steps, [Defect(text, bool(may_be_bridged))]


def _missing(places: np.ndarray, wide: np.ndarray) -> list[Defect]:
    """Name gaps that are too wide to be a distance from slice to slice."""
    if not wide.size:
        return []
    named = ", ".join(f"{places[n]:.2f} and {places[n + 1]:.2f} mm" for n in wide[:3])
    return [Defect(f"slices are missing between {named}{', …' if len(wide) > 3 else ''}")]


def _off_line(positions: np.ndarray, along: np.ndarray) -> list[Defect]:
    """Name slices that are shifted sideways against the straight line from the first to the last."""
    span = along[-1] - along[0]
    if span <= _SAME_POSITION_MM:
        return []
    on_line = positions[0] + (along - along[0])[:, None] / span * (positions[-1] - positions[0])
    off = float(np.linalg.norm(positions - on_line, axis=1).max())
    return [Defect(f"slices are shifted against each other by up to {off:.2f} mm")] if off > _OFF_LINE_MM else []


def _lean(positions: np.ndarray, along: np.ndarray) -> Lean | None:
    """Measure a tilt between the way of the stack and the slice normal; None where there is none worth a word."""
    way, span = positions[-1] - positions[0], float(along[-1] - along[0])
    shift = float(np.sqrt(max(0.0, way @ way - span**2)))
    degrees = float(np.degrees(np.arctan2(shift, span)))
    return Lean(degrees, shift) if degrees > _TILT_DEGREES and shift > _TILT_SHIFT_MM else None
