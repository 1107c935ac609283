"""torch on the CPU: window by window, so that a batch never changes a result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ctatlas.errors import ModelError


@dataclass(frozen=True, slots=True)
class TorchNetwork:
    """A network with its weights; see `ctatlas.models.model.Backend`."""

    network: nn.Module
    n_channels: int | None
    n_classes: int | None
    workers: int = 1  # torch shares one window among its own threads

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
            with torch.inference_mode():
                found = [self.network(torch.from_numpy(each[None])).float().numpy() for each in windows]
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"the network failed on windows {windows.shape}: {' '.join(str(error).split())}") from None
        return np.concatenate(found)
