from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.inference.windows import even_starts, window_boxes, window_weights


@given(st.integers(1, 40), st.integers(0, 200), st.floats(0, 0.9))
def test_windows_cover_the_line_with_at_least_the_overlap(window: int, more: int, overlap: float) -> None:
    size = window + more
    found = even_starts(size, window, overlap)
    assert found[0] == 0
    assert found[-1] == size - window
    steps = np.diff(found)
    assert (steps > 0).all()
    assert (steps < max(1, window * (1 - overlap)) + 1).all()  # + 1: corners lie on whole voxels


def test_steps_are_those_of_nnunet() -> None:
    # 110 voxels, window 64, overlap 1/2: ceil(46 / 32) + 1 = 3 windows, 23 apart.
    assert even_starts(110, 64, 0.5) == [0, 23, 46]
    assert even_starts(64, 64, 0.5) == [0]


def test_boxes_run_over_the_last_axis_first() -> None:
    boxes = window_boxes((4, 6, 8), (4, 4, 4), 0.5)
    assert [box.lo for box in boxes] == [(0, j, k) for j in (0, 2) for k in (0, 2, 4)]
    assert {box.shape for box in boxes} == {(4, 4, 4)}


def test_weights_are_highest_in_the_middle_and_above_0_in_the_corner() -> None:
    weights = window_weights((6, 9, 64))
    assert weights.dtype == np.float32
    assert weights.max() == weights[2, 4, 31] == weights[3, 4, 32]
    assert weights.min() == weights[0, 0, 0] > np.finfo(np.float32).tiny
    np.testing.assert_array_equal(weights, weights[::-1, ::-1, ::-1])


def test_weights_fall_by_a_gaussian_of_an_eighth_of_the_window() -> None:
    weights = window_weights((17, 33, 65))
    assert weights[8, 16, 40] / weights[8, 16, 32] == pytest.approx(np.exp(-0.5 * (8 / (65 / 8)) ** 2), rel=1e-5)
    assert weights[4, 16, 32] / weights[8, 16, 32] == pytest.approx(np.exp(-0.5 * (4 / (17 / 8)) ** 2), rel=1e-5)
