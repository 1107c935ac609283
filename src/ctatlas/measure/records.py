"""What was measured: one row a case, structure, metric and tolerance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Status = Literal["ok", "gt_absent", "pred_absent", "both_absent", "missing_prediction", "geometry_mismatch"]

STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number, or why there is none.

    Attributes
    ----------
    case, structure : str
    metric : str
        A name of `ctatlas.measure.metrics`.
    tolerance_mm : float or None
        For metrics that take one.
    value : float or None
        A fraction, mm or mL, never a percentage; None when the metric is not defined here (a distance to a mask without
        voxels, 0/0). Never nan or infinite.
    implementation : str
        The convention that was followed, such as ``"surfel"`` or ``"monai"``.
    status : str
        "ok" when both masks have voxels; "gt_absent", "pred_absent" or "both_absent" when the reference, the prediction
        or both were looked for and have none; "missing_prediction" when there is no prediction of the structure or
        the case; "geometry_mismatch" when the two don't lie on one grid. The last two have no value.
    """

    case: str
    structure: str
    metric: str
    tolerance_mm: float | None
    value: float | None
    implementation: str
    status: Status


def status_of(n_gt: int, n_pred: int) -> Status:
    """Say by the voxels of a structure in the reference and in the prediction which of the two are there."""
    if n_gt:
        return "ok" if n_pred else "pred_absent"
    return "gt_absent" if n_pred else "both_absent"
