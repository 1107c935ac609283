"""DeepMind's surface-distance, asked for everything it says of two masks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np


def told(gt: np.ndarray, pred: np.ndarray, spacing_mm: Sequence[float], tolerances_mm: Sequence[float]) -> dict:
    """Return metric -> value, or (metric, tolerance) -> value.

    Its release on PyPI says `np.Inf` and `np.NaN`, which NumPy 2 does not know, and old names of SciPy.
    """
    import surface_distance

    with _as_before_numpy_2():
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

    with _as_before_numpy_2():
        found: dict[str, np.ndarray] = surface_distance.compute_surface_distances(gt, pred, spacing_mm)
    return found


@contextmanager
def _as_before_numpy_2() -> Iterator[None]:
    with (
        warnings.catch_warnings(),
        np.errstate(invalid="ignore"),
        patch.multiple(np, Inf=np.inf, NaN=np.nan, create=True),
    ):
        warnings.simplefilter("ignore")
        yield
