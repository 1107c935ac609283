"""Boundary IoU: how much the rims of two masks share, which a large inside does not hide.

The variant is one of three dimensions and millimetres: the rim of a mask is its voxels within the width of background,
by the exact Euclidean distance between centres of voxels; what lies outside of the scan is background. A width below
the shortest edge of a voxel would leave no rim and counts as that edge. A width of half a structure's thickness or
more gives its IoU: at most a quarter of the thinnest structure tells something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.measure.borders import border
from ctatlas.measure.counts import ratio
from ctatlas.measure.metrics import Metric
from ctatlas.measure.pair import Pair

if TYPE_CHECKING:
    from ctatlas.measure.presets import Values


def measured(
    pair: Pair, wanted: Sequence[Metric], tolerances_mm: Sequence[float], *, in_voxels: bool = False
) -> Values:
    """Measure with every tolerance as the width of the rim.

    Parameters
    ----------
    pair, wanted, tolerances_mm
        As every family of metrics.
    in_voxels : bool
        Take the tolerance as a number of voxels whatever their size, and the rim as what lies nearer than that to
        the centre of a border voxel. Source: MetricsReloaded `boundary_iou`.
    """
    rims = rim_in_voxels if in_voxels else rim
    values: dict[tuple[str, float | None], float | None] = {}
    for metric in wanted:
        for width in tolerances_mm:
            gt, pred = (rims(mask, pair.spacing_mm, width) for mask in (pair.gt, pair.pred))
            values[metric.name, width] = ratio(int(np.count_nonzero(gt & pred)), int(np.count_nonzero(gt | pred)))
    return values


def rim(mask: np.ndarray, spacing_mm: Sequence[float], width_mm: float) -> np.ndarray:
    """Return the voxels of a mask within a distance of its background, bool.

    Notes
    -----
    Source: Cheng et al. 2021, there for pixels of a plane.
    """
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(mask, 1), sampling=spacing_mm)[(slice(1, -1),) * mask.ndim]
    return np.asarray(mask & (depth <= max(width_mm, min(spacing_mm))))


def rim_in_voxels(mask: np.ndarray, _spacing_mm: Sequence[float], width: float) -> np.ndarray:
    """Return the voxels of a mask nearer than `width` voxels to one of its border, bool."""
    from scipy.ndimage import distance_transform_edt

    edge = border(mask)
    return np.asarray(mask & (distance_transform_edt(~edge) < width)) if edge.any() else edge
