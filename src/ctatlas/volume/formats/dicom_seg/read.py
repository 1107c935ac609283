"""Read a DICOM SEG onto the grid of its CT, or onto its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.errors import ScanError
from ctatlas.volume.choices import NOTHING_KNOWN, MaskChoices
from ctatlas.volume.formats.dicom.slices import Planes, nearest_plane, on_grid, planes_across
from ctatlas.volume.formats.dicom_seg.frames import Frame, SegFile, seg_file
from ctatlas.volume.limits import check_grid, check_shape
from ctatlas.volume.segmentation import Segmentation

if TYPE_CHECKING:
    from ctatlas.volume.grid import Grid
    from ctatlas.volume.scan import Volume

_OFF_PLANE = 0.25  # of the gap between images: a frame further from any is not one of theirs
_UNEVEN = 0.1  # of the gap
_ONE_PLACE = 0.1  # of a pixel
_ONE_POSITION_MM = 0.01


def read(path: Path, choices: MaskChoices = NOTHING_KNOWN) -> Segmentation:
    """Read a SEG file for `read_segmentation`."""
    return read_dicom_seg(path, choices.scan, choices.grid)


def read_dicom_seg(path: Path, scan: Volume | None = None, grid: Grid | None = None) -> Segmentation:
    """Read the masks of a DICOM SEG file.

    Parameters
    ----------
    path : Path
    scan : Volume, optional
        The CT that it was drawn on; needed where the CT is tilted or uneven.
    grid : Grid, optional
        Where the masks shall lie: by default the scan's grid, without scan the file's own, from its first slice to its
        last.

    Returns
    -------
    Segmentation
        Names of structures where codes or labels say a known one, else labels; segments may overlap. Fractions count
        from one half up; what a label map marks as padding is nothing.

    Raises
    ------
    ScanError
        When the file can't be read without guessing, or does not lie on the scan.
    """
    seg = seg_file(path)
    wanted = scan.grid if grid is None and scan is not None else grid
    theirs = scan.facts.frame_of_reference_uid if scan is not None else None
    if theirs and seg.frame_of_reference_uid not in ("", theirs):
        raise ScanError(
            f"{seg.where}: lies in another frame of reference ({seg.frame_of_reference_uid}) than the scan "
            f"({theirs}); give the scan it was drawn on."
        )
    planes = _own_planes(seg) if wanted is None else _planes_on(seg, scan, wanted)
    check_shape(planes.shape, 1, seg.where)
    images = _images(seg, planes)
    notes = ("its masks are fractions, of which a half and more count",) if seg.kind == "FRACTIONAL" else ()
    if wanted is not None:
        return replace(on_grid(images, planes, wanted), notes=notes)
    if planes.grid is None:
        raise ScanError(f"{seg.where}: its frames lean or lie unevenly; give the CT they were drawn on.")
    check_grid(planes.grid, seg.where)
    return Segmentation(planes.grid, images.layers, images.places, notes)


def _directions(seg: SegFile) -> tuple[np.ndarray, np.ndarray]:
    row, column = np.reshape(seg.orientation, (2, 3))
    lengths = np.linalg.norm([row, column], axis=1)
    if np.abs(lengths - 1).max() > 1e-2 or abs(row @ column) > 1e-3:
        raise ScanError(f"{seg.where}: its rows and columns are not at right angles; the header is broken.")
    column = column - (column @ row) * row / lengths[0] ** 2
    return row / lengths[0], column / np.linalg.norm(column)


def _own_planes(seg: SegFile) -> Planes:
    """Return an even stack from the first frame's position to the last one's, through every other."""
    row, column = _directions(seg)
    normal = np.cross(row, column)
    origins = np.array([one.origin_mm for one in seg.frames])
    along = origins @ normal
    places = np.sort(along)[np.append(True, np.diff(np.sort(along)) > _ONE_POSITION_MM)]
    gaps = np.diff(places)
    candidates = [gap for gap in (seg.gap_mm, float(gaps.min()) if len(gaps) else None) if gap]
    gap = next((one for one in candidates if _fits(gaps, one)), None)
    if gap is None and len(gaps):
        raise ScanError(
            f"{seg.where}: its slices are unevenly spaced ({gaps.min():.2f} to {gaps.max():.2f} mm); "
            "give the CT it was drawn on."
        )
    gap = gap or 1.0
    n = round(float(places[-1] - places[0]) / gap) + 1
    check_shape((seg.columns, seg.rows, n), 1, seg.where)
    first, last = origins[along.argmin()], origins[along.argmax()]
    step = (last - first) / (n - 1) if n > 1 else normal * gap
    even = first + np.arange(n)[:, None] * step
    _check_one_stack(seg, origins - even[nearest_plane(along, even @ normal)[0]], normal)
    return Planes(row, column, _pair(seg.spacing_mm), seg.rows, seg.columns, even, gap)


def _check_one_stack(seg: SegFile, off_mm: np.ndarray, normal: np.ndarray) -> None:
    """Refuse frames that lie aside of their place in an even stack, off by (n, 3) mm."""
    aside = np.abs(off_mm - np.outer(off_mm @ normal, normal)).max()
    if aside > _ONE_PLACE * min(seg.spacing_mm):
        raise ScanError(
            f"{seg.where}: its frames do not lie on top of each other (one is {aside:.2f} mm aside); expected one "
            "stack. The header is broken."
        )


def _fits(gaps: np.ndarray, gap: float) -> bool:
    steps = np.rint(gaps / gap)
    return bool((steps >= 1).all() and (np.abs(gaps / gap - steps) <= _UNEVEN).all())


def _planes_on(seg: SegFile, scan: Volume | None, grid: Grid) -> Planes:
    """Return the scan's planes with the pixels of the frames that lie on them."""
    row, column = _directions(seg)
    theirs = planes_across(scan.facts if scan is not None else None, grid, np.cross(row, column))
    if theirs is None:
        raise ScanError(f"{seg.where}: its slices run in another direction than the scan's; it was drawn on another.")
    if theirs.normal @ np.cross(row, column) < 0:  # same planes, counted from the other end
        theirs = replace(theirs, row=theirs.column, column=theirs.row, origins_mm=theirs.origins_mm[::-1])
    origins = theirs.origins_mm.copy()
    along = origins @ np.cross(row, column)
    frames = np.array([one.origin_mm for one in seg.frames])
    image, off = nearest_plane(frames @ np.cross(row, column), along)
    if (off > _OFF_PLANE * theirs.gap_mm).any():
        raise ScanError(
            f"{seg.where}: {int((off > _OFF_PLANE * theirs.gap_mm).sum())} of {len(frames)} frames lie up to "
            f"{off.max():.2f} mm from the nearest slice of the scan; give the scan it was drawn on."
        )
    origins[image] = frames
    if np.abs(origins[image] - frames).max() > _ONE_PLACE * min(seg.spacing_mm):
        raise ScanError(f"{seg.where}: frames of one slice lie in different places; the header is broken.")
    return Planes(row, column, _pair(seg.spacing_mm), seg.rows, seg.columns, origins, theirs.gap_mm)


