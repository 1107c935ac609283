"""The networks that are trained and kept, each by a row of `members.toml`: the runs that make it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from pydantic import TypeAdapter

from ctatlas.errors import ModelError
from ctatlas.training.loop import TrainConfig


@cache
def members() -> Mapping[str, tuple[TrainConfig, ...]]:
    """Return what decides each network's runs, in their order, by its name."""
    table = tomllib.loads(files("ctatlas.training").joinpath("data", "members.toml").read_text(encoding="utf-8"))
    shared = {name: {key: value for key, value in row.items() if key != "runs"} for name, row in table.items()}
    runs = {name: [shared[name] | run for run in row["runs"]] for name, row in table.items()}
    return TypeAdapter(dict[str, tuple[TrainConfig, ...]]).validate_python(runs)


def member(name: str) -> tuple[TrainConfig, ...]:
    """Return what decides one network's runs: each but the first begins from the weights of the one before.

    Raises
    ------
    ModelError
        When there is none of that name.
    """
    if name not in members():
        raise ModelError(f"no network {name!r} is trained; known: {', '.join(members())}")
    return members()[name]
