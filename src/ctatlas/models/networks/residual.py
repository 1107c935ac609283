"""The convolution blocks that the UNETR family shares.

The attribute names are the keys of published checkpoints.
Source: Isensee et al., nnU-Net, Nature Methods 2021, as MONAI arranges it (networks/blocks/dynunet_block.py).
"""

from __future__ import annotations

import torch
from torch import nn


class Conv(nn.Module):
    """A 3-D convolution under the key `conv`, sizes kept unless it strides."""

    def __init__(self, n_in: int, n_out: int, size: int, *, stride: int = 1, bias: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv3d(n_in, n_out, size, stride=stride, padding=size // 2, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_in, x, y, z) → (n, n_out, x/stride, y/stride, z/stride)."""
        y: torch.Tensor = self.conv(x)
        return y


class Doubling(nn.Module):
    """A transposed convolution that doubles the grid."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose3d(n_in, n_out, 2, stride=2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_in, x, y, z) → (n, n_out, 2x, 2y, 2z)."""
        y: torch.Tensor = self.conv(x)
        return y


class ResidualBlock(nn.Module):
    """Two 3³ convolutions with instance norm, added to the input, which a 1³ convolution fits where widths differ."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv1 = Conv(n_in, n_out, 3)
        self.conv2 = Conv(n_out, n_out, 3)
        if n_in != n_out:
            self.conv3 = Conv(n_in, n_out, 1)
        self.fits = n_in == n_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_in, x, y, z) → (n, n_out, x, y, z)."""
        y = _activated(_normalised(self.conv1(x)))
        y = _normalised(self.conv2(y))
        y += x if self.fits else _normalised(self.conv3(x))
        return _activated(y)


class EncoderBlock(nn.Module):
    """A residual block under the key `layer`."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.layer = ResidualBlock(n_in, n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_in, x, y, z) → (n, n_out, x, y, z)."""
        y: torch.Tensor = self.layer(x)
        return y


class DecoderBlock(nn.Module):
    """Double the grid, join the skip connection, a residual block."""

    def __init__(self, n_deep: int, n_out: int) -> None:
        super().__init__()
        self.transp_conv = Doubling(n_deep, n_out)
        self.conv_block = ResidualBlock(2 * n_out, n_out)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """(n, n_deep, x, y, z) and (n, n_out, 2x, 2y, 2z) → (n, n_out, 2x, 2y, 2z)."""
        y: torch.Tensor = self.conv_block(torch.cat((self.transp_conv(x), skip), dim=1))
        return y


class OutputBlock(nn.Module):
    """A 1³ convolution to the classes."""

    def __init__(self, n_in: int, n_classes: int) -> None:
        super().__init__()
        self.conv = Conv(n_in, n_classes, 1, bias=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_in, x, y, z) → logits (n, n_classes, x, y, z)."""
        logits: torch.Tensor = self.conv(x)
        return logits


def _normalised(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.instance_norm(x)


def _activated(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.leaky_relu_(x, 0.01)
