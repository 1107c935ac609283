"""The continual-learning sibling of the Universal Model: a small network of its own makes each class's head.

The attribute names are the keys of published checkpoints, those of the trunk after `backbone.`.
Source: Zhang et al., Continual Learning for Abdominal Multi-Organ and Tumor Segmentation, MICCAI 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ctatlas.models.networks.dynamic_head import N_PARAMETERS, dynamic_logits, global_pooling, reduction
from ctatlas.models.networks.genesis_unet import GenesisUNet
from ctatlas.models.networks.swin_unetr import SwinUNETR

_N_SEEN = 256


class ClassHeads(nn.Module):
    """A trunk and one small network a class, which classes learnt later leave alone.

    Parameters
    ----------
    backbone : GenesisUNet or SwinUNETR
        The trunk, without an output layer of its own.
    n_classes : int
        How many small networks.
    hidden : int
        Channels between their two layers: 512 in those that read the text, 128 in those that don't.
    reads_text : bool
        Whether they see the class's embedding beside what the window holds.
    n_text : int
        Length of a text's embedding.
    """

    def __init__(
        self,
        backbone: GenesisUNet | SwinUNETR,
        n_classes: int,
        *,
        hidden: int = 512,
        reads_text: bool = True,
        n_text: int = 512,
    ) -> None:
        super().__init__()
        self.multiple_of = backbone.multiple_of
        self.reads_text = reads_text
        self.organ_embedding: torch.Tensor
        self.register_buffer("organ_embedding", torch.zeros(n_classes, n_text))
        self.backbone = backbone
        self.precls_conv = reduction(backbone.n_maps)
        self.GAP = global_pooling(backbone.n_bottleneck)
        n_in = _N_SEEN + n_text if reads_text else _N_SEEN
        self.controllers = nn.ModuleList(
            nn.Sequential(nn.Conv3d(n_in, hidden, 1), nn.ReLU(), nn.Conv3d(hidden, N_PARAMETERS, 1))
            for _ in range(n_classes)
        )

    def forward(self, x: torch.Tensor, classes: Sequence[int] | None = None) -> torch.Tensor:
        """(n, n_inputs, x, y, z) → logits (n, classes, x, y, z) of all classes, or of those asked for, in order."""
        bottleneck, maps = self.backbone.features(x)
        parameters = self.parameters_of(self.GAP(bottleneck), classes)
        return dynamic_logits(self.precls_conv(maps), parameters)

    def parameters_of(self, seen: torch.Tensor, classes: Sequence[int] | None = None) -> torch.Tensor:
        """Make the heads' weights (n, classes, 153) of what the windows hold, (n, 256, 1, 1, 1)."""
        wanted = range(len(self.controllers)) if classes is None else classes
        made = [self.controllers[each](self._read(seen, each)).flatten(1) for each in wanted]
        return torch.stack(made, dim=1)

    def _read(self, seen: torch.Tensor, number: int) -> torch.Tensor:
        if not self.reads_text:
            return seen
        text = self.organ_embedding[number].view(1, -1, 1, 1, 1).expand(len(seen), -1, -1, -1, -1)
        return torch.cat((seen, text), dim=1)
