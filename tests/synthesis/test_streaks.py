"""Metal throws bands along the line that joins two pieces of it, and none without metal."""

from __future__ import annotations

import numpy as np
import pytest

from ctatlas.synthesis.streaks import streaks_hu

SHAPE, SPACING = (150, 121), (1.5, 1.9)


def discs(*centres_mm: tuple[float, float]) -> np.ndarray:
    x, y = ((np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(SHAPE, SPACING, strict=True))
    inside = [np.hypot(x[:, None] - a, y[None, :] - b) < 12 for a, b in centres_mm]
    return np.any(inside, axis=0).astype(np.float32)


def bands_of(*centres_mm: tuple[float, float]) -> np.ndarray:
    return streaks_hu(discs(*centres_mm), SPACING, 400.0, np.random.default_rng(0))


def at(bands: np.ndarray, x_mm: float, y_mm: float) -> float:
    i, j = (round(v / mm + (n - 1) / 2) for v, mm, n in zip((x_mm, y_mm), SPACING, SHAPE, strict=True))
    return float(bands[i - 4 : i + 5, j - 4 : j + 5].mean())


@pytest.mark.parametrize("turned", [False, True])
def test_the_darkest_band_lies_between_two_pieces_of_metal(turned):
    places = [(-60.0, 0.0), (60.0, 0.0)]
    bands = bands_of(*((y, x) if turned else (x, y) for x, y in places))
    beside = (80, 0) if turned else (0, 80)
    assert at(bands, 0, 0) < -50
    assert abs(at(bands, *beside)) < 0.4 * abs(at(bands, 0, 0))
    assert np.abs(bands).max() == pytest.approx(400, rel=0.3)


def test_one_piece_throws_dark_and_bright_rays():
    bands = bands_of((0.0, 0.0))
    x, y = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(SHAPE, SPACING, strict=True)), indexing="ij"
    )
    near, far = ((np.hypot(x, y) > low) & (np.hypot(x, y) < high) for low, high in ((16, 30), (85, 100)))
    assert np.percentile(bands[near], 5) < -50
    assert np.percentile(bands[near], 95) > 50
    assert bands[far].std() < 0.8 * bands[near].std()


def test_no_metal_no_bands():
    assert not streaks_hu(np.zeros(SHAPE, np.float32), SPACING, 400.0, np.random.default_rng(0)).any()
