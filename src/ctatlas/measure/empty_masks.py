"""What a metric is worth where the reference, the prediction or both have no voxels: one table, a policy a name.

Tools differ here more than anywhere else, and a mean over cases turns on it: whoever leaves a missed organ out
improves by missing it. The policy is therefore part of every preset, and every row of a result says by its status what
was there.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

from ctatlas.errors import ModelError
from ctatlas.measure.records import Status

Word = Literal["computed", "undefined", "infinite"]

_STATUSES: tuple[Status, ...] = ("pred_absent", "gt_absent", "both_absent")
_WORDS: tuple[Word, ...] = ("computed", "undefined", "infinite")
_WHERE = "measure/data/empty_masks.csv"


@dataclass(frozen=True, slots=True)
class Policy:
    """What one tool says of masks without voxels.

    Attributes
    ----------
    name : str
    rules : mapping
        (metric, status) -> a number; or "computed" where the formula is applied all the same, "undefined" where there
        is no value, "infinite" where the tool says so.
    """

    name: str
    rules: Mapping[tuple[str, Status], float | Word]

    @property
    def metrics(self) -> frozenset[str]:
        """The metrics that it speaks of."""
        return frozenset(metric for metric, _ in self.rules)

    def settle(self, metric: str, status: Status, computed: float | None) -> float | None:
        """Return the value of a metric by what is there; None where it is undefined or infinite.

        Raises
        ------
        KeyError
            When the policy does not speak of the metric.
        """
        if status not in _STATUSES:
            return computed
        rule = self.rules[metric, status]
        if isinstance(rule, float):
            return rule
        return computed if rule == "computed" else None


def policy(name: str) -> Policy:
    """Return a policy by its name.

    Raises
    ------
    ModelError
        When there is none of that name.

    Examples
    --------
    >>> policy("ctatlas").settle("dsc", "gt_absent", None), policy("monai").settle("dsc", "gt_absent", None)
    (0.0, None)
    """
    if name not in policies():
        raise ModelError(f"no policy for empty masks is called {name!r}; there are {', '.join(policies())}")
    return policies()[name]


@cache
def policies() -> Mapping[str, Policy]:
    """Return all policies by name.

    Raises
    ------
    ModelError
        When the table is not in order; every fault is named.
    """
    text = files("ctatlas.measure").joinpath("data", "empty_masks.csv").read_text(encoding="utf-8")
    return _policies(csv.DictReader(text.splitlines(), strict=True))


def _policies(rows: Iterable[Mapping[str, str]]) -> Mapping[str, Policy]:
    found: dict[str, dict[tuple[str, Status], float | Word]] = {}
    faults = []
    for row in rows:
        rules = found.setdefault(row["policy"], {})
        for metric in row["metrics"].split(";"):
            if (metric, _STATUSES[0]) in rules:
                faults.append(f"{row['policy']} gives {metric} twice")
            rules |= {(metric, status): _rule(row[status]) for status in _STATUSES}
        if not row["source"]:
            faults.append(f"a row of {row['policy']} has no source")
    if faults:
        raise ModelError(f"{_WHERE}: {'; '.join(faults)}")
    return MappingProxyType({name: Policy(name, MappingProxyType(rules)) for name, rules in found.items()})


def _rule(cell: str) -> float | Word:
    for word in _WORDS:
        if cell == word:
            return word
    try:
        return float(cell)
    except ValueError:
        raise ModelError(f"{_WHERE}: {cell!r} is neither a number nor one of {', '.join(_WORDS)}") from None
