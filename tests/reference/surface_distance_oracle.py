"""DeepMind's surface-distance, asked for everything it says of two masks."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from unittest.mock import patch

import numpy as np


def told(gt: np.ndarray, pred: np.ndarray, spacing_mm: Sequence[float], tolerances_mm: Sequence[float]) -> dict:
    """Return metric -> value, or (metric, tolerance) -> value.

    Its release on PyPI says `np.Inf`, which NumPy 2 does not know, and uses names that SciPy is about to drop.
    """
    import surface_distance

    with warnings.catch_warnings(), patch.object(np, "Inf", np.inf, create=True):
        warnings.simplefilter("ignore")
        found = surface_distance.compute_surface_distances(gt, pred, spacing_mm)
        away, back = surface_distance.compute_average_surface_distance(found)
        values: dict = {
            "dsc": surface_distance.compute_dice_coefficient(gt, pred),
            "hd": surface_distance.compute_robust_hausdorff(found, 100),
            "hd95": surface_distance.compute_robust_hausdorff(found, 95),
            "asd_gt_to_pred": away,
            "asd_pred_to_gt": back,
        }
        for tolerance in tolerances_mm:
            overlap = surface_distance.compute_surface_overlap_at_tolerance(found, tolerance)
            values["nsd", tolerance] = surface_distance.compute_surface_dice_at_tolerance(found, tolerance)
            values["surface_overlap_gt", tolerance], values["surface_overlap_pred", tolerance] = overlap
    return values


def distances(gt: np.ndarray, pred: np.ndarray, spacing_mm: Sequence[float]) -> dict[str, np.ndarray]:
    """Return its sorted distances and areas in both directions."""
    import surface_distance

    with warnings.catch_warnings(), patch.object(np, "Inf", np.inf, create=True):
        warnings.simplefilter("ignore")
        found: dict[str, np.ndarray] = surface_distance.compute_surface_distances(gt, pred, spacing_mm)
    return found
