"""A plain 3-D U-Net, small enough for a laptop.

The attribute names are the keys of the trainer's checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class ConvBlock(nn.Module):
    """Two 3³ convolutions, each followed by instance normalisation and a leaky ReLU; the first may halve the grid."""

    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.InstanceNorm3d(n_out, affine=True)
        self.conv2 = nn.Conv3d(n_out, n_out, 3, padding=1, bias=False)
        self.norm2 = nn.InstanceNorm3d(n_out, affine=True)
        self.act = nn.LeakyReLU(0.01, inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_in, x, y, z) → (n, n_out, x/stride, y/stride, z/stride)."""
        x = self.act(self.norm1(self.conv1(x)))
        y: torch.Tensor = self.act(self.norm2(self.conv2(x)))
        return y


class UNet(nn.Module):
    """An encoder that halves the grid at every stage, a decoder with skip connections, a 1³ head.

    Parameters
    ----------
    n_inputs, n_classes : int
        Channels in and out.
    widths : sequence of int
        Channels per stage; multiples of 16 keep CPU convolutions on their vectorised path.
    """

    def __init__(self, n_inputs: int, n_classes: int, widths: Sequence[int] = (16, 32, 64, 128, 160)) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            ConvBlock(n_in, n_out, stride=1 if stage == 0 else 2)
            for stage, (n_in, n_out) in enumerate(zip((n_inputs, *widths[:-1]), widths, strict=True))
        )
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose3d(deep, skip, 2, stride=2) for deep, skip in pairs)
        self.decoder = nn.ModuleList(ConvBlock(2 * skip, skip) for _, skip in pairs)
        self.head = nn.Conv3d(widths[0], n_classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_inputs, x, y, z) → logits (n, n_classes, x, y, z); x, y, z must be multiples of 2^(stages − 1)."""
        skips: list[torch.Tensor] = []
        for block in self.encoder:
            x = block(x)
            skips.append(x)
        for up, block, skip in zip(self.up, self.decoder, skips[-2::-1], strict=True):
            x = block(torch.cat((up(x), skip), dim=1))
        logits: torch.Tensor = self.head(x)
        return logits
