"""Cross-entropy over sets of classes and soft Dice, voxel by voxel, as written down."""

import math

import numpy as np


def marginal_loss(logits, target, weights, sets, *, overlap_only=False):
    """Return the loss of logits (n, c, x, y, z) for codes (n, x, y, z); nothing is known at 255."""
    n_classes = logits.shape[1]
    p = np.exp(logits.astype(np.float64))
    p /= p.sum(axis=1, keepdims=True)
    total = total_weight = 0.0
    shared, found, there = np.zeros(n_classes), np.zeros(n_classes), np.zeros(n_classes)
    for n, i, j, k in np.ndindex(target.shape):
        code = int(target[n, i, j, k])
        if code == 255:
            continue
        members = [code] if code < n_classes else list(sets[code])
        weight = min(float(weights[c]) for c in members)
        total -= weight * math.log(sum(p[n, c, i, j, k] for c in members))
        total_weight += weight
        if code < n_classes:
            found += p[n, :, i, j, k]
            there[code] += 1
            shared[code] += p[n, code, i, j, k]
    dice = [(2 * shared[c] + 1) / (found[c] + there[c] + 1) for c in range(1, n_classes) if there[c] > 20]
    overlap = 1 - float(np.mean(dice)) if dice else 0.0
    return overlap if overlap_only else total / total_weight + overlap
