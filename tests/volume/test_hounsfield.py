from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.volume import Grid, Volume, not_hounsfield
from ctatlas.volume.hounsfield import HounsfieldValues


def collected(*pieces: np.ndarray, slope: float = 1.0, intercept: float = 0.0) -> np.ndarray:
    values = HounsfieldValues((sum(len(piece) for piece in pieces), 1, 1), "scan")
    for piece in pieces:
        values.put(piece, slope, intercept)
    return values.array().ravel()


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_whole_numbers_become_int16(dtype: str) -> None:
    array = collected(np.array([0, 1, 100], dtype))
    assert array.dtype == np.int16
    assert array.tolist() == [0, 1, 100]


def test_the_first_fraction_widens_and_keeps_what_came_before() -> None:
    array = collected(np.array([-1024.0, 40.0]), np.array([0.25, 7.0]))
    assert array.dtype == np.float32
    assert array.tolist() == [-1024.0, 40.0, 0.25, 7.0]


@pytest.mark.parametrize("value", [32768, -32769, 65535])
def test_what_does_not_fit_int16_widens(value: int) -> None:
    array = collected(np.array([0], np.int16), np.array([value], np.int32))
    assert array.dtype == np.float32
    assert array.tolist() == [0, value]


def test_rescale_does_not_overflow_the_stored_type() -> None:
    assert collected(np.array([0, 65535], np.uint16), intercept=-1024).tolist() == [-1024, 64511]
    assert collected(np.array([250], np.uint8), slope=10, intercept=-1000).tolist() == [1500]


@given(st.lists(st.integers(-32768, 32767), min_size=1), st.floats(0.001, 4), st.floats(-2000, 2000))
def test_rescale_is_slope_times_stored_plus_intercept(stored: list[int], slope: float, intercept: float) -> None:
    array = collected(np.array(stored, np.int16), slope=slope, intercept=intercept)
    assert np.allclose(array, np.array(stored, float) * slope + intercept, rtol=1e-6, atol=0.01)


@given(st.lists(st.integers(0, 65535), min_size=1), st.integers(-2000, 2000))
def test_integer_rescale_is_exact(stored: list[int], intercept: int) -> None:
    array = collected(np.array(stored, np.uint16), intercept=float(intercept))
    assert array.tolist() == [value + intercept for value in stored]


def test_what_is_no_number_becomes_padding_and_is_counted() -> None:
    values = HounsfieldValues((5, 1, 1), "scan")
    values.put(np.array([np.nan, np.inf, -np.inf, 1e300, 40.0]))
    assert values.n_not_finite == 4
    assert values.array().ravel().tolist() == [-1024, -1024, -1024, -1024, 40]
    assert values.array().dtype == np.int16


def test_padding_is_set_after_rescale() -> None:
    values = HounsfieldValues((3, 1, 1), "scan")
    values.put(np.array([-2000, 0, 1], np.int16), intercept=-1024, padding=np.array([True, False, False]))
    assert values.array().ravel().tolist() == [-1024, -1024, -1023]


def test_the_array_is_filled_first_index_fastest() -> None:
    values = HounsfieldValues((2, 3, 1), "scan")
    values.put(np.arange(6, dtype=np.int16))
    assert values.array()[:, 0, 0].tolist() == [0, 1]


def body(low: int = -1000, high: int = 900) -> np.ndarray:
    rng = np.random.default_rng(3)
    array = np.full((40, 30, 20), low, np.int16)
    array[8:32, 6:24] = rng.integers(-110, 120, (24, 18, 20))
    array[15:18, 10:12] = high
    return array


def verdict(array: np.ndarray) -> str | None:
    kept = array if array.dtype in (np.int16, np.float32) else array.astype(np.float32)
    return not_hounsfield(Volume(kept, Grid(array.shape, np.eye(4))))


@pytest.mark.parametrize("low", [-1000, -1024, -3024])
def test_a_body_in_air_passes(low: int) -> None:
    array = body(low)
    array[0, 0, 0] = -1000
    array[1, :5] = -1000
    assert verdict(array) is None


def test_a_lung_only_scan_passes() -> None:
    array = np.full((20, 20, 20), -850, np.int16)
    array[:2] = 30
    assert verdict(array) is None


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((9, 8, 7), np.int16), "the same value"),
        (np.full((9, 8, 7), -3024, np.int16), "below -1024"),
        (np.clip((body() + 160) * 255 // 400, 0, 255).astype(np.int16), "display window"),
        ((body() > 0).astype(np.int16), "labels"),
        (np.clip(body(), -160, 240), "below -200 HU"),
        (body() + 1024, "below -200 HU"),
        (np.abs(body()).astype(np.float32) * 3, "below -200 HU"),
        (body() * 30, "hardly any|above 3200"),
        (np.random.default_rng(1).integers(-1024, -900, (9, 8, 7)).astype(np.int16), "soft tissue"),
    ],
)
def test_what_cannot_be_hu_is_named(array: np.ndarray, reason: str) -> None:
    found = verdict(array)
    assert found is not None
    assert "\n" not in found
    assert re.search(reason, found)
