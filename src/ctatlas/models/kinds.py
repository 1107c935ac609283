"""Loaders and backends by name, resolved on first use so that nothing heavy is imported before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ctatlas.errors import InstallError, ModelError
from ctatlas.models.cards import ModelCard
from ctatlas.models.model import Backend, Model

if TYPE_CHECKING:
    from torch import nn

    from ctatlas.models.backends.torch import TorchNetwork
    from ctatlas.models.loaders.networks import Opened

LOADERS = {
    "monai": "ctatlas.models.loaders.monai:load",
    "nnunet": "ctatlas.models.loaders.nnunet:load",
    "onnx": "ctatlas.models.loaders.onnx:load",
    "universal": "ctatlas.models.loaders.universal:load",
}
# How loaders of checkpoints open a bare file, without a card.
CHECKPOINTS = {
    "monai": "ctatlas.models.loaders.monai:open_checkpoint",
    "universal": "ctatlas.models.loaders.universal:open_checkpoint",
}
# Engines that open the bytes of an ONNX file.
BACKENDS = {
    "onnxruntime": "ctatlas.models.backends.onnxruntime:open_session",
    "openvino": "ctatlas.models.backends.openvino:open_compiled",
    "openvino-bf16": "ctatlas.models.backends.openvino:open_in_bf16",
}
# Ways to run a torch network as it is.
TORCH_BACKENDS = {
    "torch": "ctatlas.models.backends.torch:open_network",
    "torch-channels-last": "ctatlas.models.backends.torch:open_channels_last",
    "torch-bf16": "ctatlas.models.backends.torch:open_in_bf16",
}

# Packages that the light install lacks, and the extras that bring them.
_EXTRAS = {"torch": "torch", "openvino": "openvino", "onnx": "train"}

Loader = Callable[[ModelCard, Path, str | None], Model]
CheckpointOpener = Callable[[Path, ModelCard | None, Mapping[str, object] | None], "Opened"]
BackendOpener = Callable[[bytes, int | None], Backend]
TorchOpener = Callable[["nn.Module", tuple[int | None, int | None], int | None], "TorchNetwork"]


def loader(kind: str) -> Loader:
    """Return the function that makes a model of a card, its folder and a backend's name, for one kind of weights."""
    return cast("Loader", _resolved("loader", kind, LOADERS))


def backend(kind: str) -> BackendOpener:
    """Return the function that opens the bytes of an ONNX file, with that many threads, in one engine."""
    return cast("BackendOpener", _resolved("backend", kind, BACKENDS))


def torch_backend(kind: str) -> TorchOpener:
    """Return the function that makes a torch network ready to run, with that many threads, in one way."""
    return cast("TorchOpener", _resolved("torch_backend", kind, TORCH_BACKENDS))


def checkpoint_opener(kind: str) -> CheckpointOpener:
    """Return the function that opens a bare checkpoint, for one kind of weights."""
    return cast("CheckpointOpener", _resolved("checkpoint", kind, CHECKPOINTS))


def _resolved(what: str, kind: str, ours: Mapping[str, str]) -> object:
    known = {point.name: point.value for point in entry_points(group=f"ctatlas.{what}s")} | dict(ours)
    if kind not in known:
        raise ModelError(f"no {what} {kind!r}; known: {', '.join(sorted(known))}")
    module, _, function = known[kind].partition(":")
    try:
        return getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        extra = f"pip install 'ctatlas[{_EXTRAS[error.name]}]'"
        raise InstallError(f"the {what} {kind!r} needs {error.name}, which is not installed: {extra}") from None
