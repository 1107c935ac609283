"""A case: every structure of a reference against the prediction of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ctatlas.errors import ModelError
from ctatlas.measure.metrics import Metric, chosen_metrics
from ctatlas.measure.pairing import pairs, pairs_of_label_maps
from ctatlas.measure.presets import DEFAULT_PRESET, Preset, Values, preset_called
from ctatlas.measure.records import Measurement, Status
from ctatlas.volume import Segmentation

if TYPE_CHECKING:
    import numpy as np

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
    chosen, wanted = _chosen(preset, metrics)
    names = gt.names if structures is None else tuple(dict.fromkeys(structures))
    if unknown := [name for name in names if name not in gt.names]:
        raise ModelError(f"the reference has no structure {unknown[0]!r}; it has {', '.join(gt.names) or 'none'}")
    _refuse_odd_tolerances(tolerances)
    matches = gt.grid.is_like(pred.grid)
    shared = [name for name in names if name in pred.names] if matches else []
    found = {}
    for pair in pairs(gt, pred, shared):
        within = _of(tolerances, pair.structure)
        values = chosen.measure(pair, wanted, within)
        found[pair.structure] = _rows((case, pair.structure, chosen.name, pair.status), values, wanted, within)
    reason: Status = "missing_prediction" if matches else "geometry_mismatch"
    return [
        row
        for name in names
        for row in found.get(name) or _rows((case, name, chosen.name, reason), {}, wanted, _of(tolerances, name))
    ]


def measure_label_maps(
    gt: np.ndarray,
    pred: np.ndarray,
    spacing_mm: Sequence[float],
    names: Mapping[int, str],
    *,
    metrics: Iterable[str] | None = None,
    tolerances: Tolerances = DEFAULT_TOLERANCES_MM,
    preset: str = DEFAULT_PRESET,
) -> list[Measurement]:
    """Measure two label maps, volumes or pictures, without making a mask of any structure.

    Parameters
    ----------
    gt, pred : (i, j, k) or (i, j) uint8 or uint16
        Of one shape, and in one place: that can't be seen here.
    spacing_mm : (3,) or (2,) float
        Along the axes. A pixel of a picture counts as 1 mm thick in volumes.
    names : mapping of int to str
        Label -> structure; other labels don't matter.
    metrics, tolerances, preset
        As in `measure_case`.

    Returns
    -------
    list of Measurement
        By structure, metric and tolerance; the case is "".

    Raises
    ------
    ModelError
        When there is no such preset, it has no such metric, or a tolerance is not a length.
    ValueError
        When the maps don't fit each other or the spacing.

    Examples
    --------
    >>> import numpy as np
    >>> gt = np.zeros((9, 9), np.uint8)
    >>> gt[2:6, 2:6] = 1
    >>> pred = np.roll(gt, 1, axis=0)
    >>> rows = measure_label_maps(gt, pred, (0.5, 0.5), {1: "liver"}, metrics=["dsc", "hd"])
    >>> [(row.metric, row.value) for row in rows]
    [('dsc', 0.75), ('hd', 0.5)]
    """
    chosen, wanted = _chosen(preset, metrics)
    _refuse_odd_tolerances(tolerances)
    rows = []
    for pair in pairs_of_label_maps(gt, pred, spacing_mm, names):
        within = _of(tolerances, pair.structure)
        values = chosen.measure(pair, wanted, within)
        rows += _rows(("", pair.structure, chosen.name, pair.status), values, wanted, within)
    return rows


def _chosen(preset: str, metrics: Iterable[str] | None) -> tuple[Preset, tuple[Metric, ...]]:
    chosen = preset_called(preset)
    wanted = chosen_metrics(chosen.default_metrics if metrics is None else metrics)
    chosen.refuse_others(metric.name for metric in wanted)
    return chosen, wanted


def _rows(
    of: tuple[str, str, str, Status], values: Values, wanted: Sequence[Metric], tolerances_mm: Sequence[float]
) -> list[Measurement]:
    case, structure, preset, status = of
    keys = [
        (metric.name, tolerance)
        for metric in wanted
        for tolerance in (tolerances_mm if metric.takes_tolerance else (None,))
    ]
    return [Measurement(case, structure, *key, values.get(key), preset, status) for key in keys]


def _of(tolerances: Tolerances, structure: str) -> Sequence[float]:
    if isinstance(tolerances, Mapping):
        return tolerances.get(structure, DEFAULT_TOLERANCES_MM)
    return tolerances


def _refuse_odd_tolerances(tolerances: Tolerances) -> None:
    given = tolerances.values() if isinstance(tolerances, Mapping) else [tolerances]
    if odd := [value for values in given for value in values if not 0 <= value < float("inf")]:
        raise ModelError(f"a tolerance of {odd[0]} mm; expected a length of at least 0 mm")
