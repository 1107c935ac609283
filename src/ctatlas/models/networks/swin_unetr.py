"""Swin UNETR: a Swin transformer, and convolutions that bring its maps back to the full grid.

The attribute names are the keys of published checkpoints.
Source: Hatamizadeh et al., Swin UNETR, BrainLes 2021.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ctatlas.models.networks.residual import DecoderBlock, EncoderBlock, OutputBlock
from ctatlas.models.networks.swin import SwinTransformer


class SwinUNETR(nn.Module):
    """Five grids, the coarsest 1/32.

    Parameters
    ----------
    n_inputs : int
        Channels in.
    n_classes : int or None
        Channels out; None for a trunk under another head, of which only `features` can be asked.
    width : int
        Channels of the finest maps; MONAI's feature_size.
    depths, n_heads : four int
        Blocks and attention heads a stage.
    patch_merging : str
        A key of `PATCH_MERGINGS`; the weights don't show which one they were trained with.
    """

    multiple_of = 32

    def __init__(
        self,
        n_inputs: int = 1,
        n_classes: int | None = None,
        *,
        width: int = 48,
        depths: Sequence[int] = (2, 2, 2, 2),
        n_heads: Sequence[int] = (3, 6, 12, 24),
        patch_merging: str = "monai<1.5",
    ) -> None:
        super().__init__()
        self.n_bottleneck = 16 * width
        self.n_maps = width
        self.swinViT = SwinTransformer(n_inputs, width, depths, n_heads, patch_merging)
        self.encoder1 = EncoderBlock(n_inputs, width)
        self.encoder2 = EncoderBlock(width, width)
        self.encoder3 = EncoderBlock(2 * width, 2 * width)
        self.encoder4 = EncoderBlock(4 * width, 4 * width)
        self.encoder10 = EncoderBlock(16 * width, 16 * width)
        self.decoder5 = DecoderBlock(16 * width, 8 * width)
        self.decoder4 = DecoderBlock(8 * width, 4 * width)
        self.decoder3 = DecoderBlock(4 * width, 2 * width)
        self.decoder2 = DecoderBlock(2 * width, width)
        self.decoder1 = DecoderBlock(width, width)
        if n_classes is not None:
            self.out = OutputBlock(width, n_classes)

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, n_inputs, x, y, z) → bottleneck (n, 16 width, x/32, …), maps (n, width, x, y, z).

        x, y, z must be multiples of 32, at least one of them more than 32.
        """
        hidden = self.swinViT(x)
        bottleneck = self.encoder10(hidden[4])
        y = self.decoder5(bottleneck, hidden[3])
        y = self.decoder4(y, self.encoder4(hidden[2]))
        y = self.decoder3(y, self.encoder3(hidden[1]))
        y = self.decoder2(y, self.encoder2(hidden[0]))
        return bottleneck, self.decoder1(y, self.encoder1(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_inputs, x, y, z) → logits (n, n_classes, x, y, z); sizes as for `features`."""
        logits: torch.Tensor = self.out(self.features(x)[1])
        return logits
