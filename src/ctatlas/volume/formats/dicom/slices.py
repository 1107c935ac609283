"""From masks on a scan's grid to the images it was made of, and back: the nearest voxel or pixel, never a blend.

A scan that was resampled because its stack is tilted or uneven has voxels where no image is. Objects such as SEG and
RTSTRUCT lie on the images, so masks are looked up at each image's own pixel centres, and theirs at the voxels'.
Where the grid is the stack itself both ways are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.volume.grid import Grid
from ctatlas.volume.segmentation import Segmentation

if TYPE_CHECKING:
    from ctatlas.volume.scan import ScanFacts

_SAME_VOXEL = 0.1  # of the smallest spacing: far from the half at which another voxel is the nearest
_PARALLEL = 0.99999  # cosine of 0.26 degrees, a voxel over 220
_OUTSIDE = 1e-3  # of a voxel, for centres that lie on the edge but for rounding
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """Parallel images of one size, anywhere in space.

    Attributes
    ----------
    row, column : (3,) float
        Unit vectors of growing column index and growing row index, LPS.
    spacing_mm : (2,) float
        Distance between rows, distance between columns (in this order).
    rows, columns : int
    origins_mm : (n, 3) float
        Centre of the first pixel of each image, LPS, sorted along the normal.
    gap_mm : float
        Usual distance of two neighbours along the normal.
    """

    row: np.ndarray
    column: np.ndarray
    spacing_mm: tuple[float, float]
    rows: int
    columns: int
    origins_mm: np.ndarray
    gap_mm: float

    @property
    def normal(self) -> np.ndarray:
        """Unit vector across the images, right-handed with row and column."""
        return np.cross(self.row, self.column)

    @property
    def along_mm(self) -> np.ndarray:
        """Position of each image along the normal, (n,)."""
        return np.asarray(self.origins_mm @ self.normal)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, images: the axes of masks in the indices of the images."""
        return self.columns, self.rows, len(self.origins_mm)

    @property
    def index_grid(self) -> Grid:
        """A grid in indices instead of mm, to carry masks whose images need not be evenly spaced."""
        return Grid(self.shape, np.eye(4))

    @property
    def grid(self) -> Grid | None:
        """The grid that the images make up; None when they are not upright and evenly spaced."""
        n = len(self.origins_mm)
        between_rows, between_columns = self.spacing_mm
        step = self.normal * ((self.along_mm[-1] - self.along_mm[0]) / (n - 1) if n > 1 else self.gap_mm)
        even = self.origins_mm[0] + np.arange(n)[:, None] * step
        if np.abs(even - self.origins_mm).max() > _SAME_VOXEL * min(between_rows, between_columns, self.gap_mm):
            return None
        affine = np.eye(4)
        affine[:3, 0] = self.row * between_columns
        affine[:3, 1] = self.column * between_rows
        affine[:3, 2] = step
        affine[:3, 3] = self.origins_mm[0]
        return Grid(self.shape, RAS_FROM_LPS @ affine)


def planes_of(facts: ScanFacts) -> Planes:
    """Return the images of a DICOM series.

    Raises
    ------
    ValueError
        When the facts are not those of a DICOM series.
    """
    if facts.plane is None or not facts.slices:
        raise ValueError("the scan was not read from a DICOM series")
    row, column = np.reshape(facts.plane.orientation, (2, 3))
    row = row / np.linalg.norm(row)
    column = column - (column @ row) * row
    column = column / np.linalg.norm(column)
    origins = np.array([one.position_mm for one in facts.slices])
    gaps = np.diff(origins @ np.cross(row, column))
    return Planes(
        row,
        column,
        facts.plane.spacing_mm,
        facts.plane.rows,
        facts.plane.columns,
        origins,
        float(np.median(gaps)) if len(gaps) else 1.0,
    )


def planes_of_grid(grid: Grid, axis: int = 2) -> Planes:
    """Return the planes of voxels across one axis of a grid, as if they were images."""
    first, second = (other for other in range(3) if other != axis)
    directions = (RAS_FROM_LPS @ grid.affine)[:3, :3] / grid.spacing_mm
    voxels = np.zeros((grid.shape[axis], 3))
    voxels[:, axis] = np.arange(grid.shape[axis])
    origins = grid.world(voxels) * (-1, -1, 1)
    order = np.argsort(origins @ np.cross(directions[:, first], directions[:, second]))
    return Planes(
        directions[:, first],
        directions[:, second],
        (grid.spacing_mm[second], grid.spacing_mm[first]),
        grid.shape[second],
        grid.shape[first],
        origins[order],
        grid.spacing_mm[axis],
    )


def planes_across(facts: ScanFacts | None, grid: Grid, normal: np.ndarray) -> Planes | None:
    """Return the planes of a scan that lie across a direction (LPS, either sense).

    Its original images where it was read from DICOM, else the planes of its voxels; None when it has none like that.
    """
    if facts is not None and facts.plane is not None and facts.slices:
        planes = planes_of(facts)
        return planes if abs(planes.normal @ normal) > _PARALLEL else None
    directions = (RAS_FROM_LPS @ grid.affine)[:3, :3] / grid.spacing_mm
    axis = int(np.abs(directions.T @ normal).argmax())
    return planes_of_grid(grid, axis) if abs(directions[:, axis] @ normal) > _PARALLEL else None


