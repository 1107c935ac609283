"""SegResNet: residual blocks with group norm, the encoder's maps added on the way up.

The attribute names are the keys of MONAI's checkpoints.
Source: Myronenko, BrainLes 2018; MONAI networks/nets/segresnet.py (dropout and the VAE branch left out).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ctatlas.models.networks.residual import Conv


class PreActivatedBlock(nn.Module):
    """Twice norm, ReLU and a 3³ convolution, added to the input."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, width)
        self.norm2 = nn.GroupNorm(groups, width)
        self.conv1 = Conv(width, width, 3)
        self.conv2 = Conv(width, width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, width, x, y, z) → the same shape."""
        between = self.conv1(torch.relu_(self.norm1(x)))
        y: torch.Tensor = self.conv2(torch.relu_(self.norm2(between)))
        y += x
        return y


class SegResNet(nn.Module):
    """Stages of 1, 2, 4, 8 times `width` channels.

    Parameters
    ----------
    n_inputs, n_classes : int
        Channels in and out.
    width : int
        Channels of the first stage; MONAI's init_filters.
    blocks_down, blocks_up : sequence of int
        Residual blocks a stage; one stage fewer up than down.
    groups : int
        Groups of the norms.
    """

    def __init__(
        self,
        n_inputs: int = 1,
        n_classes: int = 2,
        *,
        width: int = 16,
        blocks_down: Sequence[int] = (1, 2, 2, 4),
        blocks_up: Sequence[int] = (1, 1, 1),
        groups: int = 8,
    ) -> None:
        super().__init__()
        widths = [width * 2**stage for stage in range(len(blocks_down))]
        self.multiple_of = 2 ** (len(widths) - 1)
        self.convInit = Conv(n_inputs, width, 3)
        self.down_layers = nn.ModuleList(
            nn.Sequential(
                Conv(width // 2, width, 3, stride=2) if stage else nn.Identity(),
                *(PreActivatedBlock(width, groups) for _ in range(n_blocks)),
            )
            for stage, (width, n_blocks) in enumerate(zip(widths, blocks_down, strict=True))
        )
        upward = widths[-2::-1]
        self.up_layers = nn.ModuleList(
            nn.Sequential(*(PreActivatedBlock(width, groups) for _ in range(n_blocks)))
            for width, n_blocks in zip(upward, blocks_up, strict=True)
        )
        self.up_samples = nn.ModuleList(
            nn.Sequential(Conv(2 * width, width, 1), nn.Upsample(scale_factor=2, mode="trilinear")) for width in upward
        )
        self.conv_final = nn.Sequential(
            nn.GroupNorm(groups, width), nn.ReLU(inplace=True), Conv(width, n_classes, 1, bias=True)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_inputs, x, y, z) → logits (n, n_classes, x, y, z); x, y, z must be multiples of `multiple_of`."""
        x = self.convInit(x)
        skips: list[torch.Tensor] = []
        for stage in self.down_layers:
            x = stage(x)
            skips.append(x)
        for larger, blocks, skip in zip(self.up_samples, self.up_layers, skips[-2::-1], strict=True):
            x = blocks(larger(x) + skip)
        logits: torch.Tensor = self.conv_final(x)
        return logits
