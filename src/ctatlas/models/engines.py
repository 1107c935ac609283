"""What a network runs on: as told, as the settings say, or as was measured on machines of this kind."""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.errors import ModelError
from ctatlas.models.backends.cpu import instructions, need_bf16
from ctatlas.models.cards import ModelCard
from ctatlas.models.kinds import BACKENDS, TORCH_BACKENDS, backend, torch_backend
from ctatlas.models.model import Backend
from ctatlas.settings import settings

if TYPE_CHECKING:
    from ctatlas.models.backends.torch import TorchNetwork

NAMES = (*BACKENDS, *TORCH_BACKENDS)
# What runs each sort of weights: ONNX files need an engine for these, networks in memory can be converted for one.
RUNS = {"onnx": tuple(BACKENDS), "torch": NAMES, "nnunet": NAMES}
_AT_MOST_OTHER_LABELS = 1e-4
_NATIVE = {"onnx": "onnxruntime", "torch": "torch", "nnunet": "torch"}


def chosen(weights: str, asked: str | None = None) -> str:
    """Return the name of the backend for a network.

    Parameters
    ----------
    weights : {"onnx", "torch", "nnunet"}
        What its weights are.
    asked : str, optional
        What the caller wants; unless told, what the settings say, where that runs such weights without converting
        them; else the `fastest`.

    Raises
    ------
    ModelError
        When there is no such backend, it doesn't run such weights, or it wants a processor that this one is not.
    """
    wanted = settings().backend
    for name in filter(None, (asked, wanted)):
        if name not in NAMES:
            raise ModelError(f"no backend {name!r}; known: {', '.join(NAMES)}")
    if asked and asked not in RUNS[weights]:
        raise ModelError(f"{weights} weights run on {', '.join(RUNS[weights])}, not on {asked}")
    name = asked or (wanted if wanted in _as_it_is(weights) else fastest(weights))
    if name.endswith("-bf16"):
        need_bf16(name)
    return name


def fastest(weights: str) -> str:
    """Return the backend that was measured to be fastest for such weights, of those that are installed.

    Only on processors with the instructions of the measured one, only what needs no conversion, and only what changes
    next to no label (`measured.csv` says how many); else what the weights are made for.
    """
    able = _as_it_is(weights)
    rows = [
        row
        for row in _measured()
        if row["weights"] == weights
        and row["instructions"] in instructions()
        and row["backend"] in able
        and float(row["label_difference"]) <= _AT_MOST_OTHER_LABELS
        and find_spec(row["backend"].partition("-")[0])
    ]
    best = min(rows, key=lambda row: float(row["cpu_s"]), default=None)
    return best["backend"] if best else _NATIVE[weights]


def _as_it_is(weights: str) -> tuple[str, ...]:
    """Return the backends that run such weights without converting them."""
    return tuple(BACKENDS if weights == "onnx" else TORCH_BACKENDS)


@lru_cache(maxsize=1)
def _measured() -> tuple[dict[str, str], ...]:
    with Path(__file__).with_name("measured.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file, strict=True))


def backend_of(card: ModelCard, asked: str | None = None) -> str:
    """Return the name of the backend that a model runs on, as `chosen`; nothing is opened."""
    return chosen(card.weights.loader if card.weights.loader in RUNS else "torch", asked)


def open_onnx(weights: bytes, asked: str | None = None) -> Backend:
    """Open the bytes of an ONNX file in a backend.

    Raises
    ------
    ModelError
        When the bytes are no network, or the backend runs no ONNX.
    """
    return backend(chosen("onnx", asked))(weights, settings().threads)


def open_torch(
    network: TorchNetwork, asked: str | None, window: tuple[int, int, int], weights: str = "torch"
) -> Backend:
    """Make a torch network ready to run in a backend, converted for windows of a shape where that is needed.

    Raises
    ------
    ModelError
        When there is no such backend, or the network can't be converted for it.
    """
    name = chosen(weights, asked)
    if name in TORCH_BACKENDS:
        ends = (network.n_channels, network.n_classes)
        return torch_backend(name)(network.network, ends, settings().threads)
    from ctatlas.models.conversion import onnx_bytes

    return backend(name)(onnx_bytes(network, window), settings().threads)
