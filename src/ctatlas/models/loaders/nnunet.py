"""Model folders of nnU-Net, with or without a card of their own."""

from __future__ import annotations

from pathlib import Path

from ctatlas.errors import ModelError
from ctatlas.models.cards import ModelCard
from ctatlas.models.model import Model
from ctatlas.models.nnunet import load_networks, open_folder


def load(card: ModelCard, folder: Path, backend: str | None = None) -> Model:
    """Read the weights of every fold and give them to the networks that plans tell.

    Raises
    ------
    ModelError
        When plans, labels or weights are missing or broken, hold code, or don't fit each other or the card; or
        when there is no such backend.
    """
    networks = load_networks(open_folder(folder), backend=backend)
    classes = len(card.classes)
    if networks.n_classes not in {None, classes}:
        raise ModelError(f"{folder}: gives {networks.n_classes} classes; its card promises {classes}")
    return Model(card, networks)
