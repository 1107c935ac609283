"""How well predicted volumes agree with those of the references, over cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ctatlas.measure.agreement import Limits, concordance, limits_of_agreement
from ctatlas.measure.intervals import Interval, bootstrap
from ctatlas.volume import Segmentation

VOLUMES = "volumes.csv"
ASKED_BY = "volume_error_ml"  # whoever asks for this metric gets the table, too
_SEED = 0


@dataclass(frozen=True, slots=True)
class VolumePair:
    """Both volumes of a structure in one case, in mL."""

    case: str
    structure: str
    gt_ml: float
    pred_ml: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How volumes of a structure agree.

    Attributes
    ----------
    structure : str
    n : int
        Cases in which the reference or the prediction has it; a missed one has 0 mL.
    concordance : float or None
        Lin's.
    concordance_interval : Interval or None
        Of a bootstrap of patients.
    limits : Limits or None
        Of predicted minus reference volume; None of fewer than three cases.
    """

    structure: str
    n: int
    concordance: float | None
    concordance_interval: Interval | None
    limits: Limits | None


def volumes_of(case: str, gt: Segmentation, pred: Segmentation, names: Iterable[str]) -> tuple[VolumePair, ...]:
    """Return both volumes of every structure that either side has."""
    n_gt, n_pred, voxel_ml = gt.n_voxels(), pred.n_voxels(), gt.grid.voxel_ml
    return tuple(
        VolumePair(case, name, n_gt[name] * voxel_ml, n_pred[name] * voxel_ml)
        for name in names
        if n_gt[name] or n_pred[name]
    )


def agreements(pairs: Iterable[VolumePair], patients: Mapping[str, str]) -> tuple[Agreement, ...]:
    """Compare volumes, structure by structure; `patients` says whose each case is."""
    of_each: dict[str, list[VolumePair]] = {}
    for pair in pairs:
        of_each.setdefault(pair.structure, []).append(pair)
    rng = np.random.default_rng(_SEED)
    return tuple(_agreement(name, own, patients, rng) for name, own in of_each.items())


def volume_table(found: Sequence[Agreement]) -> tuple[Sequence[str], list[tuple[object, ...]]]:
    """Return columns and rows of `volumes.csv`."""
    ends = ("", "_low", "_high")
    columns = ["structure", "n", *(f"concordance{end}" for end in ends), "sd_ml"]
    columns += [f"{name}_ml{end}" for name in ("bias", "lower_limit", "upper_limit") for end in ends]
    return columns, [_row(each) for each in found]


def _agreement(
    name: str, pairs: Sequence[VolumePair], patients: Mapping[str, str], rng: np.random.Generator
) -> Agreement:
    gt, pred = (np.array([getattr(pair, side) for pair in pairs]) for side in ("gt_ml", "pred_ml"))
    value = concordance(gt, pred)
    whose = [patients.get(pair.case, pair.case) for pair in pairs]
    interval = bootstrap(lambda rows: concordance(gt[rows], pred[rows]), whose, rng) if np.isfinite(value) else None
    return Agreement(name, len(pairs), value if np.isfinite(value) else None, interval, limits_of_agreement(gt, pred))


def _row(each: Agreement) -> tuple[object, ...]:
    limits, around = each.limits, each.concordance_interval
    head = (each.structure, each.n, each.concordance, *((around.low, around.high) if around else (None, None)))
    if limits is None:
        return (*head, *(None,) * 10)
    three = (
        (limits.bias, limits.bias_interval),
        (limits.low, limits.low_interval),
        (limits.high, limits.high_interval),
    )
    return (*head, limits.sd, *(cell for value, ends in three for cell in (value, ends.low, ends.high)))
