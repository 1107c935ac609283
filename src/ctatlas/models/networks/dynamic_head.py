"""The head whose weights the network makes for each window and class: three 1³ layers of eight channels.

Source: Liu et al., CLIP-Driven Universal Model, ICCV 2023, after Zhang et al., DoDNet, CVPR 2021.
"""

from __future__ import annotations

import torch
from torch import nn

N_MAPS = 8
# What `dynamic_logits` reads of a class, in order: weights of the three layers, then their biases.
_SPLIT = [64, 64, 8, 8, 8, 1]
N_PARAMETERS = sum(_SPLIT)
# Voxels at once: the intermediate maps of all classes for that many, 1 kB a voxel for 32 classes, stay in the cache.
_VOXELS_AT_ONCE = 16_384


def reduction(n_maps: int) -> nn.Sequential:
    """Make the layers from the trunk's maps to the eight that the head reads."""
    return nn.Sequential(nn.GroupNorm(16, n_maps), nn.ReLU(), nn.Conv3d(n_maps, N_MAPS, 1))


def global_pooling(n_bottleneck: int, n_out: int = 256) -> nn.Sequential:
    """Make the layers from the trunk's bottleneck to one vector a window."""
    return nn.Sequential(
        nn.GroupNorm(16, n_bottleneck), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Conv3d(n_bottleneck, n_out, 1)
    )


def dynamic_logits(maps: torch.Tensor, parameters: torch.Tensor) -> torch.Tensor:
    """Run every class's own three layers on the same eight maps.

    Parameters
    ----------
    maps : (n, 8, x, y, z)
    parameters : (n, classes, 153)

    Returns
    -------
    (n, classes, x, y, z)

    Notes
    -----
    As matrix products, chunk of voxels by chunk, beside which no memory is needed; grouped convolutions want the maps
    repeated for each class, three times over.
    """
    n, n_classes = parameters.shape[:2]
    logits = [_sample(each.flatten(1), own) for each, own in zip(maps, parameters, strict=True)]
    return (torch.stack(logits) if n > 1 else logits[0][None]).reshape(n, n_classes, *maps.shape[2:])


def _sample(maps: torch.Tensor, parameters: torch.Tensor) -> torch.Tensor:
    """(8, voxels) and (classes, 153) → (classes, voxels)."""
    n, n_voxels = len(parameters), maps.shape[1]
    w1, w2, w3, b1, b2, b3 = torch.split(parameters, _SPLIT, dim=1)
    w1, b1 = w1.reshape(n * N_MAPS, N_MAPS), b1.reshape(n * N_MAPS, 1)
    w2, b2 = w2.reshape(n, N_MAPS, N_MAPS), b2[..., None]
    w3, b3 = w3[:, None], b3[..., None]

    def chunk(some: torch.Tensor) -> torch.Tensor:
        x = torch.addmm(b1, w1, some).relu_().view(n, N_MAPS, -1)
        x = torch.baddbmm(b2, w2, x).relu_()
        return torch.baddbmm(b3, w3, x)[:, 0]

    chunks = torch.split(maps, _VOXELS_AT_ONCE, dim=1)
    exporting = torch.compiler.is_compiling() or torch.compiler.is_exporting()
    if exporting or torch.is_grad_enabled():  # where nothing may be filled in afterwards
        return torch.cat([chunk(some) for some in chunks], dim=1)
    logits = maps.new_empty(n, n_voxels)
    for some, own in zip(chunks, torch.split(logits, _VOXELS_AT_ONCE, dim=1), strict=True):
        own.copy_(chunk(some))
    return logits
