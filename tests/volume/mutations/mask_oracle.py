"""Where a damaged segmentation's own file says its voxels lie, worked out without ctatlas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.path import Path as Polygon
from pydicom.errors import BytesLengthException

from ctatlas.volume import Grid, Segmentation
from tests.volume.mutations.mutate import Mutation
from tests.volume.mutations.oracle import LPS_TO_RAS, compare, contents, nifti, nrrd, numbers, parsed

if TYPE_CHECKING:
    import pydicom

NEAR = 0.3  # voxels; a slice may lie a quarter of the gap beside its image, by rule
JITTER = 0.01  # voxels: nearer to a line than this a centre may be in or out

Inside = Callable[[np.ndarray], np.ndarray]  # places (n, 3) in LPS mm -> True, False, or both around there


def wrong_masks(mutation: Mutation, found: Segmentation) -> str:
    """Say what is wrong with masks that were read from a damaged input; nothing where they are what the file says."""
    if not np.isfinite(found.grid.affine).all() or np.linalg.det(found.grid.affine[:3, :3]) == 0:
        return f"have no geometry: {found.grid.affine.tolist()}"
    return next((problem for problem in _problems(mutation, found) if problem), "")


def _problems(mutation: Mutation, found: Segmentation) -> Iterator[str]:
    for name, content in contents(mutation).items():
        if ".nii" in name and (expected := nifti(content)):
            yield compare(expected, found.grid)
        elif ".nrrd" in name and (expected := nrrd(content)):
            yield _on_lattice(expected, found)
        elif name.endswith(".dcm") and (header := parsed(content, pixels=True)) is not None:
            yield from _as_drawn(header, found)


def _on_lattice(expected: tuple[tuple[int, ...], np.ndarray], found: Segmentation) -> str:
    """Compare with a header whose voxels may be part of the scan's."""
    shape, theirs = expected
    theirs_to_ours = np.linalg.inv(found.grid.affine) @ theirs
    start = np.rint(theirs_to_ours[:3, 3])
    straight = np.eye(4)
    straight[:3, 3] = start
    if not np.allclose(theirs_to_ours, straight, atol=2e-2):
        return f"lie at {found.grid.affine.tolist()}, the header says {theirs.tolist()}"
    if (start < 0).any() or (start + np.array(shape[:3]) > found.grid.shape).any():
        return f"have {found.grid.shape} voxels, the header says {shape} from {start.tolist()}"
    return ""


def _as_drawn(header: pydicom.Dataset, found: Segmentation) -> Iterator[str]:
    """Compare every voxel with what the file has at its place."""
    if "ROIContourSequence" in header:
        inside, marked = _contoured(header)
    elif "SegmentSequence" in header:
        inside, marked = _segmented(header, found.grid)
    else:
        return
    voxels = np.argwhere(np.ones(found.grid.shape, bool))
    affine = found.grid.affine
    union = np.zeros(found.grid.shape, bool)
    for name in found.names:
        union |= found.mask(name)
    places = (voxels @ affine[:3, :3].T + affine[:3, 3]) * LPS_TO_RAS
    told = inside(places).reshape(-1, *found.grid.shape)
    wrong = (told.all(0) & ~union) | (~told.any(0) & union)
    if wrong.any():
        at = np.argwhere(wrong)[0].tolist()
        yield f"have {int(wrong.sum())} voxels other than the file says, such as {at}: {bool(union[tuple(at)])}"
    if marked and not union.any():
        yield "are empty, the file's are not"


def _segmented(header: pydicom.Dataset, grid: Grid) -> tuple[Inside, bool]:
    """Return what the frames of a SEG hold; each is on the slice of the grid that it lies next to."""
    try:
        pixels = header.pixel_array.reshape(-1, header.Rows, header.Columns)
    except (ValueError, AttributeError, TypeError, NotImplementedError, BytesLengthException):
        # pydicom wants elements that say nothing of masks
        return lambda places: np.array([np.ones(len(places), bool), np.zeros(len(places), bool)]), False
    held = pixels > 0
    if header.SegmentationType == "FRACTIONAL":
        held = pixels >= header.MaximumFractionalValue / 2
    elif "PixelPaddingValue" in header:
        held &= pixels != header.PixelPaddingValue
    frames = [_plane(header, n) for n in range(len(held))]
    described = {int(one.SegmentNumber) for one in header.SegmentSequence}
    normal = np.cross(*frames[0][1]) * LPS_TO_RAS
    gap = float(np.abs(normal @ grid.affine[:3, :3]).max())

    def inside(places: np.ndarray) -> np.ndarray:
        told = np.zeros((4, len(places)), bool)
        for (position, (row, column), (between_rows, between_columns)), frame in zip(frames, held, strict=True):
            near = np.abs((places - position) @ np.cross(row, column)) <= NEAR * gap
            at = np.stack([(places - position) @ column / between_rows, (places - position) @ row / between_columns], 1)
            for n, (i, j) in enumerate(((-1, -1), (-1, 1), (1, -1), (1, 1))):
                index = np.rint(at + np.array([i, j]) * JITTER).astype(int)
                on = near & (index >= 0).all(1) & (index < frame.shape).all(1)
                told[n, on] |= frame[tuple(index[on].T)]
        return told

    return inside, bool(held.any() and described)


def _plane(header: pydicom.Dataset, n: int) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], list[float]]:
    cosines = np.reshape(numbers(header, "ImageOrientationPatient", n), (2, 3))
    return (
        np.array(numbers(header, "ImagePositionPatient", n)),
        (cosines[0], cosines[1]),
        numbers(header, "PixelSpacing", n),
    )


def _contoured(header: pydicom.Dataset) -> tuple[Inside, bool]:
    """Return what the lines of an RTSTRUCT enclose; they lie in planes across the body, 3 mm apart."""
    rois = {int(one.ROINumber) for one in header.StructureSetROISequence}
    lines = {
        int(one.ReferencedROINumber): [
            np.reshape([float(x) for x in line.ContourData], (-1, 3))
            for line in one.get("ContourSequence") or []
            if str(line.get("ContourGeometricType", "")) in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
        ]
        for one in header.ROIContourSequence
        if int(one.ReferencedROINumber) in rois
    }

    def inside(places: np.ndarray) -> np.ndarray:
        told = np.zeros((4, len(places)), bool)
        for drawn in lines.values():
            one = np.zeros_like(told)
            for line in drawn:
                near = np.abs(places[:, 2] - np.median(line[:, 2])) <= NEAR * 3.0
                for n, (x, y) in enumerate(((-1, -1), (-1, 1), (1, -1), (1, 1))):
                    one[n, near] ^= Polygon(line[:, :2]).contains_points(places[near, :2] + np.array([x, y]) * JITTER)
            told |= one
        return told

    return inside, any(len(line) > 2 for drawn in lines.values() for line in drawn)
