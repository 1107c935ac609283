"""Checkpoints of the Universal Model family: Universal Model, SuPreM, continual learning, in each of their layouts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ctatlas.models.cards import ModelCard
from ctatlas.models.loaders.networks import Opened, model_of, open_network
from ctatlas.models.loaders.weights import checked_path
from ctatlas.models.model import Model

# The family was trained with MONAI 0.9.
PATCH_MERGING = "monai<1.5"


def load(card: ModelCard, folder: Path, backend: str | None = None) -> Model:
    """Read a card's weights and give them to the network they belong to.

    Raises
    ------
    ModelError
        When the file is missing or another one, is no checkpoint, holds code, doesn't fit its card, or can't run on
        the backend.
    """
    path = checked_path(card, folder)
    return model_of(card, path, open_checkpoint(path, card), backend)


def open_checkpoint(path: Path, card: ModelCard | None = None, options: Mapping[str, object] | None = None) -> Opened:
    """Open a checkpoint, by its card or by options that stand for one, with the account of its weights.

    Raises
    ------
    ModelError
        As `load`.
    """
    return open_network(path, card, options, {"swin-unetr": {"patch_merging": PATCH_MERGING}})
