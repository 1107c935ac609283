"""The Universal Model: a trunk, and a head that the texts of the classes steer.

The attribute names are the keys of published checkpoints.
Source: Liu et al., CLIP-Driven Universal Model, ICCV 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import torch
from torch import nn

from ctatlas.models.networks.dynamic_head import N_PARAMETERS, dynamic_logits, global_pooling, reduction
from ctatlas.models.networks.genesis_unet import GenesisUNet
from ctatlas.models.networks.swin_unetr import SwinUNETR


class UniversalModel(nn.Module):
    """One set of weights for all classes; a class is the embedding of a text.

    Parameters
    ----------
    backbone : GenesisUNet or SwinUNETR
        The trunk, without an output layer of its own.
    n_classes : int
        Rows of the embedding.
    n_text : int
        Length of a text's embedding.
    """

    def __init__(self, backbone: GenesisUNet | SwinUNETR, n_classes: int, n_text: int = 512) -> None:
        super().__init__()
        self.multiple_of = backbone.multiple_of
        self.organ_embedding: torch.Tensor
        self.register_buffer("organ_embedding", torch.zeros(n_classes, n_text))
        self.backbone = backbone
        self.precls_conv = reduction(backbone.n_maps)
        self.GAP = global_pooling(backbone.n_bottleneck)
        self.controller = nn.Conv3d(512, N_PARAMETERS, 1)
        self.text_to_vision = nn.Linear(n_text, 256)

    def forward(self, x: torch.Tensor, classes: Sequence[int] | None = None) -> torch.Tensor:
        """(n, n_inputs, x, y, z) → logits (n, classes, x, y, z) of all classes, or of those asked for, in order."""
        bottleneck, maps = self.backbone.features(x)
        parameters = self.parameters_of(self.GAP(bottleneck).flatten(1), classes)
        return dynamic_logits(self.precls_conv(maps), parameters)

    def with_texts(self, embedding: torch.Tensor) -> UniversalModel:
        """Return the network for other classes (n_classes, n_text) float32; all weights are shared."""
        other = copy(self)
        other._buffers = dict(self._buffers)
        other.organ_embedding = embedding
        return other

    def parameters_of(self, seen: torch.Tensor, classes: Sequence[int] | None = None) -> torch.Tensor:
        """Make the head's weights (n, classes, 153) of what the windows hold (n, 256) and of the classes' texts."""
        texts = self.organ_embedding if classes is None else self.organ_embedding[list(classes)]
        meant = torch.relu(self.text_to_vision(texts))
        both = torch.cat((seen[:, None].expand(-1, len(meant), -1), meant.expand(len(seen), -1, -1)), dim=2)
        return nn.functional.linear(both, self.controller.weight.flatten(1), self.controller.bias)