def nearest_plane(positions_mm: np.ndarray, along_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each position the index of the nearest of rising ones, and how far off that is."""
    index = np.searchsorted((along_mm[1:] + along_mm[:-1]) / 2, positions_mm)
    return index, np.abs(positions_mm - along_mm[index])


def masks_on_slices(segmentation: Segmentation, facts: ScanFacts) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each structure's mask on the images that a scan was read from.

    Parameters
    ----------
    segmentation : Segmentation
        On any grid of the same patient space; what lies outside of it is empty.
    facts : ScanFacts
        Of the scan, with `plane` and `slices`.

    Yields
    ------
    str, (slice, row, column) bool
        In the order of `facts.slices`.
    """
    for name, mask in on_images(segmentation, planes_of(facts)).items():
        yield name, mask.T


def on_images(segmentation: Segmentation, planes: Planes) -> Segmentation:
    """Return masks (column, row, image) in the indices of the images, on `planes.index_grid`."""
    stacked = planes.grid
    if stacked is not None:
        turned = segmentation.reoriented(stacked.orientation)
        if _same_voxels(turned.grid, stacked):
            return Segmentation(planes.index_grid, turned.layers, turned.places)
    layers = tuple(_pixels(layer, segmentation.grid, planes) for layer in segmentation.layers)
    return Segmentation(planes.index_grid, layers, segmentation.places)


def on_grid(images: Segmentation, planes: Planes, grid: Grid) -> Segmentation:
    """Return on a grid what lies on images, the way back from `on_images`.

    A voxel takes the pixel nearest to it on the image nearest to it; further out than half a gap it is empty.
    """
    stacked = planes.grid
    if stacked is not None and _same_voxels(grid.reoriented(stacked.orientation), stacked):
        turned = Segmentation(stacked, images.layers, images.places).reoriented(grid.orientation)
        return Segmentation(grid, turned.layers, turned.places)
    layers = tuple(_voxels(layer, planes, grid) for layer in images.layers)
    return Segmentation(grid, layers, images.places)


def _same_voxels(grid: Grid, other: Grid) -> bool:
    return grid.same_place(other, _SAME_VOXEL * min(grid.spacing_mm))


def _pixels(layer: np.ndarray, grid: Grid, planes: Planes) -> np.ndarray:
    """Look up an (i, j, k) layer at every pixel centre, (column, row, image)."""
    voxel_from_lps = np.linalg.inv(grid.affine) @ RAS_FROM_LPS
    between_rows, between_columns = planes.spacing_mm
    per_column = voxel_from_lps[:3, :3] @ planes.row * between_columns
    per_row = voxel_from_lps[:3, :3] @ planes.column * between_rows
    starts = planes.origins_mm @ voxel_from_lps[:3, :3].T + voxel_from_lps[:3, 3]
    columns, rows = np.arange(planes.columns)[:, None], np.arange(planes.rows)[None, :]
    found = np.zeros(planes.shape, np.uint8, order="F")
    for image, start in enumerate(starts):
        voxels = [start[axis] + columns * per_column[axis] + rows * per_row[axis] for axis in range(3)]
        found[:, :, image] = _nearest(layer, voxels)
    return found


def _voxels(layer: np.ndarray, planes: Planes, grid: Grid) -> np.ndarray:
    """Look up a (column, row, image) layer at every voxel centre of a grid, slab by slab."""
    along = planes.along_mm
    middles = (along[1:] + along[:-1]) / 2
    between_rows, between_columns = planes.spacing_mm
    axes = np.stack([planes.row / between_columns, planes.column / between_rows, planes.normal])
    from_voxel = axes @ (RAS_FROM_LPS @ grid.affine)[:3]  # (3, 4): column, row in pixels, mm along the normal
    first_pixels = planes.origins_mm @ axes[:2].T
    i, j = np.arange(grid.shape[0])[:, None], np.arange(grid.shape[1])[None, :]
    found = np.zeros(grid.shape, np.uint8, order="F")
    for k in range(grid.shape[2]):
        column, row, mm = (line[3] + line[2] * k + line[0] * i + line[1] * j for line in from_voxel)
        image = np.searchsorted(middles, mm)
        beyond = (mm < along[0] - planes.gap_mm / 2) | (mm > along[-1] + planes.gap_mm / 2)
        image[beyond] = -1
        found[:, :, k] = _nearest(layer, [column - first_pixels[image, 0], row - first_pixels[image, 1], image])
    return found


def _nearest(layer: np.ndarray, indices: list[np.ndarray]) -> np.ndarray:
    """Return the values nearest to fractional indices, one array an axis; 0 outside."""
    whole = [np.floor(index + (0.5 - _OUTSIDE)).astype(np.intp) for index in indices]
    inside = np.logical_and.reduce([(w >= 0) & (w < n) for w, n in zip(whole, layer.shape, strict=True)])
    values = np.zeros(inside.shape, layer.dtype)
    i, j, k = (w[inside] for w in np.broadcast_arrays(*whole))
    values[inside] = layer[i, j, k]
    return values
