"""Cross-entropy with class weights plus soft Dice over the classes present, blind to voxels that are not judged."""

from __future__ import annotations

import torch
from torch.nn import functional

from ctatlas.training.classes import IGNORED

PRESENT_VOXELS = 20


def segmentation_loss(logits: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Measure how wrong logits are.

    Parameters
    ----------
    logits : (1, c, x, y, z) float32
    target : (1, x, y, z) int64, 255 where not judged
    weights : (c,) float32
        Of the classes in the cross-entropy.
    """
    judged = target != IGNORED
    if not bool(judged.any()):
        return logits.sum() * 0
    cross_entropy = functional.cross_entropy(logits, target, weight=weights, ignore_index=IGNORED)
    probabilities = torch.softmax(logits, dim=1)[0].flatten(1)[:, judged.flatten()]
    one_hot = functional.one_hot(target[judged], logits.shape[1]).T.to(probabilities.dtype)
    counts = one_hot.sum(dim=1)
    dice = (2 * (probabilities * one_hot).sum(dim=1) + 1) / (probabilities.sum(dim=1) + counts + 1)
    present = counts > PRESENT_VOXELS
    present[0] = False
    if not bool(present.any()):
        return cross_entropy
    return cross_entropy + 1 - dice[present].mean()
