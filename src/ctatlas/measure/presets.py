"""Whose definitions are followed: each preset is a table of `data/presets.toml`.

    pair → what the tool looks at → counts, surfaces, … → rounding and its other habits → its policy for empty masks

A preset repeats what a tool says, mistakes included, so that published numbers can be made again. Its name stands with
every value, and values of two presets are never to be compared.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import cache, partial
from importlib import import_module
from importlib.resources import files
from types import MappingProxyType

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from ctatlas.errors import ModelError
from ctatlas.measure.counts import COUNT_METRICS, Counts
from ctatlas.measure.empty_masks import Policy, policy
from ctatlas.measure.metrics import Metric, metrics
from ctatlas.measure.pair import Masks, Pair

DEFAULT_PRESET = "surfel"
DEFAULT_METRICS = ("dsc", "nsd", "hd95", "assd")

Values = Mapping[tuple[str, float | None], float | None]
Family = Callable[[Pair, Sequence[Metric], Sequence[float]], Values]  # metric and tolerance -> value

# A new convention is a module and a line here. Imported on first use.
FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "borders": "ctatlas.measure.borders:measured",
        "boundary": "ctatlas.measure.boundary:measured",
        "counts": "ctatlas.measure.counts:measured",
        "surfels": "ctatlas.measure.surface:measured",
        "tubes": "ctatlas.measure.tubes:measured",
    }
)


class Preset(BaseModel):
    """A row of the table; what its fields mean is written there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    meaning: str
    source: str
    empty_masks: str
    families: dict[str, dict[str, str | float | bool]]
    metrics: tuple[str, ...] = ()
    tolerances: str = "default"
    spacing_mm: float | None = None
    labelled_slices_of: tuple[str, ...] = ()
    decimals: int | None = None
    nsd_needs_dsc: float = 0.0
    also_called: tuple[str, ...] = ()

    @property
    def policy(self) -> Policy:
        """What it says of masks without voxels."""
        return policy(self.empty_masks)

    @property
    def measurable(self) -> tuple[str, ...]:
        """The metrics that it has, in the order of the table of metrics."""
        return tuple(
            name for name, row in metrics().items() if row.needs in self.families and name in (self.metrics or (name,))
        )

    @property
    def default_metrics(self) -> tuple[str, ...]:
        """What is measured when nobody says what."""
        return tuple(name for name in DEFAULT_METRICS if name in self.measurable)

    def refuse_others(self, names: Iterable[str]) -> None:
        """Raise when a metric is not among those that the preset has.

        Raises
        ------
        ModelError
            One line with the preset's metrics.
        """
        if others := [name for name in names if name not in self.measurable]:
            raise ModelError(f"the preset {self.name} has no {others[0]}; it has {', '.join(self.measurable)}")

    def measure(self, pair: Pair, wanted: Sequence[Metric], tolerances_mm: Sequence[float]) -> Values:
        """Measure one structure.

        Returns
        -------
        mapping
            (metric, tolerance) -> value; None where it is not defined.
        """
        seen = self._seen(pair)
        values: dict[tuple[str, float | None], float | None] = {}
        for needs in self.families:
            if of_family := [metric for metric in wanted if metric.needs == needs]:
                values |= self._family(needs)(seen, of_family, tolerances_mm)
        return {
            (metric, tolerance): self.policy.settle(metric, pair.status, self._told(metric, value, seen.counts))
            for (metric, tolerance), value in values.items()
        }

    def _seen(self, pair: Pair) -> Pair:
        """Return what of a structure the tool looks at."""
        if pair.structure in self.labelled_slices_of and pair.counts.n_gt:
            pair = _labelled_slices(pair)
        if self.spacing_mm is not None:
            pair = replace(pair, spacing_mm=(self.spacing_mm,) * len(pair.spacing_mm))
        return pair

    def _told(self, metric: str, value: float | None, counts: Counts) -> float | None:
        """Return how the tool tells a value."""
        if value is None or not np.isfinite(value):
            return None
        if metric == "nsd" and self.nsd_needs_dsc and (COUNT_METRICS["dsc"](counts) or 0.0) < self.nsd_needs_dsc:
            return 0.0
        return value if self.decimals is None else round(value, self.decimals)

    def _family(self, needs: str) -> Family:
        options = dict(self.families[needs])
        module, _, function = FAMILIES[str(options.pop("function"))].partition(":")
        return partial(getattr(import_module(module), function), **options)


def preset_called(name: str) -> Preset:
    """Return a preset by its name.

    Raises
    ------
    ModelError
        When there is none of that name.

    Examples
    --------
    >>> preset_called("nnunet").measurable, preset_called("flare").name
    (('dsc', 'iou'), 'flare24')
    """
    if name in presets():
        return presets()[name]
    if found := [each for each in presets().values() if name in each.also_called]:
        return found[0]
    near = get_close_matches(name, presets(), n=1)
    hint = f"{near[0]}?" if near else f"there are {', '.join(presets())}"
    raise ModelError(f"no preset {name!r}; {hint}")


@cache
def presets() -> Mapping[str, Preset]:
    """Return all presets by name, ours first.

    Raises
    ------
    ModelError
        When the table is not in order; every fault is named.
    """
    text = files("ctatlas.measure").joinpath("data", "presets.toml").read_text(encoding="utf-8")
    found, faults = {}, []
    for name, row in tomllib.loads(text).items():
        try:
            found[name] = Preset(name=name, **row)
            faults += _faults(found[name])
        except (ValidationError, ModelError) as fault:
            faults.append(f"{name}: {fault}")
    if faults:
        raise ModelError(f"measure/data/presets.toml: {'; '.join(faults)}")
    return MappingProxyType(found)


def _faults(row: Preset) -> list[str]:
    faults = [f"{row.name}: no family {one}" for one in _functions(row) if one not in FAMILIES]
    faults += [f"{row.name}: no family measures {one}" for one in row.metrics if one not in row.measurable]
    silent = set(row.measurable) - row.policy.metrics
    return faults + [f"{row.name}: the policy {row.empty_masks} says nothing of {one}" for one in sorted(silent)]


def _functions(row: Preset) -> list[str]:
    return [str(told.get("function")) for told in row.families.values()]


def _labelled_slices(pair: Pair) -> Pair:
    """Keep the slices from the first with the reference up to the last, which is left out.

    Source: FLARE22_DSC_NSD_Eval.py, which means to keep the last one, too: `[:, :, z_lower:z_upper]`.
    """
    labelled = np.flatnonzero(pair.gt.any(axis=(0, 1)))
    part = (slice(None), slice(None), slice(int(labelled[0]), int(labelled[-1])))
    gt, pred = pair.gt[part], pair.pred[part]
    counts = replace(
        pair.counts,
        n_gt=int(np.count_nonzero(gt)),
        n_pred=int(np.count_nonzero(pred)),
        n_both=int(np.count_nonzero(gt & pred)),
    )
    start = (*pair.start[:2], pair.start[2] + int(labelled[0]))
    return replace(pair, counts=counts, cut_out=lambda: Masks(gt, pred, start), find_surfels=None)
