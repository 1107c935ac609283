"""The file that a card names: there, and the one that it means."""

from __future__ import annotations

from pathlib import Path

from ctatlas.errors import ModelError
from ctatlas.hashing import sha256_bytes, sha256_file
from ctatlas.models.cards import ModelCard


def checked_bytes(card: ModelCard, folder: Path) -> bytes:
    """Read a card's weights, whose hash was compared.

    Raises
    ------
    ModelError
        When the file is missing, or is not the one that the card, or the record beside it, names by its hash.
    """
    path = folder / card.weights.file
    try:
        weights = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None
    _compare(path, sha256_bytes(weights), card)
    return weights


def checked_path(card: ModelCard, folder: Path) -> Path:
    """Return the path of a card's weights, whose hash was compared; for files that are read as they are used.

    Raises
    ------
    ModelError
        As `checked_bytes`.
    """
    path = folder / card.weights.file
    try:
        found = sha256_file(path)
    except OSError as error:
        raise _unreadable(path, error) from None
    _compare(path, found, card)
    return path


def _unreadable(path: Path, error: OSError) -> ModelError:
    return ModelError(f"{path}: weights can't be read: {error.strerror}; get the model again")


def _compare(path: Path, found: str, card: ModelCard) -> None:
    if card.weights.sha256 is None:
        raise ModelError(
            f"{path}: neither its card nor a record beside it says the sha256 of these weights; "
            f"'ctatlas models import {path.parent}' records it"
        )
    if found != card.weights.sha256:
        raise ModelError(
            f"{path}: sha256 is {found[:12]}…, its card says {card.weights.sha256[:12]}…: "
            "the file is damaged or of another version; get the model again"
        )
