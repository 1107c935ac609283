"""Where the slices of a series lie: an evenly spaced, untilted stack, or one line that names every defect.

Only position and orientation count; slice thickness, spacing between slices, slice location, instance numbers and the
gantry tilt tag are never used, because each of them is wrong in real series. Source of all tolerances:
reference/volumes.md §2.2 to §2.4, run on 23 phantoms and all fixture series.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom.series import AT_LEAST_SLICES, Series
from ctatlas.volume.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from ctatlas.volume.formats.dicom.headers import SliceHeader

_DIRECTION_LENGTH_OFF = 1e-2
_DIRECTIONS_COSINE = 1e-3
_ORIENTATION_APART = 1e-3  # per component, from the median
_SAME_POSITION_MM = 0.01
_SAME_POSITION_GAPS = 0.02  # of the median gap
_GAP_OFF = 0.1  # of the median gap
_OFF_LINE_MM = 0.1
_TILT_DEGREES = 0.3
_TILT_SHIFT_MM = 0.1  # over the whole stack; guards short stacks with rounded positions
_TILT_SHIFT_PIXELS = 0.5  # below that the stack may be taken for orthogonal
_CLUSTERS_AT_MOST = 20  # nobody needs to know of more, and a hostile folder must not take for ever
_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True)
class Stack:
    """Slices sorted along their normal, on an orthogonal grid (i column, j row, k slice)."""

    slices: tuple[SliceHeader, ...]
    grid: Grid
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lean:
    """How far a stack leans from its slices' normal, as an angle and as the sideways shift from first to last slice."""

    degrees: float
    shift_mm: float


def stack(series: Series, where: str) -> Stack:
    """Sort a series by position and return its grid.

    Raises
    ------
    ScanError
        Naming every defect: sizes or orientations that differ, too few slices, duplicates, missing slices, uneven
        spacing, tilt, a table that moved.
    """
    slices = series.slices
    defects = _differences(slices)
    if not defects and len(slices) < AT_LEAST_SLICES:
        defects = [f"a volume has at least {AT_LEAST_SLICES} images"]
    if defects:
        raise _refusal(series, defects, where)
    row, column, normal = _directions(slices, series, where)
    positions = np.array([one.position_mm for one in slices])
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    slices, positions, along = tuple(slices[n] for n in order), positions[order], along[order]
    lean = _lean(positions, along)
    defects = [*_shared_positions(slices, along), *_gaps(along), *_off_line(positions, along)]
    if lean and (defects or lean.shift_mm > _TILT_SHIFT_PIXELS * min(slices[0].spacing_mm)):
        defects.append(f"gantry tilt of {lean.degrees:.1f} degrees")
    if defects:
        raise _refusal(series, defects, where)
    between_rows, between_columns = slices[0].spacing_mm
    affine = np.eye(4)
    affine[:3, 0] = row * between_columns
    affine[:3, 1] = column * between_rows
    affine[:3, 2] = normal * (along[-1] - along[0]) / (len(slices) - 1)
    affine[:3, 3] = positions[0]
    shape = (slices[0].pixels.columns, slices[0].pixels.rows, len(slices))
    try:
        grid = Grid(shape, _RAS_FROM_LPS @ affine)
    except ValueError as error:
        raise ScanError(f"{where}: {error}. The headers are broken: export the series anew.") from error
    leaning = "slices lean by {0.degrees:.2f} degrees ({0.shift_mm:.2f} mm in all); taken for upright"
    return Stack(slices, grid, (leaning.format(lean),) if lean else ())


def _refusal(series: Series, defects: list[str], where: str) -> ScanError:
    """Return one line that names every defect."""
    n = len(series.slices)
    return ScanError(
        f"{where}: series {series.label} of {n} image{'s' * (n != 1)} is irregular: {'; '.join(defects)}. "
        "Only complete, evenly spaced, untilted series are read: export the whole series anew."
    )


def _differences(slices: tuple[SliceHeader, ...]) -> list[str]:
    """Name what must be alike in all slices of a volume and is not."""
    kinds: dict[str, Iterable[Hashable]] = {
        "image sizes": (f"{one.pixels.columns} x {one.pixels.rows}" for one in slices),
        "frames of reference": (one.frame_of_reference_uid for one in slices),
        "photometric interpretations": (one.pixels.photometric for one in slices),
        "pixel spacings": _clusters([one.spacing_mm for one in slices], 1e-3 * min(slices[0].spacing_mm)),
        "orientations": _clusters([one.orientation for one in slices], _ORIENTATION_APART),
    }
    defects = []
    for kind, values in kinds.items():
        counts = Counter(values).most_common()
        if len(counts) > 1:
            defects.append(f"{len(counts)} {kind} ({', '.join(str(n) for _, n in counts[:6])} images)")
    return defects


