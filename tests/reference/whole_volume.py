"""The engine as plainly as it can be said: whole volumes, world coordinates, float64. Slow and hungry; the oracle."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.ndimage import map_coordinates

from ctatlas.models import Model, ModelCard
from ctatlas.volume.grid import Grid


def network_grid(scan: Grid, card: ModelCard, lo: tuple[int, ...], hi: tuple[int, ...]) -> Grid:
    """Lay the network's grid over a box of the scan: turn first, then change the spacing."""
    return scan.crop(lo, hi).reoriented(card.input.orientation).resampled(card.input.spacing_mm)


def sampled(hu: np.ndarray, scan: Grid, onto: Grid) -> np.ndarray:
    """Sample a scan on another grid whose axes are parallel, each voxel weighing the scan's with a triangle."""
    steps = onto.affine[:3, :3].T @ np.linalg.inv(scan.affine)[:3, :3].T  # (new axis, old axis) in old voxels
    old = np.abs(steps).argmax(axis=1)
    lines = []
    for new in range(3):
        ends = np.zeros((onto.shape[new], 3))
        ends[:, new] = np.arange(onto.shape[new])
        lines.append((old[new], scan.voxel(onto.world(ends))[:, old[new]], abs(steps[new, old[new]])))
    dense = {}
    for axis, positions, step in lines:
        width = max(1.0, step)
        matrix = np.zeros((len(positions), scan.shape[axis]))
        for row, position in enumerate(positions):
            for tap in range(int(np.floor(position - width)), int(np.ceil(position + width)) + 1):
                matrix[row, min(max(tap, 0), scan.shape[axis] - 1)] += max(0.0, 1 - abs(tap - position) / width)
        dense[axis] = matrix / matrix.sum(axis=1, keepdims=True)
    small = np.einsum("ijk,xi,yj,zk->xyz", hu.astype(np.float64), dense[0], dense[1], dense[2], optimize=True)
    return small.transpose(old)


def channels(hu: np.ndarray, card: ModelCard) -> np.ndarray:
    """Clip, subtract, divide: HU (x, y, z) to (c, x, y, z) float32."""
    wanted = card.input.channels
    return np.stack([(np.clip(hu, *each.clip) - each.subtract) / each.divide for each in wanted]).astype(np.float32)


def probabilities(hu: np.ndarray, body: np.ndarray, model: Model) -> np.ndarray:
    """Pad to a window, average the softmax over windows with body in them, sums in float64; elsewhere is background."""
    card = model.card
    missing = [max(0, length - size) for length, size in zip(card.window.shape, hu.shape, strict=True)]
    pads = [(more // 2, more - more // 2) for more in missing]
    inputs = channels(np.pad(hu, pads, constant_values=card.input.padding_hu), card)
    average = _averaged(inputs, np.pad(body, pads), model)
    return average[(slice(None), *(slice(lo, lo + size) for (lo, _), size in zip(pads, hu.shape, strict=True)))]


def _averaged(inputs: np.ndarray, body: np.ndarray, model: Model) -> np.ndarray:
    card = model.card
    window = card.window.shape
    middle = [(length - 1) / 2 for length in window]
    weights = np.zeros(window)
    for place in product(*(range(length) for length in window)):
        far = sum(((at - mid) / (length / 8)) ** 2 for at, mid, length in zip(place, middle, window, strict=True))
        weights[place] = np.exp(-far / 2)
    total = np.zeros((len(card.classes), *inputs.shape[1:]))
    weight = np.zeros(inputs.shape[1:])
    steps = []
    for size, length in zip(inputs.shape[1:], window, strict=True):
        n = int(np.ceil((size - length) / (length * (1 - card.window.overlap)))) + 1
        steps.append([0] if n == 1 else [int(np.rint((size - length) / (n - 1) * step)) for step in range(n)])
    for corner in product(*steps):
        here = tuple(slice(at, at + length) for at, length in zip(corner, window, strict=True))
        if not body[here].any():
            continue
        logits = model.logits(np.ascontiguousarray(inputs[(None, slice(None), *here)]))[0].astype(np.float64)
        raised = np.exp(logits - logits.max(axis=0))
        total[(slice(None), *here)] += raised / raised.sum(axis=0) * weights
        weight[here] += weights
    total[0, weight == 0] = weight[weight == 0] = 1
    return total / weight


def restored(scores: np.ndarray, network: Grid, scan: Grid) -> np.ndarray:
    """Interpolate every class at every voxel of the scan, through world space; (c, i, j, k) float64."""
    voxels = np.stack(np.meshgrid(*(np.arange(n) for n in scan.shape), indexing="ij"), axis=-1)
    where = np.moveaxis(network.voxel(scan.world(voxels)), -1, 0)
    return np.stack([map_coordinates(score.astype(np.float64), where, order=1, mode="nearest") for score in scores])
