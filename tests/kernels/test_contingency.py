from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.kernels import contingency as module
from ctatlas.kernels.boxes import bounding_box

WAYS = [module._by_loops, module._by_numpy]


def index_of(numbers: dict[int, int], dtype: type) -> np.ndarray:
    index = np.zeros(np.iinfo(dtype).max + 1, np.int64)
    index[list(numbers)] = list(numbers.values())
    return index


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@given(st.integers(0, 10**6))
def test_counts_and_boxes_are_those_of_every_pair_of_masks(way, dtype, seed) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 20, 3).tolist())
    a, b = (np.repeat(rng.choice(np.array([0, 0, 4, 6, 9], dtype), shape), 3, axis=2) for _ in range(2))
    numbers_a, numbers_b = {4: 1, 6: 3, 250: 2}, {9: 1, 4: 2}
    found = way(a, b, index_of(numbers_a, dtype), index_of(numbers_b, dtype))
    assert found.counts.sum() == a.size
    for label_a, n in numbers_a.items():
        assert found.boxes_a[n] == bounding_box(a == label_a)
        assert found.counts[n].sum() == np.count_nonzero(a == label_a)
        for label_b, m in numbers_b.items():
            assert found.counts[n, m] == np.count_nonzero((a == label_a) & (b == label_b))
    for label_b, m in numbers_b.items():
        assert found.boxes_b[m] == bounding_box(b == label_b)
    assert found.boxes_a[0] is None
    assert found.boxes_b[0] is None


@pytest.mark.parametrize("way", WAYS)
def test_no_voxel_at_all(way) -> None:
    nothing, index = np.zeros((0, 0, 0), np.uint8), index_of({1: 1}, np.uint8)
    found = way(nothing, nothing, index, index)
    assert found.counts.tolist() == [[0, 0], [0, 0]]
    assert found.boxes_a == (None, None)


def test_maps_that_do_not_fit_are_refused() -> None:
    index = index_of({1: 1}, np.uint8)
    with pytest.raises(ValueError, match="expected one shape and type"):
        module.contingency(np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 3), np.uint8), index, index)
