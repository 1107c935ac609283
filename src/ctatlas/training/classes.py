"""The classes that the bundled network learns, what may be one of several of them, and how tissues map to both.

A target holds a code for every voxel: the channel of its class, or, where several classes come into question, the code
of their set; `IGNORED` is the set of all.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from ctatlas.errors import ModelError
from ctatlas.hashing import sha256_json
from ctatlas.synthesis.tables import tissues

IGNORED = 255
WHOLE = "whole"  # the field of view that leaves nothing out


@dataclass(frozen=True, slots=True)
class TrainedClass:
    """One output channel: the structures or tissues it is made of, its weight in the loss and among patch centres."""

    channel: int
    name: str
    made_of: tuple[str, ...]
    loss_weight: float
    centre_weight: float


def _rows(name: str) -> list[dict[str, str]]:
    text = files("ctatlas.training").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def trained_classes() -> tuple[TrainedClass, ...]:
    """Return the classes in channel order."""
    return tuple(
        TrainedClass(
            int(row["channel"]),
            row["name"],
            tuple(row["made_of"].split()),
            float(row["loss_weight"]),
            float(row["centre_weight"]),
        )
        for row in _rows("classes.csv")
    )


def out_of_view(field_of_view: str) -> tuple[str, ...]:
    """Return the classes that a field of view can't show: those of its row of `fields_of_view.csv`."""
    absent = {row["name"]: tuple(row["absent"].split()) for row in _rows("fields_of_view.csv")}
    return absent[field_of_view]


@cache
def _class_sets() -> Mapping[tuple[str, str], frozenset[int]]:
    """Return the channels of every class set by its name and the field of view; what is out of view is in none."""
    everything = frozenset(c.channel for c in trained_classes())
    found = {}
    for view in _rows("fields_of_view.csv"):
        absent = _channels(view["absent"])
        for row in _rows("class_sets.csv"):
            named = _channels(row["of"])
            found[row["name"], view["name"]] = (named if row["rule"] == "one_of" else everything - named) - absent
    return found


def _channels(names: str) -> frozenset[int]:
    channel_of = {c.name: c.channel for c in trained_classes()}
    if unknown := set(names.split()) - channel_of.keys():
        raise ModelError(f"tables of class sets: no such classes: {', '.join(sorted(unknown))}")
    return frozenset(channel_of[name] for name in names.split())


@cache
def set_codes() -> Mapping[tuple[str, str], int]:
    """Return the code of every class set by its name and the field of view."""
    n_classes = len(trained_classes())
    codes = {frozenset(range(n_classes)): IGNORED} | {frozenset([channel]): channel for channel in range(n_classes)}
    found = {key: codes.setdefault(members, IGNORED + n_classes - len(codes)) for key, members in _class_sets().items()}
    if len(codes) > IGNORED + 1:
        raise ModelError(f"tables of class sets: {len(codes)} classes and sets, at most {IGNORED + 1} have a code")
    return found


@cache
def channels_of_code() -> Mapping[int, tuple[int, ...]]:
    """Return the channels that come into question, for every code but `IGNORED`, where all do."""
    known = {c.channel: (c.channel,) for c in trained_classes()}
    sets = {set_codes()[key]: tuple(sorted(members)) for key, members in _class_sets().items()}
    return {code: members for code, members in (known | sets).items() if code != IGNORED}


@cache
def class_of_tissue() -> np.ndarray:
    """Return the (256,) uint8 look-up from tissue id to channel, or to the code of the classes it may be."""
    lookup = np.zeros(256, dtype=np.uint8)
    channel_of = {thing: c.channel for c in trained_classes() for thing in c.made_of}
    set_of = {
        tissue: set_codes()[row["name"], WHOLE] for row in _rows("class_sets.csv") for tissue in row["tissues"].split()
    }
    for tissue in tissues().values():
        if tissue.structure == "unknown":
            lookup[tissue.id] = set_of.get(tissue.name, IGNORED)
        else:
            lookup[tissue.id] = channel_of.get(tissue.structure) or channel_of.get(tissue.name, 0)
    lookup[IGNORED] = IGNORED
    return lookup


@cache
def key_of_tables() -> str:
    """Return a key of what labels and codes mean; it changes when tissues, classes or sets get other numbers."""
    sets = sorted(channels_of_code().items())
    return sha256_json([list(tissues()), [each.name for each in trained_classes()], sets])[:16]
