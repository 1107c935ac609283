"""A case: every structure of a reference against the prediction of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ctatlas.errors import ModelError
from ctatlas.measure.metrics import chosen_metrics
from ctatlas.measure.pair import pairs
from ctatlas.measure.presets import DEFAULT_PRESET, preset_called
from ctatlas.measure.records import Measurement, Status
from ctatlas.volume import Segmentation

DEFAULT_TOLERANCES_MM = (1.0,)

Tolerances = Sequence[float] | Mapping[str, Sequence[float]]


def measure_case(
    gt: Segmentation,
    pred: Segmentation,
    *,
    case: str,
    structures: Iterable[str] | None = None,
    metrics: Iterable[str] | None = None,
    tolerances: Tolerances = DEFAULT_TOLERANCES_MM,
    preset: str = DEFAULT_PRESET,
) -> list[Measurement]:
    """Measure how well a prediction meets a reference, structure by structure.

    Parameters
    ----------
    gt, pred : Segmentation
        Structures may overlap. A name without voxels was looked for and not found.
    case : str
        What the rows are to bear.
    structures : iterable of str, optional
        All of the reference by default.
    metrics : iterable of str, optional
        Names of `ctatlas.measure.metrics`; by default DSC, NSD, HD95 and ASSD as far as the preset has them.
    tolerances : sequence of float or mapping of str to sequence of float
        In mm, for all structures or structure by structure; a structure without any gets 1 mm.
    preset : str
        Whose definitions are followed: a name of `ctatlas.measure.presets`, which every row bears.

    Returns
    -------
    list of Measurement
        By structure, metric and tolerance. All have the status "geometry_mismatch" when the grids differ, those of a
        structure that the prediction does not name "missing_prediction".

    Raises
    ------
    ModelError
        When there is no such preset, it has no such metric, a tolerance is not a length, or the reference has no such
        structure.
    """
    chosen = preset_called(preset)
    wanted = chosen_metrics(chosen.default_metrics if metrics is None else metrics)
    chosen.refuse_others(metric.name for metric in wanted)
    names = gt.names if structures is None else tuple(dict.fromkeys(structures))
    if unknown := [name for name in names if name not in gt.names]:
        raise ModelError(f"the reference has no structure {unknown[0]!r}; it has {', '.join(gt.names) or 'none'}")
    _refuse_odd_tolerances(tolerances)
    matches = gt.grid.is_like(pred.grid)
    shared = [name for name in names if name in pred.names] if matches else []
    found = {
        pair.structure: (pair.status, chosen.measure(pair, wanted, _of(tolerances, pair.structure)))
        for pair in pairs(gt, pred, shared)
    }
    reason: Status = "missing_prediction" if matches else "geometry_mismatch"
    rows, nothing = [], dict[tuple[str, float | None], float | None]()
    for name in names:
        status, values = found.get(name, (reason, nothing))
        for metric in wanted:
            for tolerance in _of(tolerances, name) if metric.takes_tolerance else (None,):
                value = values.get((metric.name, tolerance))
                rows.append(Measurement(case, name, metric.name, tolerance, value, chosen.name, status))
    return rows


def _of(tolerances: Tolerances, structure: str) -> Sequence[float]:
    if isinstance(tolerances, Mapping):
        return tolerances.get(structure, DEFAULT_TOLERANCES_MM)
    return tolerances


def _refuse_odd_tolerances(tolerances: Tolerances) -> None:
    given = tolerances.values() if isinstance(tolerances, Mapping) else [tolerances]
    if odd := [value for values in given for value in values if not 0 <= value < float("inf")]:
        raise ModelError(f"a tolerance of {odd[0]} mm; expected a length of at least 0 mm")
