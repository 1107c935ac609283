"""How a network is shown a scan: as its card says, or a little altered, so that its answers can be compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.anatomy import structures
from ctatlas.errors import ModelError
from ctatlas.inference.prepare import Prepared

if TYPE_CHECKING:
    from ctatlas.models import ModelCard


@dataclass(frozen=True, slots=True)
class View:
    """What is altered before the network, and undone after it.

    Attributes
    ----------
    shift : (3,) float
        The network's grid lies so many of its voxels further along its axes.
    spacing : float
        The network's voxels are so many times as long as the card says.
    mirrored : bool
        The network sees left and right exchanged; its answers are turned back, classes of a side too.
    """

    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    spacing: float = 1.0
    mirrored: bool = False

    def card(self, card: ModelCard) -> ModelCard:
        """Return the card with the spacing of this view."""
        x, y, z = (mm * self.spacing for mm in card.input.spacing_mm)
        return card.model_copy(update={"input": card.input.model_copy(update={"spacing_mm": (x, y, z)})})

    def through(self, prepared: Prepared, card: ModelCard, predict: Callable[[Prepared], np.ndarray]) -> np.ndarray:
        """Show the network what was prepared; return its probabilities (c, x, y, z) as of the unaltered scan.

        Raises
        ------
        ModelError
            When the view is mirrored and the network is none for that; see `mirrored_channels`.
        """
        if not self.mirrored:
            return predict(prepared)
        side = next(axis for axis, letter in enumerate(card.input.orientation) if letter in "RL")
        channels = mirrored_channels(card)
        seen = replace(prepared, inputs=np.flip(prepared.inputs, 1 + side), body=np.flip(prepared.body, side))
        return np.flip(predict(seen), 1 + side)[channels]


AS_ITS_CARD_SAYS = View()


def mirrored_channels(card: ModelCard) -> list[int]:
    """Return for every channel the one that holds its structure in a mirrored scan.

    Raises
    ------
    ModelError
        When a class of one side has no class of the other, or the card does not say that the network was trained with
        mirrored scans: others look for the liver where they learnt it to be.
    """
    if card.training.get("mirroring") is not True:
        raise ModelError(
            f"{card.name}: can't be shown a mirrored scan: its card does not say that it was trained with such "
            "([training] mirroring = true)"
        )
    channel_of = {each.name: each.channel for each in card.classes}
    known = structures()
    partners = {name: known[name].partner or name for name in channel_of if name in known}
    if alone := [name for name, partner in partners.items() if partner not in channel_of]:
        raise ModelError(
            f"{card.name}: finds {', '.join(alone)} on one side only, so that it can't be shown a mirrored scan"
        )
    return [channel_of[partners.get(each.name, each.name)] for each in card.classes]
