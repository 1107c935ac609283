"""The lesions of a mask: its connected pieces, how large they are, and which of two masks meet.

Pieces are connected across faces, edges and corners of voxels (26 neighbours, in a plane 8).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_FEW = 200  # points, of which all distances are quicker than a hull


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of one mask, numbered from 0.

    Attributes
    ----------
    labels : (i, j, k) uint32
        0 is background, `number + 1` a piece.
    n_voxels : (n,) int64
    voxel_mm3 : float
        In a plane the area of a pixel, mm².
    centres : (n, d) float64
        Centres of mass, as indices of voxels.
    longest_mm : (n,) float64
        The largest distance between two corners of voxels of a piece: its longest diameter, in any direction.
    """

    labels: np.ndarray
    n_voxels: np.ndarray
    voxel_mm3: float
    centres: np.ndarray
    longest_mm: np.ndarray

    def __len__(self) -> int:
        return len(self.n_voxels)

    @property
    def volumes_ml(self) -> np.ndarray:
        """Volume of each, (n,) float64."""
        return self.n_voxels * self.voxel_mm3 / 1000

    @property
    def diameters_mm(self) -> np.ndarray:
        """The diameter of a ball (in a plane: a disc) as large as each, (n,) float64."""
        sizes = self.n_voxels * self.voxel_mm3
        return np.cbrt(6 * sizes / math.pi) if self.labels.ndim == 3 else np.sqrt(4 * sizes / math.pi)


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Which pieces of a reference and of a prediction share voxels.

    Attributes
    ----------
    gt, pred : Pieces
    gt_numbers, pred_numbers : (m,) intp
        The pieces that meet, a row a pair.
    n_shared : (m,) int64
        Voxels that both have.
    spacing_mm : tuple of float
    """

    gt: Pieces
    pred: Pieces
    gt_numbers: np.ndarray
    pred_numbers: np.ndarray
    n_shared: np.ndarray
    spacing_mm: tuple[float, ...]

    @property
    def iou(self) -> np.ndarray:
        """IoU of each pair, (m,) float64."""
        sizes = self.gt.n_voxels[self.gt_numbers] + self.pred.n_voxels[self.pred_numbers]
        return np.asarray(self.n_shared / (sizes - self.n_shared))

    @property
    def shared_of_gt(self) -> np.ndarray:
        """How many voxels of each reference piece were predicted, (n,) int64."""
        return _sums(self.gt_numbers, self.n_shared, len(self.gt))

    @property
    def shared_of_pred(self) -> np.ndarray:
        """How many voxels of each predicted piece are right, (n,) int64."""
        return _sums(self.pred_numbers, self.n_shared, len(self.pred))

    @property
    def dsc_of_gt(self) -> np.ndarray:
        """DSC of each reference piece with all predicted ones that it meets, (n,) float64."""
        met = _sums(self.gt_numbers, self.pred.n_voxels[self.pred_numbers], len(self.gt))
        return np.asarray(2 * self.shared_of_gt / (self.gt.n_voxels + met))

    @property
    def dsc_of_pred(self) -> np.ndarray:
        """DSC of each predicted piece with all reference ones that it meets, (n,) float64."""
        met = _sums(self.pred_numbers, self.gt.n_voxels[self.gt_numbers], len(self.pred))
        return np.asarray(2 * self.shared_of_pred / (self.pred.n_voxels + met))


def pieces_of(
    mask: np.ndarray, spacing_mm: Sequence[float], *, at_least_mm3: float = 0.0, join_mm: float = 0.0
) -> Pieces:
    """Find the lesions of a mask.

    Parameters
    ----------
    mask : (i, j, k) or (i, j) bool
    spacing_mm : sequence of float
        Along each axis of the mask.
    at_least_mm3 : float
        Smaller pieces are no lesions. To be the same for reference and prediction.
    join_mm : float
        Pieces of which voxels lie within twice that distance are one lesion. Source: BraTS joins what touches after a
        dilation; here by the distance in mm.

    Returns
    -------
    Pieces
        In the order in which their first voxels lie in memory.
    """
    import cc3d

    voxel_mm3 = float(np.prod(spacing_mm))
    if not mask.any():
        none = np.zeros(0, np.int64)
        return Pieces(np.zeros(mask.shape, np.uint32), none, voxel_mm3, np.zeros((0, mask.ndim)), none.astype(float))
    grown = _grown(mask, spacing_mm, join_mm)
    labels = cc3d.connected_components(grown, connectivity=26 if mask.ndim == 3 else 8).astype(np.uint32)
    labels[~mask] = 0
    n_voxels = np.bincount(labels.ravel(order="K"))
    kept = np.flatnonzero(n_voxels[1:] * voxel_mm3 >= max(at_least_mm3, voxel_mm3 / 2)) + 1
    numbers = np.zeros(len(n_voxels), np.uint32)
    numbers[kept] = np.arange(1, len(kept) + 1)
    labels = numbers[labels]
    found = cc3d.statistics(labels, no_slice_conversion=False)
    longest = [
        _longest_mm(labels[box] == number, spacing_mm)
        for number, box in enumerate(found["bounding_boxes"][1 : len(kept) + 1], start=1)
    ]
    centres = np.asarray(found["centroids"], np.float64)[1 : len(kept) + 1].reshape(-1, mask.ndim)
    return Pieces(labels, n_voxels[kept], voxel_mm3, centres, np.array(longest, np.float64))


def overlaps_of(gt: Pieces, pred: Pieces, spacing_mm: Sequence[float]) -> Overlaps:
    """Find which pieces of a reference and of a prediction on the same voxels meet."""
    both = (gt.labels > 0) & (pred.labels > 0)
    codes = (gt.labels[both].astype(np.int64) - 1) * max(len(pred), 1) + (pred.labels[both] - 1)
    found, n_shared = np.unique(codes, return_counts=True)
    gt_numbers, pred_numbers = np.divmod(found, max(len(pred), 1))
    return Overlaps(
        gt, pred, gt_numbers.astype(np.intp), pred_numbers.astype(np.intp), n_shared, tuple(map(float, spacing_mm))
    )


def _grown(mask: np.ndarray, spacing_mm: Sequence[float], by_mm: float) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    if by_mm <= 0:
        return np.ascontiguousarray(mask)
    return np.asarray(distance_transform_edt(~mask, sampling=spacing_mm) <= by_mm)


def _longest_mm(piece: np.ndarray, spacing_mm: Sequence[float]) -> float:
    """Return the largest distance between two corners of voxels; only the ends of rows can be its ends."""
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    rows = np.argwhere(piece.any(axis=-1))
    inside = piece[tuple(rows.T)]
    first, last = inside.argmax(axis=1), piece.shape[-1] - inside[:, ::-1].argmax(axis=1)
    ends = np.concatenate([np.column_stack([rows, first]), np.column_stack([rows, last])])
    steps = np.stack(np.meshgrid(*[(0, 1)] * rows.shape[1], indexing="ij"), axis=-1).reshape(-1, rows.shape[1])
    corners = np.concatenate([ends + np.append(step, 0) for step in steps])
    points = np.unique(corners, axis=0) * np.asarray(spacing_mm)
    if len(points) > _FEW:
        points = points[ConvexHull(points).vertices]
    return float(pdist(points).max())


def _sums(numbers: np.ndarray, counts: np.ndarray, n: int) -> np.ndarray:
    return np.bincount(numbers, weights=counts, minlength=n).astype(np.int64)
