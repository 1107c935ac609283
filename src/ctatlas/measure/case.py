"""A case: every structure of a reference against the prediction of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType

from ctatlas.errors import ModelError
from ctatlas.measure.counts import COUNT_METRICS
from ctatlas.measure.metrics import Metric, chosen_metrics
from ctatlas.measure.pair import Pair, pairs
from ctatlas.measure.records import Measurement, Status
from ctatlas.volume import Segmentation

DEFAULT_METRICS = ("dsc", "nsd", "hd95", "assd")
DEFAULT_TOLERANCES_MM = (1.0,)
DEFAULT_PRESET = "surfel"

Tolerances = Sequence[float] | Mapping[str, Sequence[float]]
Values = Mapping[tuple[str, float | None], float | None]
Family = Callable[[Pair, Sequence[Metric], Sequence[float]], Values]  # metric and tolerance -> value


def _counted(pair: Pair, wanted: Sequence[Metric], _tolerances_mm: Sequence[float]) -> Values:
    return {(metric.name, None): COUNT_METRICS[metric.name](pair.counts) for metric in wanted}


# preset -> what a metric needs -> "module:function", imported on first use
PRESETS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {DEFAULT_PRESET: {"counts": "ctatlas.measure.case:_counted"}},
)


def measure_case(
    gt: Segmentation,
    pred: Segmentation,
    *,
    case: str,
    structures: Iterable[str] | None = None,
    metrics: Iterable[str] = DEFAULT_METRICS,
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
    metrics : iterable of str
        Names of `ctatlas.measure.metrics`.
    tolerances : sequence of float or mapping of str to sequence of float
        In mm, for all structures or structure by structure; a structure without any gets 1 mm.
    preset : str
        Whose definitions are followed.

    Returns
    -------
    list of Measurement
        By structure, metric and tolerance. All have the status "geometry_mismatch" when the grids differ, those of a
        structure that the prediction does not name "missing_prediction".

    Raises
    ------
    ModelError
        When there is no such metric or preset, a tolerance is not a length, or the reference has no such structure.
    """
    wanted, families = chosen_metrics(metrics), _families(preset)
    names = gt.names if structures is None else tuple(dict.fromkeys(structures))
    if unknown := [name for name in names if name not in gt.names]:
        raise ModelError(f"the reference has no structure {unknown[0]!r}; it has {', '.join(gt.names) or 'none'}")
    _refuse_odd_tolerances(tolerances)
    matches = gt.grid.is_like(pred.grid)
    shared = [name for name in names if name in pred.names] if matches else []
    found = {
        pair.structure: _measured(pair, wanted, _of(tolerances, pair.structure), families)
        for pair in pairs(gt, pred, shared)
    }
    reason: Status = "missing_prediction" if matches else "geometry_mismatch"
    rows = []
    for name in names:
        status, values = found.get(name, (reason, {}))
        for metric in wanted:
            for tolerance in _of(tolerances, name) if metric.takes_tolerance else (None,):
                value = values.get((metric.name, tolerance))
                rows.append(Measurement(case, name, metric.name, tolerance, value, preset, status))
    return rows


def _measured(
    pair: Pair, wanted: Sequence[Metric], tolerances_mm: Sequence[float], families: Mapping[str, Family]
) -> tuple[Status, Values]:
    values: dict[tuple[str, float | None], float | None] = {}
    for needs, family in families.items():
        if of_family := [metric for metric in wanted if metric.needs == needs]:
            values |= family(pair, of_family, tolerances_mm)
    return pair.status, values


def _families(preset: str) -> Mapping[str, Family]:
    if preset not in PRESETS:
        raise ModelError(f"no preset {preset!r}; there are {', '.join(PRESETS)}")
    found = {needs: address.split(":") for needs, address in PRESETS[preset].items()}
    return {needs: getattr(import_module(module), function) for needs, (module, function) in found.items()}


def _of(tolerances: Tolerances, structure: str) -> Sequence[float]:
    if isinstance(tolerances, Mapping):
        return tolerances.get(structure, DEFAULT_TOLERANCES_MM)
    return tolerances


def _refuse_odd_tolerances(tolerances: Tolerances) -> None:
    given = tolerances.values() if isinstance(tolerances, Mapping) else [tolerances]
    if odd := [value for values in given for value in values if not 0 <= value < float("inf")]:
        raise ModelError(f"a tolerance of {odd[0]} mm; expected a length of at least 0 mm")
