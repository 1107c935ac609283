"""From a checkpoint to a network with its weights: recognised, compared with its card, filled, accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ctatlas.errors import ModelError
from ctatlas.models.backends.torch import TorchNetwork
from ctatlas.models.cards import ModelCard
from ctatlas.models.engines import open_torch
from ctatlas.models.loaders.checkpoint import read_checkpoint
from ctatlas.models.loaders.layouts import Layout, Options, build, layout_of, normalised
from ctatlas.models.loaders.matching import Account, fill
from ctatlas.models.model import Model
from ctatlas.models.networks.swin import PATCH_MERGINGS

# What a trunk's weights don't show, so that the card says it: option → trunk.
_UNSEEN = {"patch_merging": "swin-unetr", "n_heads": "unetr", "groups": "segresnet"}


@dataclass(frozen=True, slots=True)
class Opened:
    """A network that runs, what it was recognised as, and what became of the file's entries."""

    backend: TorchNetwork
    layout: Layout
    account: Account


def open_network(
    path: Path,
    card: ModelCard | None = None,
    options: Mapping[str, object] | None = None,
    defaults: Mapping[str, Options] | None = None,
) -> Opened:
    """Recognise a checkpoint's network and give it its weights, by name and shape.

    Parameters
    ----------
    path : Path
        A torch checkpoint.
    card : ModelCard, optional
        What it should be; its `network` tells what weights don't show.
    options : mapping, optional
        What weights don't show, said without a card.
    defaults : mapping, optional
        Trunk → options that weights don't show, where the card doesn't say them either.

    Raises
    ------
    ModelError
        When the file is no checkpoint, holds code, another network than the card says, or entries that don't fit.
    """
    state = normalised(read_checkpoint(path))
    try:
        layout = _completed(layout_of(state), card, options or {}, defaults or {})
        if card and (faults := _misfits(card, layout)):
            raise ModelError(f"does not fit its card: {'; '.join(faults)}")
        with torch.device("meta"):  # no memory before names and shapes have been compared
            network = build(layout)
        account = fill(network, state)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    return Opened(TorchNetwork(network, layout.n_inputs, layout.n_classes), layout, account)


def model_of(card: ModelCard, path: Path, opened: Opened, backend: str | None = None) -> Model:
    """Put card and network together, in a backend.

    Raises
    ------
    ModelError
        When the card's windows are none that the network can take, or the backend can't run it.
    """
    step = int(getattr(opened.backend.network, "multiple_of", 1))
    if any(size % step for size in card.window.shape):
        raise ModelError(
            f"{path}: does not fit its card: a {opened.layout.kind} takes windows whose sides are multiples of {step}, "
            f"the card says {card.window.shape}"
        )
    try:
        return Model(card, open_torch(opened.backend, backend, card.window.shape))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def _completed(
    layout: Layout, card: ModelCard | None, options: Mapping[str, object], defaults: Mapping[str, Options]
) -> Layout:
    """Add what the weights don't show."""
    said = dict(options) | (dict(card.network.options) if card and card.network else {})
    allowed = {name for name, trunk in _UNSEEN.items() if trunk == layout.trunk}
    if unknown := sorted(set(said) - allowed):
        raise ModelError(
            f"options that a {layout.trunk} doesn't take: {', '.join(unknown)}; "
            f"it takes {', '.join(sorted(allowed)) or 'none'}, the rest is read off the weights"
        )
    full = dict(defaults.get(layout.trunk, {})) | said
    if layout.trunk == "unetr" and card:
        full["window"] = card.window.shape
    if layout.trunk == "swin-unetr" and full.get("patch_merging") not in PATCH_MERGINGS:
        raise ModelError(
            "the weights of a Swin UNETR don't show which patch merging they were trained with; expected "
            f"network.options.patch_merging in its card, one of {', '.join(PATCH_MERGINGS)}, "
            f"found {full.get('patch_merging')!r}"
        )
    return replace(layout, options=layout.options | full)


def _misfits(card: ModelCard, layout: Layout) -> list[str]:
    pairs = [
        ("network", layout.kind, card.network.kind if card.network else layout.kind),
        ("channels", layout.n_inputs, len(card.input.channels)),
        ("classes", layout.n_classes, len(card.classes)),
    ]
    return [f"{what}: {found} in the file, {said} on the card" for what, found, said in pairs if found != said]
