"""Dice by hand and by its properties."""

import math

import numpy as np
from hypothesis import given
from hypothesis.extra.numpy import arrays

from ctatlas.measure.overlap import dice

masks = arrays(bool, (5, 4, 3))


def test_two_of_three_voxels_shared():
    a = np.array([True, True, True, False])
    b = np.array([False, True, True, False])
    assert dice(a, b) == 4 / 5


def test_both_masks_empty_gives_nan():
    assert math.isnan(dice(np.zeros((2, 3, 4), bool), np.zeros((2, 3, 4), bool)))


def test_a_false_positive_in_an_absent_organ_gives_zero():
    found = np.zeros((2, 3, 4), bool)
    found[1, 1, 1] = True
    assert dice(np.zeros_like(found), found) == 0


@given(masks, masks)
def test_symmetric_and_bounded(a, b):
    value = dice(a, b)
    assert math.isnan(value) or 0 <= value <= 1
    assert value == dice(b, a) or math.isnan(value)
