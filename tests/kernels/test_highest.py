from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="module")
def numbers() -> np.ndarray:
    """Return all halves, what lies between them, and what lies a hair beside that."""
    halves = np.arange(0, 31743, dtype=np.uint16).view(np.float16).astype(np.float64)
    middles = (halves[1:] + halves[:-1]) / 2
    beside = [np.nextafter(middles, to) for to in (np.inf, 0)]
    found = np.concatenate([halves, middles, *beside, [65519.99, 65520.0, 1e9]])
    return np.concatenate([found, -found])


def test_every_number_is_rounded_to_the_half_of_a_conversion(numbers: np.ndarray) -> None:
    pytest.importorskip("numba")
    from ctatlas.kernels.loops.highest import rounded_to_half

    with np.errstate(over="ignore"):
        expected = numbers.astype(np.float16).astype(np.float64)

    assert [rounded_to_half(each) for each in numbers] == expected.tolist()
