"""Drawn people: reproducible, plausible, right side right."""

import json

import numpy as np
import pytest

from ctatlas.anatomy import structures
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import draw_phantom
from ctatlas.synthesis.tables import organ_sizes, placement, tissues

STEP = 4.0
AXES = (np.arange(-250, 251, STEP), np.arange(-190, 191, STEP), np.arange(-340, 341, STEP))


def painted(seed):
    return paint(draw_phantom(np.random.default_rng(seed)), *AXES)


def mask(labels, structure):
    return np.isin(labels, [t.id for t in tissues().values() if t.structure == structure])


@pytest.fixture(scope="module")
def people():
    return [painted(seed) for seed in range(4)]


def test_the_same_seed_gives_the_same_person():
    one, two = (draw_phantom(np.random.default_rng(5)) for _ in range(2))
    assert one == two
    np.testing.assert_array_equal(painted(5), painted(5))


def test_the_record_holds_everything_and_is_json():
    record = draw_phantom(np.random.default_rng(3)).record()
    again = json.loads(json.dumps(record))
    assert again["subject"]["height_cm"] > 100
    assert {"liver", "spleen", "colon"} <= again["organs"].keys()
    assert len(again["soft"]) + len(again["bones"]) > 300


def test_the_liver_is_on_the_right_and_the_spleen_on_the_left(people):
    for labels in people:
        x = AXES[0]
        assert x[np.argwhere(mask(labels, "liver"))[:, 0]].mean() < -30
        assert x[np.argwhere(mask(labels, "spleen"))[:, 0]].mean() > 50


def test_lungs_lie_above_the_liver_and_kidneys_behind_it(people):
    for labels in people:
        centre = {
            name: np.argwhere(mask(labels, name)).mean(axis=0) for name in ("lung_right", "liver", "kidney_right")
        }
        assert centre["lung_right"][2] > centre["liver"][2]
        assert centre["kidney_right"][1] > centre["liver"][1]


def test_at_least_forty_structures_are_in_view(people):
    present = {t.structure for t in tissues().values() for labels in people if (labels == t.id).any()} - {"", "unknown"}
    assert len(present) >= 40


def test_a_finer_grid_shows_the_same_person():
    phantom = draw_phantom(np.random.default_rng(8))
    x, y, z = AXES[0], AXES[1], AXES[2][60:110]
    coarse = paint(phantom, x, y, z)
    fine = paint(phantom, *(np.arange(axis[0], axis[-1] + 1, STEP / 2) for axis in (x, y, z)))
    picked = fine[::2, ::2, ::2]
    same = (coarse == picked)[coarse > 0].mean()
    assert same > 0.95  # closing the lungs and the couch work in whole voxels


def test_tables_agree_with_each_other():
    groups = placement()["organs"].keys()
    assert organ_sizes().keys() <= groups
    known = structures().keys() | {"", "unknown"}
    assert {t.structure for t in tissues().values()} <= known
    named = {part[key] for part in placement()["parts"] for key in ("tissue", "inner", "gas") if part.get(key)}
    assert named <= tissues().keys()
