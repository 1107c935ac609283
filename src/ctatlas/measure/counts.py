"""Metrics that need no more than three counts of voxels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctatlas.measure.metrics import Metric
    from ctatlas.measure.pair import Pair
    from ctatlas.measure.presets import Values


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


def measured(
    pair: Pair, wanted: Sequence[Metric], _tolerances_mm: Sequence[float], *, smoothing: float = 0.0
) -> Values:
    """Measure by counting.

    Parameters
    ----------
    pair, wanted
        As every family of metrics.
    smoothing : float
        Added under the DSC, so that a perfect one stays below 1. Source: SuPreM `dice_score`, TotalSegmentator
        `evaluate.py`.
    """
    values: dict[tuple[str, float | None], float | None] = {
        (metric.name, None): COUNT_METRICS[metric.name](pair.counts) for metric in wanted
    }
    if smoothing and ("dsc", None) in values:
        counts = pair.counts
        values["dsc", None] = 2 * counts.n_both / (counts.n_gt + counts.n_pred + smoothing)
    return values
