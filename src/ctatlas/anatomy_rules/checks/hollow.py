"""Hollow organs: what lies in them belongs to them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from ctatlas.anatomy_rules.checks.findings import Fix, Sign
from ctatlas.anatomy_rules.checks.registry import check
from ctatlas.anatomy_rules.checks.subject import Subject
from ctatlas.anatomy_rules.components import label_components, measure_components

GAS_HU = -300.0


@check("empty_regions")
def empty_regions(name: str, subject: Subject, *, at_most_ml: float, closed_share: float) -> Iterator[Sign]:
    """Find regions inside a hollow organ that are left out: lumen that is enclosed in its slices, or gas that it walls.

    Nothing else may claim them. A region is walled where `closed_share` of its rim is the organ. Filling what is
    enclosed in slices is safe, and is offered when nothing else was found.
    """
    box = subject.box(name)
    if box is None:
        return
    wide = subject.widened(box, 2 * max(subject.grid.spacing_mm))
    mask = subject.within(name, wide)
    free = ~mask & ~subject.others_within(name, wide)
    enclosed = _filled_per_slice(mask, subject.along) & free
    left_out = enclosed | _walled_gas(subject, mask, free, wide, closed_share)
    left_out_ml = int(np.count_nonzero(left_out)) * subject.grid.voxel_ml
    if left_out_ml > at_most_ml:
        fix = Fix("fill_slices", wide, add=enclosed) if (left_out == enclosed).all() else None
        yield Sign(f"{left_out_ml:.0f} mL of its inside left out", left_out_ml, at_most_ml, "mL", wide, fix)


def _filled_per_slice(mask: np.ndarray, axis: int) -> np.ndarray:
    slices = [ndimage.binary_fill_holes(mask.take(at, axis)) for at in range(mask.shape[axis])]
    return np.stack(slices, axis=axis)


def _walled_gas(
    subject: Subject, mask: np.ndarray, free: np.ndarray, wide: tuple[slice, slice, slice], closed_share: float
) -> np.ndarray:
    """Return pockets of gas whose rim is mostly the organ."""
    found = np.zeros_like(mask)
    if subject.given.hu is None:
        return found
    gas = free & (subject.given.hu[wide] < GAS_HU)
    labels = label_components(gas)
    for pocket in measure_components(labels, subject.grid):
        around = _grown(pocket.box, mask.shape)
        here = labels[around] == pocket.label
        rim = ndimage.binary_dilation(here) & ~here
        if np.count_nonzero(rim & mask[around]) > closed_share * np.count_nonzero(rim):
            found[around] |= here
    return found


def _grown(box: tuple[slice, slice, slice], shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
    """Grow a box by a voxel on all sides, as far as an array goes."""
    i, j, k = (slice(max(0, side.start - 1), min(n, side.stop + 1)) for side, n in zip(box, shape, strict=True))
    return i, j, k
