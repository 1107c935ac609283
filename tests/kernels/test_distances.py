from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt, gaussian_filter

from ctatlas.kernels import distances

# At 0.7, 1.1 or 0.3 mm a voxel, squares that are equal in mathematics often differ in their last bit.
SPACINGS = [(0.8, 0.8, 1.25), (0.7, 0.7, 0.7), (1.1, 1.1, 1.1), (0.3, 0.3, 0.6), (0.6, 0.7, 0.8), (3.0, 2.0, 1.0)]
WAYS = [distances._by_loops, distances._by_transform, distances._by_tree]


def scattered(rng: np.random.Generator, shape: tuple[int, int, int], n: int) -> np.ndarray:
    """Return sorted lattice points, without repetition."""
    flat = np.sort(rng.choice(np.prod(shape), size=min(n, int(np.prod(shape))), replace=False))
    return np.stack(np.unravel_index(flat, shape), axis=1).astype(np.int32)


def by_scipy(queries: np.ndarray, points: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    away = np.ones(np.maximum(queries.max(axis=0), points.max(axis=0)) + 1, bool)
    away[tuple(points.T)] = False
    return np.asarray(distance_transform_edt(away, sampling=spacing))[tuple(queries.T)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
@pytest.mark.parametrize("n_points", [1, 5, 60, 3000])
def test_distances_are_those_of_scipy_to_the_last_bit(way, spacing, n_points) -> None:
    rng = np.random.default_rng(n_points)
    shape = (23, 31, 18)
    queries, points = scattered(rng, shape, 4000), scattered(rng, shape, n_points)
    assert np.array_equal(way(queries, points, spacing, turned=False), by_scipy(queries, points, spacing))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
def test_surfaces_with_many_ties(way, spacing) -> None:
    """From the inside of a sphere and of a box much is equally near."""
    z, y, x = np.indices((33, 29, 31)) - np.array([16, 14, 15])[:, None, None, None]
    ball = np.isin(x * x + y * y + z * z, range(120, 150))
    box = np.maximum(np.maximum(abs(x), abs(y)), abs(z)) == 9
    rough = gaussian_filter(np.random.default_rng(3).standard_normal(ball.shape), 2) > 0.05
    for surface in (ball, box, rough):
        points = np.argwhere(surface).astype(np.int32)
        queries = np.argwhere(~surface).astype(np.int32)
        assert np.array_equal(way(queries, points, spacing, turned=False), by_scipy(queries, points, spacing))


@pytest.mark.parametrize("way", WAYS)
def test_axes_in_reverse_order_change_no_bit(way) -> None:
    rng = np.random.default_rng(5)
    spacing = (0.7, 0.9, 1.1)
    queries, points = scattered(rng, (19, 22, 25), 2000), scattered(rng, (19, 22, 25), 300)
    expected = by_scipy(queries, points, spacing)
    order = np.lexsort(points.T)  # by the last axis first
    turned = np.ascontiguousarray(points[order][:, ::-1])
    assert np.array_equal(way(queries[:, ::-1], turned, spacing[::-1], turned=True), expected)


@given(st.integers(0, 10**6), st.integers(1, 200), st.tuples(*[st.floats(0.2, 6)] * 3))
def test_all_ways_agree_at_any_spacing(seed, n_points, spacing) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 30, 3).tolist())
    queries, points = scattered(rng, shape, 300), scattered(rng, shape, n_points)
    one, *others = (way(queries, points, spacing, turned=False) for way in WAYS)
    assert all(np.array_equal(one, other) for other in others)


@pytest.mark.parametrize("has_numba", [True, False])
def test_points_far_away_take_neither_memory_nor_time(monkeypatch, has_numba) -> None:
    """The box around them has 10**12 corners."""
    monkeypatch.setattr(distances, "has_numba", lambda: has_numba)
    points = np.array([[5, 5, 5], [1000, 1000, 10**6]], np.int32)
    queries = np.array([[5, 5, 9], [1000, 1000, 10**6 - 50], [0, 0, 40000]], np.int32)
    found = distances.nearest_mm(queries, points, (1.0, 1.0, 1.0))
    assert found.tolist() == [4, 50, np.sqrt(float(39995**2 + 25 + 25))]


def test_nobody_asks() -> None:
    assert distances.nearest_mm(np.zeros((0, 3), np.int32), np.zeros((1, 3), np.int32), (1.0, 1.0, 1.0)).shape == (0,)
