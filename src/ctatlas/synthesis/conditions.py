"""What sets some people apart: age, girth, organs removed, fluid, gas, metal."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from ctatlas.errors import ModelError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Condition:
    """One row of `conditions.csv`: the share of people who have it, what it takes away, and whom it can strike."""

    share: float
    removes: tuple[str, ...]
    sex: str
    meaning: str


@cache
def conditions() -> Mapping[str, Condition]:
    """Return every condition by its name."""
    text = files("ctatlas.synthesis").joinpath("data", "conditions.csv").read_text(encoding="utf-8")
    return {
        row["condition"]: Condition(float(row["share"]), tuple(row["removes"].split()), row["sex"], row["meaning"])
        for row in csv.DictReader(text.splitlines())
    }


def draw_conditions(rng: np.random.Generator, sex: str) -> frozenset[str]:
    """Draw a person's conditions, each by its own share."""
    lots = rng.random(len(conditions()))
    return frozenset(
        name
        for (name, condition), lot in zip(conditions().items(), lots, strict=True)
        if lot < condition.share and condition.sex in ("", sex)
    )


def known_conditions(names: Collection[str]) -> frozenset[str]:
    """Return the names as a set.

    Raises
    ------
    ModelError
        When one is no condition.
    """
    if unknown := sorted(set(names) - conditions().keys()):
        raise ModelError(f"no condition {', '.join(unknown)}; known: {', '.join(conditions())}")
    return frozenset(names)


def removed(names: Collection[str]) -> frozenset[str]:
    """Return the organs that conditions take away."""
    return frozenset(organ for name in names for organ in conditions()[name].removes)
