"""A torch network as the bytes of an ONNX file, for windows of one shape."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import nn

from ctatlas.errors import InstallError, ModelError
from ctatlas.models.backends.torch import TorchNetwork
from ctatlas.models.model import Backend
from ctatlas.models.networks.swin import relative_position_index, shift_regions

OPSET = 18


def onnx_bytes(network: TorchNetwork, window: tuple[int, int, int]) -> bytes:
    """Convert a network: input `windows` (1, channels, x, y, z) float32, output `logits` (1, classes, x, y, z).

    Weights and arithmetic stay float32. One window a call, of one shape: what follows from the shape is worked out
    once and for all, and engines can plan for it.

    Raises
    ------
    InstallError
        When the packages that convert are not installed.
    ModelError
        When an operation of the network has no counterpart in ONNX.
    """
    try:
        import onnxscript  # noqa: F401  what torch converts with
    except ModuleNotFoundError as error:
        raise InstallError(f"writing ONNX needs {error.name}: pip install 'ctatlas[train]'") from None
    example = torch.zeros(1, network.n_channels or 1, *window)
    try:
        with torch.inference_mode(mode=False), torch.no_grad(), _quiet():
            made = torch.onnx.export(
                network.network,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=["windows"],
                output_names=["logits"],
                verbose=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, ValueError, TypeError) as error:
        raise ModelError(f"can't be written as ONNX: {' '.join(str(error).split())[:300]}") from None
    finally:
        for kept in (relative_position_index, shift_regions):
            kept.cache_clear()  # what was computed while converting has no numbers in it
    if made is None:
        raise ModelError("can't be written as ONNX: torch gave nothing")
    written: bytes = made.model_proto.SerializeToString()
    return written


def mean_of(networks: Sequence[Backend]) -> Backend:
    """Return networks whose logits are averaged, as the folds of one model, as one."""
    if len(networks) == 1 or not all(isinstance(each, TorchNetwork) for each in networks):
        return networks[0]
    folds = [each for each in networks if isinstance(each, TorchNetwork)]
    return replace(folds[0], network=_Mean([each.network for each in folds]).eval())


class _Mean(nn.Module):
    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, x, y, z) → the mean of the logits (n, classes, x, y, z)."""
        total: torch.Tensor = self.networks[0](x)
        for network in self.networks[1:]:
            total = total + network(x)
        return total / len(self.networks)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what the converter says of packages that are not here and of its own future."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
