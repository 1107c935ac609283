"""Cut what may belong to a structure into boxes that can be asked for one by one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctatlas.atlas.attention import Boxed, Seen, limits, minutes
from ctatlas.atlas.attention.boxed import around
from ctatlas.atlas.attention.ensemble import entropy_of
from ctatlas.atlas.queries.candidates import Candidate
from ctatlas.kernels.boxes import Box, Index, widened

PARTS = 3  # along each axis: 27 patches a tile, where AIFT asks for at most 64


def tiles_of(case: str, seen: Seen) -> Iterator[Candidate]:
    """Yield boxes that together hold a structure and all that may belong to it; the whole scan if there is nothing.

    They are as large as hot spots may be: finding a box takes longer than scrolling through it, so that small ones cost
    more than they find (`benchmarks/annotation_effort.py`). Boxes in which nothing is likely are left out: what is
    missed there only a look at the whole structure can find.
    """
    region = around([seen.ensemble.mean.box, seen.mask.box, seen.found.heat.box])
    if not min(region.shape):
        yield _tile(case, seen, Box((0, 0, 0), seen.grid.shape), 1.0)
        return
    scale = 1 / max(_ml(seen, seen.mask.values) + _wrong_ml(seen, region), 1e-9)
    for box in _cut(
        region, np.maximum(1, np.rint(limits().hot_spot_at_most_mm / np.array(seen.grid.spacing_mm))).astype(int)
    ):
        held = (seen.ensemble.mean, seen.mask, seen.found.heat)
        if any(each.within(box).any() for each in held):
            yield _tile(case, seen, box, scale)


def _tile(case: str, seen: Seen, box: Box, scale: float) -> Candidate:
    mean = seen.ensemble.mean.within(box)
    bits = entropy_of(mean)
    wrong_ml = _wrong_ml(seen, box)
    return Candidate(
        case=case,
        structure=seen.structure,
        box=box,
        minutes=minutes().of_spot(box.shape[2] * seen.grid.spacing_mm[2], wrong_ml, wrong_ml * scale),
        gain=wrong_ml * scale,
        attention_ml=_ml(seen, seen.found.heat.within(box)),
        entropy=float(bits.mean()),
        class_entropy=float((bits * mean).mean()) / 255,
        bald=float(seen.ensemble.information.within(box).mean()) / 255,
        foreground_ml=_ml(seen, seen.mask.within(box)),
        border_ml=_border_voxels(seen.mask, box) * seen.grid.voxel_ml,
        patches=_patches(mean),
    )


def _ml(seen: Seen, array: np.ndarray) -> float:
    return int(np.count_nonzero(array)) * seen.grid.voxel_ml


def _wrong_ml(seen: Seen, box: Box) -> float:
    """Return the volume that is expected to be wrong in a box."""
    risk = seen.doubt.risk.within(box) * (seen.found.heat.within(box) > 0)
    return float(risk.sum(dtype=np.float64)) / 255 * seen.grid.voxel_ml


def _cut(region: Box, size: np.ndarray) -> Iterator[Box]:
    """Cut a region into boxes of equal size, none larger than asked."""
    lo, shape = np.array(region.lo), np.array(region.shape)
    counts = -(-shape // size)
    ends = [lo[axis] + np.arange(counts[axis] + 1) * shape[axis] // counts[axis] for axis in range(3)]
    for i, j, k in np.ndindex(*counts.tolist()):
        low: Index = (int(ends[0][i]), int(ends[1][j]), int(ends[2][k]))
        yield Box(low, (int(ends[0][i + 1]), int(ends[1][j + 1]), int(ends[2][k + 1])))


def _border_voxels(mask: Boxed, box: Box) -> int:
    """Count voxels of a mask with a neighbour, across a face, that is not in it."""
    wide = widened(box, (1, 1, 1), mask.shape)
    part = np.pad(mask.within(wide), 1)
    deep = part[1:-1, 1:-1, 1:-1].copy()
    for axis in range(3):
        for step in (slice(0, -2), slice(2, None)):
            deep &= part[tuple(step if each == axis else slice(1, -1) for each in range(3))]
    inner = tuple(slice(a - b, c - b) for a, b, c in zip(box.lo, wide.lo, box.hi, strict=True))
    return int(np.count_nonzero((part[1:-1, 1:-1, 1:-1] & ~deep)[inner]))


def _patches(mean: np.ndarray) -> np.ndarray:
    """Return the mean probability of each of 3x3x3 parts; the parts of a thin box are its slices, some twice."""
    for axis in range(3):
        n = mean.shape[axis]
        lows = np.arange(PARTS) * n // PARTS
        highs = np.maximum(np.arange(1, PARTS + 1) * n // PARTS, lows + 1)
        mean = np.stack([mean.take(range(a, b), axis).mean(axis) for a, b in zip(lows, highs, strict=True)], axis)
    return mean.ravel() / 255