def _images(seg: SegFile, planes: Planes) -> Segmentation:
    """Return the masks in the indices of the images."""
    image, _ = nearest_plane(np.array([one.origin_mm for one in seg.frames]) @ planes.normal, planes.along_mm)
    if seg.kind == "LABELMAP":
        return _from_label_map(seg, planes, image)
    return Segmentation.from_masks(planes.index_grid, _masks(seg, planes, image))


def _masks(seg: SegFile, planes: Planes, image: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    frames_of: dict[int, list[Frame]] = {number: [] for number in seg.names}
    for frame in seg.frames:
        if frame.segment not in frames_of:
            raise ScanError(f"{seg.where}: has frames of segment {frame.segment}, which it does not describe.")
        frames_of[frame.segment].append(frame)
    for number, name in seg.names.items():
        mask = np.zeros(planes.shape, bool, order="F")
        for frame, pixels in zip(frames_of[number], seg.pixels(frames_of[number]), strict=True):
            mask[:, :, image[frame.index]] |= pixels.T
        yield name, mask


def _from_label_map(seg: SegFile, planes: Planes, image: np.ndarray) -> Segmentation:
    labels = np.zeros(planes.shape, np.uint16, order="F")
    for frame, pixels in zip(seg.frames, seg.pixels(seg.frames), strict=True):
        labels[:, :, image[frame.index]] = pixels.T
    if seg.padding is not None:
        labels[labels == seg.padding] = 0
    strangers = set(np.flatnonzero(np.bincount(labels.ravel(order="K")))) - seg.names.keys() - {0}
    background = {int(item.SegmentNumber) for item in seg.dataset.SegmentSequence} - seg.names.keys()
    if strangers - background:
        raise ScanError(f"{seg.where}: has voxels of segment {min(strangers)}, which it does not describe.")
    return Segmentation.from_labels(planes.index_grid, labels, seg.names)


def _pair(numbers: tuple[float, ...]) -> tuple[float, float]:
    first, second = numbers
    return first, second
