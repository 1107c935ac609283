from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ctatlas.measure.boundary import rim
from ctatlas.measure.case import measure_case
from ctatlas.volume import Grid, Segmentation

SHAPE, SPACING = (11, 9, 7), (0.7, 1.0, 2.5)
masks = arrays(bool, (5, 6, 4))


def plain_rim(mask, spacing, width):
    """Look at every voxel of the background, one layer around the array too."""
    padded = np.pad(mask, 1)
    outside = np.argwhere(~padded) * spacing
    result = np.zeros_like(padded)
    for voxel in np.argwhere(padded):
        nearest = np.sqrt(((outside - voxel * spacing) ** 2).sum(axis=1)).min()
        result[tuple(voxel)] = nearest <= max(width, min(spacing)) + 1e-12
    return result[1:-1, 1:-1, 1:-1]


@given(masks, st.sampled_from([0.1, 1.0, 1.3, 2.6, 5.1]))
def test_a_rim_is_what_lies_within_its_width_of_background(mask, width):
    np.testing.assert_array_equal(rim(mask, SPACING, width), plain_rim(mask, np.array(SPACING), width))


def value(gt, pred, width):
    grid = Grid(SHAPE, np.diag([*SPACING, 1.0]))
    sides = (Segmentation.from_masks(grid, {"liver": mask}) for mask in (gt, pred))
    (row,) = measure_case(*sides, case="one", metrics=["boundary_iou"], tolerances=[width])
    assert row.tolerance_mm == width
    return row.value


def box(lo, hi):
    mask = np.zeros(SHAPE, bool)
    mask[lo[0] : hi[0], lo[1] : hi[1], lo[2] : hi[2]] = True
    return mask


def test_a_wide_rim_is_the_whole_and_a_narrow_one_tells_more():
    gt, pred = box((1, 1, 1), (10, 8, 6)), box((2, 1, 1), (10, 8, 6))
    assert value(gt, pred, 50) == pytest.approx(8 / 9)
    assert value(gt, pred, 0.7) < value(gt, pred, 1.4) < 8 / 9


def test_a_rim_of_one_voxel_by_hand():
    # In a plane of 0.7 mm steps along i only the two outermost layers of i lie within 0.7 mm of background.
    gt, pred = box((2, 2, 2), (8, 6, 4)), box((3, 2, 2), (8, 6, 4))
    assert value(gt, pred, 0.7) == pytest.approx(8 / 24)


def test_empty_masks_follow_the_policy():
    nothing = np.zeros(SHAPE, bool)
    assert value(box((1, 1, 1), (3, 3, 3)), nothing, 1) == 0
    assert value(nothing, box((1, 1, 1), (3, 3, 3)), 1) == 0
    assert value(nothing, nothing, 1) is None
