"""Metrics that need no more than three counts of voxels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Counts:
    """How many voxels one structure has in the reference, in the prediction and in both, and how large a voxel is."""

    n_gt: int
    n_pred: int
    n_both: int
    voxel_ml: float


def ratio(part: float, whole: float) -> float | None:
    """Divide; None where there is nothing to divide by."""
    return part / whole if whole else None


# Source of all formulas: metrics.csv. What the counts leave open (0/0) is None.
COUNT_METRICS: Mapping[str, Callable[[Counts], float | None]] = MappingProxyType(
    {
        "dsc": lambda c: ratio(2 * c.n_both, c.n_gt + c.n_pred),
        "iou": lambda c: ratio(c.n_both, c.n_gt + c.n_pred - c.n_both),
        "sensitivity": lambda c: ratio(c.n_both, c.n_gt),
        "precision": lambda c: ratio(c.n_both, c.n_pred),
        "volume_error_ml": lambda c: (c.n_pred - c.n_gt) * c.voxel_ml,
        "volume_error": lambda c: ratio(c.n_pred - c.n_gt, c.n_gt),
        "volume_ratio": lambda c: ratio(c.n_pred, c.n_gt),
        "false_positive_ml": lambda c: (c.n_pred - c.n_both) * c.voxel_ml,
        "false_negative_ml": lambda c: (c.n_gt - c.n_both) * c.voxel_ml,
    }
)
