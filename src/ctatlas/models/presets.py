"""Presets: whose windows, overlap, sampling, threshold and clean-up a model is run with."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ctatlas.errors import ModelError
from ctatlas.models.cards import ModelCard, Rule

_TABLE = Path(__file__).parent / "presets.toml"


class Preset(BaseModel):
    """A row of `presets.toml`: what it says replaces what a card says, what it leaves out stays.

    Attributes
    ----------
    about, source : str
    pipelines : tuple of str
        The kinds of models it is for.
    window : tuple of int, optional
    overlap, threshold : float, optional
    scheme, sampling : str, optional
    rules : str, optional
        A table of anatomical rules; "" is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    pipelines: tuple[Literal["ctatlas", "nnunet"], ...] = ("ctatlas",)
    window: tuple[int, int, int] | None = None
    overlap: Annotated[float, Field(ge=0, lt=1)] | None = None
    scheme: Literal["ctatlas", "monai-0.9", "nnunet"] | None = None
    sampling: Literal["filtered", "points"] | None = None
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = None
    rules: str | None = None

    def applied(self, card: ModelCard) -> ModelCard:
        """Return the card with what the preset says."""
        windows = {"shape": self.window, "overlap": self.overlap, "scheme": self.scheme}
        changes: dict[str, object] = {
            "window": card.window.model_copy(update=_said(windows)),
            "input": card.input.model_copy(update=_said({"sampling": self.sampling})),
            **_said({"threshold": self.threshold}),
        }
        if self.rules is not None:
            table = Rule.model_validate({"kind": "table", "name": self.rules, "source": self.source})
            changes["rules"] = (table,) if self.rules else ()
        return card.model_copy(update=changes)


@cache
def presets() -> Mapping[str, Preset]:
    """Read the table of presets, by name."""
    table = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    return MappingProxyType(TypeAdapter(dict[str, Preset]).validate_python(table))


def preset_card(card: ModelCard, preset: str | None) -> ModelCard:
    """Return a card as a preset has it; without a preset as it is.

    Raises
    ------
    ModelError
        When there is no such preset, or it is none for a model of this kind.
    """
    if preset is None:
        return card
    if preset not in presets():
        raise ModelError(f"no preset {preset!r}; known: {', '.join(presets())}")
    found = presets()[preset]
    if card.pipeline not in found.pipelines:
        fitting = [name for name, each in presets().items() if card.pipeline in each.pipelines]
        raise ModelError(
            f"{card.name}: its plans say how a model of nnU-Net is run, not the preset {preset}; "
            f"for it there is {', '.join(fitting)}"
        )
    return found.applied(card)


def _said(values: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}
