"""Read an RTSTRUCT onto the grid of the CT that it was drawn on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.errors import ScanError
from ctatlas.volume.choices import NOTHING_KNOWN, MaskChoices
from ctatlas.volume.formats.dicom.slices import Planes, nearest_plane, on_grid, planes_across
from ctatlas.volume.formats.rtstruct.drawings import Drawing, Drawings, Line, drawings
from ctatlas.volume.formats.rtstruct.fill import filled
from ctatlas.volume.segmentation import Segmentation

if TYPE_CHECKING:
    from ctatlas.volume.grid import Grid
    from ctatlas.volume.scan import ScanFacts, Volume

_OFF_PLANE = 0.25  # of the gap between images. Source: reference/volumes.md §7
_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0])
_BENT = 0.1  # of the gap


def read(path: Path, choices: MaskChoices = NOTHING_KNOWN) -> Segmentation:
    """Read an RTSTRUCT file for `read_segmentation`."""
    return read_rtstruct(path, choices.scan, choices.grid)


def read_rtstruct(path: Path, scan: Volume | None = None, grid: Grid | None = None) -> Segmentation:
    """Fill the contours of an RTSTRUCT file.

    Parameters
    ----------
    path : Path
    scan : Volume, optional
        The CT that it was drawn on.
    grid : Grid, optional
        Where the masks shall lie, by default on the scan's grid; one of both is needed, for contours alone have none.

    Returns
    -------
    Segmentation
        A pixel whose centre an odd number of lines encloses is in. Nothing is filled between images. Its notes name
        what has no contour, or others than closed ones, or is not drawn on every slice.

    Raises
    ------
    ScanError
        When the file is damaged, names a series that is not the scan's, or has contours that lie on none of its images.
    """
    told = drawings(path)
    wanted = scan.grid if grid is None and scan is not None else grid
    if wanted is None:
        raise ScanError(
            f"{told.where}: contours have no voxels of their own; give the CT they were drawn on too (--reference)."
        )
    facts = scan.facts if scan is not None else None
    if facts is not None and facts.series_uid and told.series_uids and facts.series_uid not in told.series_uids:
        raise ScanError(
            f"{told.where}: was drawn on series {', '.join(sorted(told.series_uids))}, "
            f"the scan is series {facts.series_uid}; give the scan it was drawn on."
        )
    planes = _planes(told, facts, wanted)
    on_image = [_images_of(drawing, planes, facts, told.where) for drawing in told.drawings]
    masks = Segmentation.from_masks(planes.index_grid, _masks(told, on_image, planes))
    notes = [note for one, images in zip(told.drawings, on_image, strict=True) for note in _notes(one, images)]
    return replace(on_grid(masks, planes, wanted), notes=tuple(notes))


def _planes(told: Drawings, facts: ScanFacts | None, grid: Grid) -> Planes:
    """Return the scan's images, or without them the planes of voxels in which the contours lie flat."""
    lines = [line.points_mm for drawing in told.drawings for line in drawing.lines]
    candidates = (
        planes_across(facts, grid, axis) for axis in (_LPS_FROM_RAS @ grid.affine[:3, :3] / grid.spacing_mm).T
    )
    flat = [planes for planes in candidates if planes is not None]
    if not flat:
        raise ScanError(f"{told.where}: the scan's images lie across none of its grid's axes; give it as it was read.")
    return min(flat, key=lambda planes: max((_bend(line, planes) for line in lines), default=0.0))


def _bend(points_mm: np.ndarray, planes: Planes) -> float:
    """Measure how far a line leaves the images' plane, in gaps between images."""
    return float(np.ptp(points_mm @ planes.normal)) / planes.gap_mm


def _images_of(drawing: Drawing, planes: Planes, facts: ScanFacts | None, where: str) -> list[int]:
    """Return the image that each line lies on."""
    if not drawing.lines:
        return []
    bend = max(_bend(line.points_mm, planes) for line in drawing.lines)
    if bend > _BENT:
        raise ScanError(
            f"{where}: a contour of {drawing.name} is not flat on the scan's slices ({bend * planes.gap_mm:.2f} mm); "
            "give the scan it was drawn on."
        )
    heights = np.array([float(np.median(line.points_mm @ planes.normal)) for line in drawing.lines])
    images, off_mm = nearest_plane(heights, planes.along_mm)
    if (off_mm > _OFF_PLANE * planes.gap_mm).any():
        raise ScanError(
            f"{where}: {int((off_mm > _OFF_PLANE * planes.gap_mm).sum())} of {len(heights)} contours of "
            f"{drawing.name} lie up to {off_mm.max():.2f} mm from the nearest slice; give the scan they were drawn on."
        )
    if facts is not None:
        _check_references(drawing.lines, images, facts, f"{where}: {drawing.name}")
    return [int(image) for image in images]


def _check_references(lines: Sequence[Line], images: np.ndarray, facts: ScanFacts, where: str) -> None:
    """Refuse a line that names one image and lies on another."""
    known = {one.instance_uid for one in facts.slices}
    for line, image in zip(lines, images.tolist(), strict=True):
        if line.instance_uid in known and line.instance_uid != facts.slices[image].instance_uid:
            raise ScanError(f"{where} has a contour that names one image and lies on another; export the file anew.")


def _masks(told: Drawings, on_image: Sequence[Sequence[int]], planes: Planes) -> Iterator[tuple[str, np.ndarray]]:
    between_rows, between_columns = planes.spacing_mm
    axes = np.stack([planes.row / between_columns, planes.column / between_rows])
    for drawing, images in zip(told.drawings, on_image, strict=True):
        mask = np.zeros(planes.shape, bool, order="F")
        for image in sorted(set(images)):
            here = [line.points_mm for line, where in zip(drawing.lines, images, strict=True) if where == image]
            pixels = [(points - planes.origins_mm[image]) @ axes.T for points in here]
            mask[:, :, image] = filled(pixels, (planes.rows, planes.columns), told.where).T
        yield drawing.name, mask


def _notes(drawing: Drawing, images: Sequence[int]) -> Iterator[str]:
    if not drawing.lines:
        yield f"{drawing.name} has no contour"
    if drawing.n_other:
        yield f"{drawing.name} has {drawing.n_other} points or open lines, which enclose nothing and were left out"
    if images and (n_empty := max(images) - min(images) + 1 - len(set(images))):
        yield f"{drawing.name} is not drawn on {n_empty} slices between its first and its last; nothing was filled in"
