"""Organs have the volumes that were drawn for them, measured on grids that the fitting never saw."""

from __future__ import annotations

import numpy as np
import pytest

from ctatlas.synthesis.fitting import SMALL_ML, drawn_ml, fitted, painted_ml, trunk_mm
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import draw_phantom


@pytest.mark.parametrize(
    ("seed", "conditions"),
    [
        (1, ()),
        pytest.param(2, ("child",), marks=pytest.mark.soak),
        pytest.param(3, ("situs_inversus", "ascites"), marks=pytest.mark.soak),
    ],
)
def test_painted_volumes_are_within_three_percent_of_the_drawn_ones(seed, conditions):
    phantom = fitted(draw_phantom(np.random.default_rng(seed), conditions=conditions))
    step_mm = 2.2
    axes = [np.arange(low + 0.7, high, step_mm) for low, high in trunk_mm(phantom)]
    painted = painted_ml(paint(phantom, *axes), step_mm**3)
    drawn = {name: ml for name, ml in drawn_ml(phantom).items() if ml > SMALL_ML}
    assert len(drawn) >= 9
    assert {name: painted[name] / ml for name, ml in drawn.items()} == pytest.approx(dict.fromkeys(drawn, 1), abs=0.03)


def test_small_organs_too_on_a_fine_grid():
    phantom = fitted(draw_phantom(np.random.default_rng(1), conditions=()))
    for name in ("adrenal_gland_left", "adrenal_gland_right"):
        parts = [part.shape.bounds() for part in phantom.soft if part.organ == name]
        low, high = np.min([low for low, _ in parts], axis=0) - 20, np.max([high for _, high in parts], axis=0) + 20
        axes = [np.arange(a * phantom.scale + 0.3, b * phantom.scale, 0.7) for a, b in zip(low, high, strict=True)]
        assert painted_ml(paint(phantom, *axes), 0.7**3)[name] == pytest.approx(drawn_ml(phantom)[name], rel=0.03)


def test_fitting_changes_sizes_and_nothing_else():
    drawn = draw_phantom(np.random.default_rng(4), conditions=())
    found = fitted(drawn)
    assert found.subject == drawn.subject
    assert found.bones == drawn.bones
    assert [part.tissue for part in found.soft] == [part.tissue for part in drawn.soft]
    assert found.organs["spleen"]["scale"] != drawn.organs["spleen"]["scale"]
