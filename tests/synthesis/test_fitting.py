"""Organs have the volumes that were drawn for them, measured on grids that the fitting never saw."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from ctatlas.synthesis.fitting import SMALL_ML, drawn_ml, fitted, painted_ml, trunk_mm
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import Phantom, draw_phantom


@cache
def old_person() -> Phantom:
    """Draw someone between the lobules of whose pancreas lies much fat."""
    drawn = draw_phantom(np.random.default_rng(1), conditions=())
    organs = drawn.organs | {"pancreas": drawn.organs["pancreas"] | {"clefts_mm": 5.0}}
    soft = tuple(replace(part, clefts=5.0) if part.tissue == "pancreas" else part for part in drawn.soft)
    return replace(drawn, organs=organs, soft=soft)


@cache
def fitted_old_person() -> Phantom:
    return fitted(old_person())


def off_on_trunk(phantom: Phantom) -> dict[str, float]:
    step_mm = 2.2
    axes = [np.arange(low + 0.7, high, step_mm) for low, high in trunk_mm(phantom)]
    painted = painted_ml(paint(phantom, *axes), step_mm**3)
    large = {name: ml for name, ml in drawn_ml(phantom).items() if ml > SMALL_ML}
    assert len(large) >= 9
    return {name: painted[name] / ml - 1 for name, ml in large.items()}


def test_painted_volumes_are_within_three_percent_of_the_drawn_ones():
    off = off_on_trunk(fitted_old_person())
    assert off == pytest.approx(dict.fromkeys(off, 0), abs=0.03)


@pytest.mark.soak
@pytest.mark.parametrize(("seed", "conditions"), [(2, ("child",)), (3, ("situs_inversus", "ascites")), (4, ("obese",))])
def test_so_they_are_in_people_of_other_kinds(seed, conditions):
    off = off_on_trunk(fitted(draw_phantom(np.random.default_rng(seed), conditions=conditions)))
    assert off == pytest.approx(dict.fromkeys(off, 0), abs=0.03)


@pytest.mark.parametrize("name", ["adrenal_gland_left", "adrenal_gland_right"])
def test_small_organs_too_on_a_fine_grid(name):
    phantom = fitted_old_person()
    parts = [part.shape.bounds() for part in phantom.soft if part.organ == name]
    low, high = np.min([low for low, _ in parts], axis=0) - 20, np.max([high for _, high in parts], axis=0) + 20
    axes = [np.arange(a * phantom.scale + 0.3, b * phantom.scale, 0.7) for a, b in zip(low, high, strict=True)]
    assert painted_ml(paint(phantom, *axes), 0.7**3)[name] == pytest.approx(drawn_ml(phantom)[name], rel=0.03)


def test_fitting_changes_sizes_and_nothing_else():
    drawn, found = old_person(), fitted_old_person()
    assert found.subject == drawn.subject
    assert found.bones == drawn.bones
    assert [part.tissue for part in found.soft] == [part.tissue for part in drawn.soft]
    assert found.organs["spleen"]["scale"] != drawn.organs["spleen"]["scale"]
