from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.kernels.resample import along, linear_weights, shrink

positions = st.lists(st.floats(-3, 20, allow_nan=False), min_size=1, max_size=12).map(np.array)
lengths = st.integers(1, 17)
widths = st.floats(1, 9)


@given(positions, lengths)
def test_width_1_is_linear_interpolation_that_goes_on_beyond_the_ends(where: np.ndarray, n: int) -> None:
    line = np.random.default_rng(n).normal(size=n)
    expected = np.interp(where, np.arange(n), line)
    np.testing.assert_allclose(linear_weights(where, n) @ line, expected, rtol=1e-6, atol=1e-6)


@given(positions, lengths, widths)
def test_weights_are_a_mean(where: np.ndarray, n: int, width: float) -> None:
    dense = linear_weights(where, n, width).toarray()
    assert (dense >= 0).all()
    np.testing.assert_allclose(dense.sum(axis=1), 1, rtol=1e-6)


@given(st.integers(2, 7))
def test_wide_triangle_keeps_a_ramp_away_from_its_ends(width: int) -> None:
    ramp = np.arange(60.0)
    where = np.array([20, 20.5, 31.25])
    # Exact for whole widths: there a triangle's shifted samples always have the same sum and the same mean.
    np.testing.assert_allclose(linear_weights(where, 60, width) @ ramp, where, rtol=1e-5)


def test_wide_triangle_has_the_standard_deviation_it_promises() -> None:
    weights = linear_weights(np.array([50.0]), 101, 12.0).toarray()[0]
    spread = np.sqrt(weights @ (np.arange(101) - 50.0) ** 2)
    assert spread == pytest.approx(12 / np.sqrt(6), rel=0.01)


def test_along_works_on_the_first_axis_and_keeps_the_others() -> None:
    array = np.random.default_rng(1).normal(size=(5, 3, 4)).astype(np.float32)
    weights = linear_weights(np.array([0.5, 3.25]), 5)
    expected = np.einsum("mi,ijk->mjk", weights.toarray(), array)
    np.testing.assert_allclose(along(array, weights), expected, rtol=1e-6)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_shrink_is_the_three_matrices_one_after_the_other(order: str, dtype: type) -> None:
    array = np.random.default_rng(2).integers(-1000, 2000, (11, 8, 13)).astype(dtype, order=order)
    weights = tuple(
        linear_weights(np.arange(0.7, n, step), n, step) for n, step in zip(array.shape, (2, 1, 3.5), strict=True)
    )
    expected = np.einsum("ijk,xi,yj,zk->xyz", array, *(matrix.toarray() for matrix in weights))
    np.testing.assert_allclose(shrink(array, weights), expected, rtol=1e-4, atol=1e-2)


def test_shrink_reads_what_is_not_finite_as_fill() -> None:
    array = np.zeros((4, 5, 6), np.float32)
    array[1, 2, 3], array[2, 2, 3], array[3, 4, 5] = np.nan, np.inf, -np.inf
    clean = np.where(np.isfinite(array), array, -1000).astype(np.float32)
    weights = tuple(linear_weights(np.arange(0.5, n, 2), n, 2) for n in array.shape)
    np.testing.assert_array_equal(shrink(array, weights, -1000), shrink(clean, weights))


def test_shrink_never_holds_the_volume_in_float() -> None:
    array = np.zeros((80, 90, 100), np.int16, order="F")
    weights = tuple(linear_weights(np.arange(2.5, n, 5), n, 5) for n in array.shape)
    tracemalloc.start()
    shrink(array, weights)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < array.size * 4 / 5
