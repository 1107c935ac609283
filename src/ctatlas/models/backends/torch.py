"""torch on the CPU: window by window, so that a batch never changes a result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ctatlas.errors import ModelError


@dataclass(frozen=True, slots=True)
class TorchNetwork:
    """A network with its weights; see `ctatlas.models.model.Backend`.

    Attributes
    ----------
    network : nn.Module
        In float32.
    n_channels, n_classes : int or None
    workers : int
        One: torch shares a window among its own threads.
    threads : int or None
        How many those are; None: as many as torch takes.
    channels_last : bool
        Whether windows go in with their channels side by side in memory.
    bf16 : bool
        Whether convolutions and products are computed in bfloat16.
    """

    network: nn.Module
    n_channels: int | None
    n_classes: int | None
    workers: int = 1
    threads: int | None = None
    channels_last: bool = False
    bf16: bool = False

    def logits(self, windows: np.ndarray) -> np.ndarray:
        """Turn windows (n, channels, x, y, z) float32 into logits (n, classes, x, y, z) float32.

        Raises
        ------
        ModelError
            When the network cannot take windows of this shape.
        """
        step = int(getattr(self.network, "multiple_of", 1))
        if any(size % step for size in windows.shape[2:]):
            raise ModelError(
                f"the network takes windows whose sides are multiples of {step}; found {windows.shape[2:]}"
            )
        try:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.bf16), _on(self.threads):
                found = [self._logits(each) for each in windows]
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"the network failed on windows {windows.shape}: {' '.join(str(error).split())}") from None
        return np.concatenate(found)

    def _logits(self, window: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(window[None])
        if self.channels_last:
            given = given.contiguous(memory_format=torch.channels_last_3d)
        logits: np.ndarray = self.network(given).float().contiguous().numpy()
        return logits


Ends = tuple[int | None, int | None]


def open_network(network: nn.Module, ends: Ends, threads: int | None) -> TorchNetwork:
    """Make a network in memory ready to run.

    Parameters
    ----------
    network : nn.Module
    ends : (channels, classes)
        How many it takes and gives, where that is known.
    threads : int or None
        How many threads share a window; None: as many as torch takes.
    """
    return TorchNetwork(network, *ends, threads=threads)


def open_channels_last(network: nn.Module, ends: Ends, threads: int | None) -> TorchNetwork:
    """Make a network ready to run as `open_network`, its weights and windows laid out channels last."""
    laid_out = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return TorchNetwork(laid_out, *ends, threads=threads, channels_last=True)


def open_in_bf16(network: nn.Module, ends: Ends, threads: int | None) -> TorchNetwork:
    """Make a network ready to run as `open_network`, in bfloat16."""
    return TorchNetwork(network, *ends, threads=threads, bf16=True)


@contextmanager
def _on(threads: int | None) -> Iterator[None]:
    """Let torch use so many threads; it keeps that number for the whole process."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
