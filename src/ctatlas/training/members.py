"""The networks that are trained and kept, each by a row of `members.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from pydantic import TypeAdapter

from ctatlas.errors import ModelError
from ctatlas.training.loop import TrainConfig


@cache
def members() -> Mapping[str, TrainConfig]:
    """Return what decides each network's run, by its name."""
    table = tomllib.loads(files("ctatlas.training").joinpath("data", "members.toml").read_text(encoding="utf-8"))
    return TypeAdapter(dict[str, TrainConfig]).validate_python(table)


def member(name: str) -> TrainConfig:
    """Return what decides one network's run.

    Raises
    ------
    ModelError
        When there is none of that name.
    """
    if name not in members():
        raise ModelError(f"no network {name!r} is trained; known: {', '.join(members())}")
    return members()[name]
