"""The same bits as SciPy's, because nnU-Net rounds what comes out to half precision and takes the highest."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from ctatlas.inference.nnunet.lines import Lines, Points, between, linear, nearest

sizes = st.integers(1, 13)
new_sizes = st.integers(1, 31)


@given(st.tuples(sizes, sizes, sizes), st.tuples(new_sizes, new_sizes, new_sizes), st.integers(0, 9))
def test_every_new_voxel_is_that_of_scipy(
    shape: tuple[int, int, int], new_shape: tuple[int, int, int], seed: int
) -> None:
    values = np.random.default_rng(seed).standard_normal(shape)
    zooms = [1 / each for each in np.divide(shape, new_shape)]
    expected = ndimage.zoom(values, zooms, order=1, mode="nearest", grid_mode=True)

    found = between(values, Lines(*map(linear, shape, new_shape)))

    assert (found == expected).all()


@given(st.tuples(sizes, sizes, sizes), st.tuples(new_sizes, new_sizes, new_sizes), st.integers(0, 9))
def test_single_voxels_are_those_of_the_whole(
    shape: tuple[int, int, int], new_shape: tuple[int, int, int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape)
    lines = Lines(*map(linear, shape, new_shape))
    z, y, x = (rng.integers(0, size, 20) for size in new_shape)
    which = np.array([3, 0, 19, 7])

    found = Points(lines, shape, (z, y, x)).values(values.ravel(), which)

    assert (found == between(values, lines)[z, y, x][which]).all()


def test_of_two_equally_near_voxels_the_one_above_is_taken() -> None:
    # The middle new voxel of three lies halfway between two old ones.
    assert nearest(2, 3).below.tolist() == [0, 1, 1]
    assert nearest(4, 2).below.tolist() == [1, 3]


def test_beyond_the_ends_the_last_voxel_goes_on() -> None:
    line = linear(2, 8)

    assert line.below.tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    assert line.above.tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
