"""Which steps of the repair are done, and the lengths that they go by: one table of ours, or what a person changed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ctatlas.errors import ModelError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Step(BaseModel):
    """A step, and whether it is done."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on: bool = True
    source: str = ""


class Vertebrae(_Step):
    """Pieces of vertebrae go to the vertebra that they belong to; vertebrae are numbered in order."""

    drop_below_mm3: Positive
    apart_mm: Positive


class Sides(_Step):
    """Ribs on the other side of the mid-sagittal plane than their name says take the other name."""

    tolerance_mm: Positive


class Fragments(_Step):
    """Pieces of one rib find each other, whatever number they bear."""

    drop_below_mm3: Positive
    near_mm: Positive
    gap_mm: Positive
    angle_deg: Positive


class Numbers(_Step):
    """Ribs take the number of the vertebra that they meet."""

    level_mm: Positive
    renumber_at_least: Positive
    long_mm: Positive


class Gaps(_Step):
    """What lacks between two pieces of one rib is filled."""

    bone_hu: float


class Joints(_Step):
    """What lacks between a rib and its vertebra is filled."""

    reach_mm: Positive
    attached_mm: tuple[Positive, Positive]
    extend_mm: Positive
    radius_mm: Positive
    bone_hu: float
    lung_hu: float


class Steps(BaseModel):
    """The steps of the repair of ribs and vertebrae, in the order in which they are done."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vertebrae: Vertebrae
    sides: Sides
    fragments: Fragments
    numbers: Numbers
    gaps: Gaps
    joints: Joints


@cache
def rib_steps() -> Steps:
    """Read `lengths.toml`."""
    table = files("ctatlas.anatomy_rules.ribs") / "lengths.toml"
    return Steps.model_validate(tomllib.loads(table.read_text(encoding="utf-8")))


def changed_steps(
    *, without: Iterable[str] = (), only: Iterable[str] = (), lengths: Mapping[str, float] | None = None
) -> Steps:
    """Return the steps with some left out, or only some done, or other numbers.

    Parameters
    ----------
    without, only : iterable of str
        Names of steps.
    lengths : mapping of str to float, optional
        ``{"joints.reach_mm": 50}``.

    Raises
    ------
    ModelError
        When there is no step or number of a name, or a number can't be.
    """
    content: dict[str, dict[str, Any]] = rib_steps().model_dump()
    left_out, asked = list(without), list(only)
    if unknown := [name for name in (*left_out, *asked) if name not in content]:
        raise ModelError(f"no step of the repair is called {unknown[0]!r}; there are {', '.join(content)}")
    for name, step in content.items():
        step["on"] = name not in left_out and (not asked or name in asked)
    for key, value in (lengths or {}).items():
        name, _, field = key.partition(".")
        numbers = [each for each, held in content.get(name, {}).items() if isinstance(held, float)]
        if field not in numbers:
            known = [
                f"{step}.{each}" for step, held in content.items() for each in held if isinstance(held[each], float)
            ]
            raise ModelError(f"the repair has no number {key!r}; it has {', '.join(known)}")
        content[name][field] = value
    try:
        return Steps.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ModelError(f"repair: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
