"""Organs that grow and move while their surroundings follow."""

import numpy as np
import pytest

from ctatlas.synthesis.cases import structure_ids
from ctatlas.synthesis.deformation import deformation
from ctatlas.synthesis.organ_moves import LOG_SCALE_LIMIT, organ_moves, organ_velocity
from ctatlas.synthesis.tables import tissue_id

STEP = 3.0


@pytest.fixture(scope="module")
def abdomen():
    """A liver of 4 L, a spine, fat around them."""
    labels = np.full((100, 80, 90), tissue_id("visceral_fat"), dtype=np.uint8)
    x, y, z = np.indices(labels.shape) * STEP
    labels[(x - 105) ** 2 + (y - 100) ** 2 + (z - 140) ** 2 < 97**2] = tissue_id("liver")
    labels[(x - 150) ** 2 + (y - 205) ** 2 < 20**2] = tissue_id("vertebra_spongiosa")
    return labels


def moved(labels, seed):
    velocity = organ_velocity(np.random.default_rng(seed), labels, STEP, "female")
    return deformation(velocity, labels.shape, STEP).carried(labels)[0]


def test_every_row_names_structures_that_are_drawn():
    known = set(structure_ids()[1].values())
    assert {name for move in organ_moves() for name in move.structures} <= known


def test_a_huge_liver_shrinks_towards_the_table_and_leaves_no_gap(abdomen):
    liver = tissue_id("liver")
    before = (abdomen == liver).sum()
    shares = [(moved(abdomen, seed) == liver).sum() / before for seed in range(6)]
    assert np.median(shares) < 0.75
    assert min(shares) > np.exp(-3 * LOG_SCALE_LIMIT) - 0.15
    assert set(np.unique(moved(abdomen, 0))) == set(np.unique(abdomen))


def test_bones_hardly_move(abdomen):
    spine = tissue_id("vertebra_spongiosa")
    for seed in range(3):
        now = moved(abdomen, seed) == spine
        was = abdomen == spine
        assert 2 * (now & was).sum() / (now.sum() + was.sum()) > 0.85


def test_an_organ_that_the_scan_cuts_keeps_its_size(abdomen):
    cut = abdomen[:, :, 45:]
    assert (cut == tissue_id("liver")).any(axis=(0, 1))[0]
    liver = tissue_id("liver")
    changes = [(moved(cut, seed) == liver).sum() / (cut == liver).sum() for seed in range(4)]
    assert min(changes) > 0.85


def test_the_same_seed_moves_the_same_way(abdomen):
    np.testing.assert_array_equal(moved(abdomen, 7), moved(abdomen, 7))
