"""ONNX files: checked against the card, then handed to a backend."""

from __future__ import annotations

from pathlib import Path

from ctatlas.errors import ModelError
from ctatlas.models.cards import ModelCard
from ctatlas.models.engines import open_onnx
from ctatlas.models.loaders.weights import checked_bytes
from ctatlas.models.model import Backend, Model


def load(card: ModelCard, folder: Path, backend: str | None = None) -> Model:
    """Read a card's weights and open them in a backend.

    Raises
    ------
    ModelError
        When the file is missing, is not the one the card names by its hash, or is no network of the card's shape.
    """
    path = folder / card.weights.file
    weights = checked_bytes(card, folder)
    try:
        engine = open_onnx(weights, backend)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    if faults := _misfits(card, engine):
        raise ModelError(f"{path}: does not fit its card: {'; '.join(faults)}")
    return Model(card, engine)


def _misfits(card: ModelCard, engine: Backend) -> list[str]:
    pairs = (
        ("channels", engine.n_channels, len(card.input.channels)),
        ("classes", engine.n_classes, len(card.classes)),
    )
    return [
        f"the network has {found} {what}, the card {expected}"
        for what, found, expected in pairs
        if found not in (None, expected)
    ]
