"""Cross-entropy with class weights plus soft Dice over the classes present.

Where a voxel may be one of several classes, its cross-entropy asks that one of them be found, no matter which: the
negative logarithm of the sum of their probabilities. Where nothing is known, it asks nothing. Dice looks only at voxels
whose class is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from ctatlas.training.classes import IGNORED, channels_of_code

PRESENT_VOXELS = 20
TINY = 1e-20


def segmentation_loss(
    logits: torch.Tensor,
    target: torch.Tensor,
    weights: torch.Tensor,
    *,
    sets: Mapping[int, Sequence[int]] | None = None,
) -> torch.Tensor:
    """Measure how wrong logits are.

    Parameters
    ----------
    logits : (n, c, x, y, z) float32
    target : (n, x, y, z) int64
        Channel of the class, or code of the classes that come into question, or 255 where nothing is known.
    weights : (c,) float32
        Of the classes in the cross-entropy. A set counts as its lightest class does.
    sets : mapping of int to sequence of int, optional
        Channels of every code; those of the tables unless given.

    Returns
    -------
    () float32
        0 where nothing is known of any voxel.
    """
    log_p = logits.log_softmax(dim=1).movedim(1, 0).flatten(1)
    p, codes = log_p.exp(), target.flatten()
    judged = codes < len(p)
    known = torch.where(judged, codes, 0)
    log_own = log_p.gather(0, known[None])[0]
    weight = torch.where(judged, weights[known], 0)
    total, total_weight = -(weight * log_own).sum(), weight.sum()
    for code, members in _sets_in(codes, channels_of_code() if sets is None else sets, len(p)):
        one_of = torch.zeros_like(weights)
        one_of[members] = 1
        here = weights[members].min() * (codes == code)
        total = total - (here * torch.log(one_of @ p + TINY)).sum()
        total_weight = total_weight + here.sum()
    return total / total_weight.clamp_min(TINY) + _missed_overlap(p, log_own, known, judged.to(p.dtype))


def _sets_in(codes: torch.Tensor, sets: Mapping[int, Sequence[int]], n_classes: int) -> list[tuple[int, list[int]]]:
    """Return the codes of sets that a target holds, with their channels."""
    counts = torch.bincount(codes, minlength=IGNORED + 1).tolist()
    return [(code, list(sets[code])) for code in range(n_classes, IGNORED) if counts[code]]


def _missed_overlap(p: torch.Tensor, log_own: torch.Tensor, known: torch.Tensor, judged: torch.Tensor) -> torch.Tensor:
    """Return 1 - mean soft Dice of the classes that have voxels enough, 0 without any.

    Parameters
    ----------
    p : (c, v) float32
        Probabilities.
    log_own, known, judged : (v,)
        Logarithm of the probability of a voxel's own class, that class, and 1 where it is known, else 0.
    """
    counts = torch.zeros_like(p[:, 0]).index_add(0, known, judged)
    shared = torch.zeros_like(p[:, 0]).index_add(0, known, log_own.exp() * judged)
    dice = (2 * shared + 1) / (p @ judged + counts + 1)
    present = counts > PRESENT_VOXELS
    present[0] = False
    return 1 - dice[present].mean() if bool(present.any()) else p.sum() * 0
