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


def at(bands: np.ndarray, x_mm: float, y_mm: float) -> float:
    i, j = (round(v / mm + (n - 1) / 2) for v, mm, n in zip((x_mm, y_mm), SPACING, SHAPE, strict=True))
    return float(bands[i - 1 : i + 2, j - 1 : j + 2].mean())


def test_the_darkest_band_lies_between_two_pieces_of_metal():
    bands = streaks_hu(discs((-60.0, 0.0), (60.0, 0.0)), SPACING, 400.0)
    assert at(bands, 0, 0) < -200
    assert abs(at(bands, 0, 80)) < 40
    assert np.abs(bands).max() == pytest.approx(400, rel=0.15)


def test_bands_turn_with_the_metal():
    bands = streaks_hu(discs((0.0, -60.0), (0.0, 60.0)), SPACING, 400.0)
    assert at(bands, 0, 0) < -200
    assert abs(at(bands, 80, 0)) < 40


def test_no_metal_no_bands():
    assert not streaks_hu(np.zeros(SHAPE, np.float32), SPACING, 400.0).any()
