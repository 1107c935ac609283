"""The classes that the bundled network learns, and how tissues map to them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from ctatlas.synthesis.tables import tissues

IGNORED = 255


@dataclass(frozen=True, slots=True)
class TrainedClass:
    """One output channel: the structures or tissues it is made of, its weight in the loss and among patch centres."""

    channel: int
    name: str
    made_of: tuple[str, ...]
    loss_weight: float
    centre_weight: float


@cache
def trained_classes() -> tuple[TrainedClass, ...]:
    """Return the classes in channel order."""
    text = files("ctatlas.training").joinpath("data", "classes.csv").read_text(encoding="utf-8")
    return tuple(
        TrainedClass(
            int(row["channel"]),
            row["name"],
            tuple(row["made_of"].split()),
            float(row["loss_weight"]),
            float(row["centre_weight"]),
        )
        for row in csv.DictReader(text.splitlines())
    )


@cache
def class_of_tissue() -> np.ndarray:
    """Return the (256,) uint8 look-up from tissue id to channel; `IGNORED` for what could be one of several."""
    lookup = np.zeros(256, dtype=np.uint8)
    channel_of = {thing: c.channel for c in trained_classes() for thing in c.made_of}
    for tissue in tissues().values():
        if tissue.structure == "unknown":
            lookup[tissue.id] = IGNORED
        else:
            lookup[tissue.id] = channel_of.get(tissue.structure) or channel_of.get(tissue.name, 0)
    lookup[IGNORED] = IGNORED
    return lookup
