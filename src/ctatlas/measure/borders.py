"""Distances between border voxels: the convention of MONAI, MedPy, MetricsReloaded and SuPreM.

A border voxel is one that touches background across a face; what lies outside of the array is background. Each weighs
the same, and distances run between the centres of voxels. The values differ from those between surface elements (the
convention of surface-distance): NSD by up to a tenth on small structures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ctatlas.kernels.distances import nearest_mm
from ctatlas.measure.metrics import Metric
from ctatlas.measure.pair import Pair

if TYPE_CHECKING:
    from ctatlas.measure.presets import Values


@dataclass(frozen=True, slots=True)
class Distances:
    """How far each border voxel of one mask lies from the other's border, in mm; empty where there is none."""

    gt_to_pred: np.ndarray
    pred_to_gt: np.ndarray

    @property
    def pooled(self) -> np.ndarray:
        """Both directions in one list."""
        return np.concatenate([self.gt_to_pred, self.pred_to_gt])


def measured(
    pair: Pair,
    wanted: Sequence[Metric],
    tolerances_mm: Sequence[float],
    *,
    is_single: bool = False,
    is_pooled: bool = False,
    has_phantom: bool = False,
) -> Values:
    """Measure between border voxels.

    Parameters
    ----------
    pair, wanted, tolerances_mm
        As every family of metrics.
    is_single : bool
        Round distances to float32 before they are compared with the tolerance. Source: MONAI `get_surface_distance`.
    is_pooled : bool
        Take the percentile of both directions together, which hides the worse one, instead of the larger of two.
        Source: MedPy `hd95`.
    has_phantom : bool
        Measure to the voxel before the array's first where the other mask is empty, as SciPy's distance transform of
        an array without a zero does and its callers don't notice. Source: SuPreM `surface_dice`, MetricsReloaded.

    Returns
    -------
    mapping
        (metric, tolerance) -> value; None where a mask is empty.
    """
    distances = _distances(pair, np.dtype(np.float32 if is_single else np.float64), has_phantom=has_phantom)
    formulas = {**FORMULAS, **POOLED_FORMULAS} if is_pooled else FORMULAS
    values: dict[tuple[str, float | None], float | None] = {}
    for metric in wanted:
        if metric.takes_tolerance:
            values |= {(metric.name, each): _within(distances, each) for each in tolerances_mm}
        else:
            one = formulas[metric.name](distances) if distances.gt_to_pred.size and distances.pred_to_gt.size else None
            values[metric.name, None] = None if one is None else float(one)
    return values


def border(mask: np.ndarray) -> np.ndarray:
    """Return the voxels of a mask that touch background across a face, bool; outside of the array is background.

    Examples
    --------
    >>> border(np.ones((3, 4), bool)).astype(int)
    array([[1, 1, 1, 1],
           [1, 0, 0, 1],
           [1, 1, 1, 1]])
    """
    from scipy.ndimage import binary_erosion

    return np.asarray(mask & ~binary_erosion(mask))


def _within(distances: Distances, tolerance_mm: float) -> float | None:
    pooled = distances.pooled
    return float(np.count_nonzero(pooled <= tolerance_mm) / pooled.size) if pooled.size else None


def _percentile_per_direction(distances: Distances) -> Any:
    return max(np.percentile(distances.gt_to_pred, 95), np.percentile(distances.pred_to_gt, 95))


# Percentiles are interpolated linearly.
FORMULAS: Mapping[str, Callable[[Distances], Any]] = MappingProxyType(
    {
        "hd": lambda d: d.pooled.max(),
        "hd95": _percentile_per_direction,
        "assd": lambda d: d.pooled.mean(),
        "masd": lambda d: (d.gt_to_pred.mean() + d.pred_to_gt.mean()) / 2,
        "asd_gt_to_pred": lambda d: d.gt_to_pred.mean(),
        "asd_pred_to_gt": lambda d: d.pred_to_gt.mean(),
    }
)
POOLED_FORMULAS: Mapping[str, Callable[[Distances], Any]] = MappingProxyType(
    {"hd95": lambda d: np.percentile(d.pooled, 95)}
)


def _distances(pair: Pair, dtype: np.dtype[Any], *, has_phantom: bool) -> Distances:
    borders = border(pair.gt), border(pair.pred)
    there = [each.any() for each in borders]
    found = []
    for (own, other), other_is_there in zip((borders, borders[::-1]), there[::-1], strict=True):
        if other_is_there:
            found.append(_to(other, own, pair.spacing_mm).astype(dtype))
        else:
            found.append(_to_phantom(own, pair).astype(dtype) if has_phantom else np.empty(0, dtype))
    return Distances(*found)


def _to(target: np.ndarray, at: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Return the distance to the nearest voxel of `target` from each of `at`, in the order of their indices."""
    (queries, spacing), (points, _) = (_on_lattice(mask, spacing_mm) for mask in (at, target))
    return nearest_mm(queries, points, spacing)


def _on_lattice(mask: np.ndarray, spacing_mm: Sequence[float]) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Return the voxels of a mask as indices (n, 3); a picture lies in one plane."""
    indices = np.argwhere(mask).astype(np.int32)
    if mask.ndim == 2:
        return np.insert(indices, 0, 0, axis=1), (1.0, float(spacing_mm[0]), float(spacing_mm[1]))
    return indices, (float(spacing_mm[0]), float(spacing_mm[1]), float(spacing_mm[2]))


def _to_phantom(at: np.ndarray, pair: Pair) -> np.ndarray:
    """Return the distances to the point that SciPy takes for the nearest zero of an array that has none."""
    indices = np.argwhere(at) + np.array(pair.start)
    indices[:, 0] += 1
    return np.asarray(np.sqrt(((indices * np.array(pair.spacing_mm)) ** 2).sum(axis=1)))
