"""People who lack an organ, are small or wide, mirrored, filled with fluid or gas, or carry metal."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from ctatlas.errors import ModelError
from ctatlas.synthesis.conditions import conditions, draw_conditions
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import draw_phantom
from ctatlas.synthesis.tables import other_side, tissue_id, tissues

STEP = 6.0
AXES = (np.arange(-252, 253, STEP), np.arange(-190, 191, STEP), np.arange(-340, 341, STEP))


@cache
def painted(*names: str, seed: int = 0, sex: str | None = None) -> np.ndarray:
    return paint(draw_phantom(np.random.default_rng(seed), sex=sex, conditions=names), *AXES)


def structure(labels: np.ndarray, name: str) -> np.ndarray:
    return np.isin(labels, [tissue.id for tissue in tissues().values() if tissue.structure == name])


@pytest.mark.parametrize("name", [name for name, condition in conditions().items() if condition.removes])
def test_what_was_removed_is_gone_and_was_there(name):
    condition = conditions()[name]
    with_it, without_it = painted(name, sex=condition.sex or None), painted(sex=condition.sex or None)
    for organ in condition.removes:
        assert not structure(with_it, organ).any()
        assert structure(without_it, organ).any()


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_kidney_takes_its_vessels_along(side):
    with_it, without_it = painted(f"nephrectomy_{side}"), painted()
    for vessel in (f"renal_artery_{side}", f"renal_vein_{side}"):
        assert structure(without_it, vessel).any()
        assert not structure(with_it, vessel).any()
    other = {"left": "right", "right": "left"}[side]
    assert structure(with_it, f"renal_vein_{other}").any()


def test_situs_inversus_is_the_same_person_in_a_mirror():
    mirrored, usual = painted("situs_inversus"), painted()
    swap = np.arange(256)
    for tissue in tissues().values():
        swap[tissue.id] = tissue_id(other_side(tissue.name))
    couch = np.isin(usual, [tissue_id("table_foam"), tissue_id("table_shell")])
    np.testing.assert_array_equal(mirrored[::-1][~couch], swap[usual][~couch])
    x = AXES[0]
    assert x[np.nonzero(structure(mirrored, "liver"))[0]].mean() > 30  # to the left
    assert x[np.nonzero(structure(mirrored, "kidney_left"))[0]].mean() > 30


@pytest.mark.parametrize(("name", "tissue"), [("ascites", "ascites"), ("free_gas", "free_gas")])
def test_fluid_and_gas_take_fat_and_no_organ(name, tissue):
    with_it, without_it = painted(name), painted()
    changed = with_it != without_it
    assert (with_it[changed] == tissue_id(tissue)).all()
    assert changed.sum() * STEP**3 / 1000 > 20
    assert (without_it[changed] == tissue_id("visceral_fat")).all()


def test_gas_lies_in_front_of_fluid():
    labels = painted("ascites", "free_gas")
    y = AXES[1]
    front, back = (y[np.nonzero(labels == tissue_id(name))[1]].mean() for name in ("free_gas", "ascites"))
    assert front < back


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_hip_prosthesis_lies_where_the_hip_is(side):
    metal = painted(f"hip_prosthesis_{side}") == tissue_id("implant")
    x = AXES[0][np.nonzero(metal)[0]]
    assert metal.sum() * STEP**3 / 1000 > 20
    assert (x > 0).all() if side == "left" else (x < 0).all()


def test_children_are_small_and_the_obese_wide():
    def people(*names):
        return [draw_phantom(np.random.default_rng(seed), conditions=names) for seed in range(4)]

    def mean_liver_ml(persons):
        return np.mean([person.organs["liver"]["target_ml"] for person in persons])

    assert all(person.subject.height_cm <= 150 for person in people("child"))
    assert mean_liver_ml(people("child")) < 0.7 * mean_liver_ml(people())
    assert all(person.subject.fat_mm >= 40 for person in people("obese"))


def test_conditions_occur_as_often_as_their_table_says():
    rng = np.random.default_rng(0)
    people = [draw_conditions(rng, "female") for _ in range(4000)]
    for name, condition in conditions().items():
        share = np.mean([name in person for person in people])
        expected = condition.share if condition.sex in ("", "female") else 0
        assert share == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 4000) * max(condition.share, 0.01) ** 0.5)


def test_an_unknown_condition_is_named():
    with pytest.raises(ModelError, match=r"no condition gout; known: child, obese"):
        draw_phantom(np.random.default_rng(0), conditions=("gout",))
