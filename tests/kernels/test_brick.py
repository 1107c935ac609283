"""Morphology with a brick gives scipy's voxels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from ctatlas.kernels.brick import dilated, eroded, opened

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9))
radii = st.tuples(*[st.integers(0, 4)] * 3)


def brick(radius):
    return np.ones([2 * each + 1 for each in radius], bool)


@given(masks, radii)
def test_growing_is_scipys(mask, radius):
    assert (dilated(mask, radius) == ndimage.binary_dilation(mask, brick(radius))).all()


@given(masks, radii)
def test_shrinking_is_scipys_with_nothing_outside(mask, radius):
    assert (eroded(mask, radius) == ndimage.binary_erosion(mask, brick(radius))).all()


@given(masks, st.integers(1, 3))
def test_opening_is_that_of_many_small_steps(mask, n):
    expected = ndimage.binary_opening(mask, np.ones((3, 3, 3)), iterations=n)
    assert (opened(mask, (n, n, n)) == expected).all()


def test_the_mask_given_stays_as_it_was():
    mask = np.zeros((5, 4, 3), bool)
    mask[2, 2, 1] = True
    dilated(mask, (1, 1, 1))
    assert mask.sum() == 1