def _clusters(values: list[tuple[float, ...]], tolerance: float) -> list[int]:
    """Give numbers to groups of vectors whose every component is within the tolerance of the group's first."""
    firsts: list[np.ndarray] = []
    numbers = []
    for value in map(np.array, values):
        near = (n for n, first in enumerate(firsts) if np.abs(value - first).max() <= tolerance)
        number = next(near, len(firsts))
        if number == len(firsts) < _CLUSTERS_AT_MOST:
            firsts.append(value)
        numbers.append(number)
    return numbers


def _directions(
    slices: tuple[SliceHeader, ...],
    series: Series,
    where: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return unit vectors (LPS) of growing column index, growing row index, and their right-handed normal."""
    row, column = np.median([one.orientation for one in slices], axis=0).reshape(2, 3)
    lengths = np.linalg.norm([row, column], axis=1)
    if np.abs(lengths - 1).max() > _DIRECTION_LENGTH_OFF or abs(row @ column) > _DIRECTIONS_COSINE:
        raise _refusal(series, ["image axes that are not at right angles"], where)
    row = row / lengths[0]
    column = column - (column @ row) * row
    column /= np.linalg.norm(column)
    return row, column, np.cross(row, column)


def _shared_positions(slices: tuple[SliceHeader, ...], along: np.ndarray) -> list[str]:
    """Name positions that hold more than one image."""
    same = np.diff(along) < _same_position_mm(along)
    if not same.any():
        return []
    if same.all():
        return [f"all images lie at one position ({along[0]:.2f} mm)"]
    where = ", ".join(f"{mm:.2f}" for mm in along[1:][same][:3])
    more = ", …" if same.sum() > 3 else ""
    acquisitions = sorted({one.acquisition for one in slices} - {""})
    several = f" of acquisitions {', '.join(acquisitions[:6])}" if len(acquisitions) > 1 else ""
    return [f"more than one image{several} at the same position ({where}{more} mm)"]


def _same_position_mm(along: np.ndarray) -> float:
    """Return the gap below which two slices share a position."""
    gaps = np.diff(along)
    real = gaps[gaps > _SAME_POSITION_MM]
    return max(_SAME_POSITION_MM, _SAME_POSITION_GAPS * float(np.median(real)) if len(real) else 0.0)


def _gaps(along: np.ndarray) -> list[str]:
    """Name missing slices or uneven spacing among the positions that differ."""
    places = along[np.append(True, np.diff(along) >= _same_position_mm(along))]
    gaps = np.diff(places)
    if len(gaps) < 2 and len(places) < len(along):
        return []
    for unit in (float(np.median(gaps)), float(gaps.min())):
        steps = np.rint(gaps / unit)
        if (np.abs(gaps / unit - steps) <= _GAP_OFF).all() and (steps >= 1).all():
            break
    else:
        runs = [(mm, len(list(run))) for mm, run in groupby(round(float(gap), 2) for gap in gaps)]
        listed = ", ".join(f"{mm:.2f} mm x {n}" for mm, n in runs[:6])
        return [f"the spacing varies ({listed}{', …' if len(runs) > 6 else ''})"]
    if (steps == 1).all():
        even = np.linspace(places[0], places[-1], len(places))
        off = float(np.abs(places - even).max())
        return [f"positions stray by {off:.2f} mm from even spacing"] if off > _GAP_OFF * unit else []
    holes = np.flatnonzero(steps > 1)
    missing = [f"{int(steps[n]) - 1} between {places[n]:.2f} and {places[n + 1]:.2f} mm" for n in holes]
    n_missing = int((steps - 1).sum())
    more = ", …" if len(missing) > 4 else ""
    return [f"{n_missing} slice{'s' * (n_missing > 1)} missing ({', '.join(missing[:4])}{more})"]


def _off_line(positions: np.ndarray, along: np.ndarray) -> list[str]:
    """Name slices that are shifted sideways against the straight line from the first to the last."""
    span = along[-1] - along[0]
    if span <= _SAME_POSITION_MM:
        return []
    on_line = positions[0] + (along - along[0])[:, None] / span * (positions[-1] - positions[0])
    off = float(np.linalg.norm(positions - on_line, axis=1).max())
    return [f"slices are shifted against each other by up to {off:.2f} mm"] if off > _OFF_LINE_MM else []


def _lean(positions: np.ndarray, along: np.ndarray) -> Lean | None:
    """Measure a tilt between the way of the stack and the slice normal; None where there is none worth a word."""
    way, span = positions[-1] - positions[0], float(along[-1] - along[0])
    shift = float(np.sqrt(max(0.0, way @ way - span**2)))
    degrees = float(np.degrees(np.arctan2(shift, span)))
    return Lean(degrees, shift) if degrees > _TILT_DEGREES and shift > _TILT_SHIFT_MM else None
