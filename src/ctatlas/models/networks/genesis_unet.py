"""The U-Net of Models Genesis, which the Universal Model took over.

The attribute names are the keys of published checkpoints.
Source: Zhou et al., Models Genesis, Medical Image Analysis 2021.
"""

from __future__ import annotations

import torch
from torch import nn


class NormalisedConv(nn.Module):
    """A 3³ convolution, normalisation over the window, ReLU.

    The originals train and run a batch norm that always takes the statistics of its input, never the stored ones, and
    are run on one window at a time. That is an instance norm; so written, the answer for a window does not depend on
    what else is in the batch.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(n_in, n_out, 3, padding=1)
        self.bn1 = nn.InstanceNorm3d(n_out, affine=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_in, x, y, z) → (n, n_out, x, y, z)."""
        return torch.relu_(self.bn1(self.conv1(x)))


class Encoder(nn.Module):
    """One stage down, before pooling."""

    def __init__(self, n_in: int, width: int) -> None:
        super().__init__()
        self.ops = nn.Sequential(NormalisedConv(n_in, width), NormalisedConv(width, 2 * width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_in, x, y, z) → (n, 2 width, x, y, z)."""
        y: torch.Tensor = self.ops(x)
        return y


class Decoder(nn.Module):
    """One stage up: double the grid, join what the encoder saw there, convolve twice."""

    def __init__(self, n_deep: int, n_skip: int) -> None:
        super().__init__()
        self.up_conv = nn.ConvTranspose3d(n_deep, n_deep, 2, stride=2)
        self.ops = nn.Sequential(NormalisedConv(n_deep + n_skip, n_skip), NormalisedConv(n_skip, n_skip))

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """(n, n_deep, x, y, z) and (n, n_skip, 2x, 2y, 2z) → (n, n_skip, 2x, 2y, 2z)."""
        y: torch.Tensor = self.ops(torch.cat((self.up_conv(x), skip), dim=1))
        return y


class OutputLayer(nn.Module):
    """A 1³ convolution to the classes."""

    def __init__(self, n_in: int, n_classes: int) -> None:
        super().__init__()
        self.final_conv = nn.Conv3d(n_in, n_classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_in, x, y, z) → logits (n, n_classes, x, y, z)."""
        logits: torch.Tensor = self.final_conv(x)
        return logits


class GenesisUNet(nn.Module):
    """Four stages of 64, 128, 256 and 512 channels.

    Parameters
    ----------
    n_inputs : int
        Channels in.
    n_classes : int or None
        Channels out; None for a trunk under another head, of which only `features` can be asked.
    """

    multiple_of = 8
    n_bottleneck = 512
    n_maps = 64

    def __init__(self, n_inputs: int = 1, n_classes: int | None = None) -> None:
        super().__init__()
        self.down_tr64 = Encoder(n_inputs, 32)
        self.down_tr128 = Encoder(64, 64)
        self.down_tr256 = Encoder(128, 128)
        self.down_tr512 = Encoder(256, 256)
        self.up_tr256 = Decoder(512, 256)
        self.up_tr128 = Decoder(256, 128)
        self.up_tr64 = Decoder(128, 64)
        if n_classes is not None:
            self.out_tr = OutputLayer(64, n_classes)

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, n_inputs, x, y, z), multiples of 8 → bottleneck (n, 512, x/8, y/8, z/8), maps (n, 64, x, y, z)."""
        skip64 = self.down_tr64(x)
        skip128 = self.down_tr128(_halved(skip64))
        skip256 = self.down_tr256(_halved(skip128))
        bottleneck = self.down_tr512(_halved(skip256))
        x = self.up_tr256(bottleneck, skip256)
        x = self.up_tr128(x, skip128)
        return bottleneck, self.up_tr64(x, skip64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_inputs, x, y, z), multiples of 8 → logits (n, n_classes, x, y, z)."""
        logits: torch.Tensor = self.out_tr(self.features(x)[1])
        return logits


def _halved(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.max_pool3d(x, 2)
