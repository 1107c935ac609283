from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.kernels.boxes import Box, bounding_box, widened


@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 6)), min_size=1))
def test_box_holds_all_voxels_and_touches_one_on_each_side(voxels: set[tuple[int, int, int]]) -> None:
    mask = np.zeros((5, 6, 7), np.bool_, order="F")
    mask[tuple(np.array(sorted(voxels)).T)] = True
    found = np.argwhere(mask)
    assert bounding_box(mask) == Box(tuple(found.min(axis=0)), tuple(found.max(axis=0) + 1))


def test_empty_mask_has_no_box() -> None:
    assert bounding_box(np.zeros((3, 4, 5), np.bool_)) is None


def test_margin_ends_at_the_edge() -> None:
    assert widened(Box((1, 2, 3), (4, 5, 6)), (2, 1, 9), (9, 5, 8)) == Box((0, 1, 0), (6, 5, 8))


def test_box_knows_its_shape_and_cuts_itself_out() -> None:
    box = Box((1, 2, 3), (4, 6, 8))
    assert box.shape == (3, 4, 5)
    assert np.zeros((9, 9, 9))[box.slices].shape == (3, 4, 5)
