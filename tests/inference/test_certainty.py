from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy.special import entr

from ctatlas.inference.certainty import ProbabilityMaps, entropy_map
from ctatlas.inference.restore import Slab, restore
from ctatlas.inference.route import plan
from ctatlas.kernels.boxes import Box
from ctatlas.models import ModelCard, load
from ctatlas.volume.grid import Grid
from tests.reference import whole_volume
from tests.support_models import tiny_model

CLASSES = ("liver", "spleen", "aorta", "stomach", "colon")
GRID = Grid((31, 26, 23), np.diag([1.5, 2.0, 2.5, 1]))
BOX = Box((2, 0, 3), (31, 24, 21))


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    return load(tiny_model(tmp_path / "tiny", CLASSES)).card


@pytest.fixture
def alone(tmp_path: Path) -> ModelCard:
    return load(tiny_model(tmp_path / "alone", CLASSES, decide="threshold")).card


def made(card: ModelCard, concentration: float, seed: int = 0) -> tuple[list[Slab], np.ndarray]:
    """Return slabs and, of all classes at all voxels, what they should hold."""
    route = plan(GRID, card, BOX)
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.full(6, concentration), route.coarse.shape).astype(np.float32).transpose(3, 0, 1, 2)
    expected = whole_volume.restored(scores, route.coarse, GRID)[(slice(None), *BOX.slices)]
    return restore(scores, route, slab_voxels=2000), expected


def test_probabilities_are_in_255ths_of_the_classes_asked_for(card: ModelCard) -> None:
    slabs, expected = made(card, 0.3)
    maps = ProbabilityMaps(slabs, {"aorta": 3, "colon": 5}, GRID)
    assert list(maps) == ["aorta", "colon"]
    for name, found in maps.items():
        assert found.dtype == np.uint8
        assert np.abs(found[BOX.slices] - expected[maps.channels[name]] * 255).max() <= 0.5 + 1e-3
        found[BOX.slices] = 0
        assert not found.any()


def test_only_one_map_is_ever_held(card: ModelCard) -> None:
    grid = Grid((90, 80, 120), np.eye(4))
    route = plan(grid, card, Box((0, 0, 0), grid.shape))
    slabs = restore(np.full((6, *route.coarse.shape), 1 / 6, np.float32), route, slab_voxels=90 * 80)
    maps = ProbabilityMaps(slabs, {name: channel for channel, name in card.foreground.items()}, grid)
    tracemalloc.start()
    totals = [int(found.sum()) for found in maps.values()]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(totals) == 5
    assert peak < 2.5 * grid.n_voxels  # two while one takes the place of the other, and a slab


@pytest.mark.parametrize("concentration", [0.05, 1, 1e5])
def test_entropy_is_shannons_over_the_largest_possible(concentration: float, card: ModelCard) -> None:
    slabs, expected = made(card, concentration)
    found = entropy_map(slabs, card, GRID)
    shannon = entr(expected.clip(0, 1)).sum(axis=0) / np.log(6)
    assert found.dtype == np.uint8
    assert np.abs(found[BOX.slices] - shannon * 255).max() <= 1
    found[BOX.slices] = 0
    assert not found.any()


def test_equal_probabilities_are_the_most_doubtful(card: ModelCard) -> None:
    route = plan(GRID, card, BOX)
    slabs = restore(np.full((6, *route.coarse.shape), 1 / 6, np.float32), route)
    assert (entropy_map(slabs, card, GRID)[BOX.slices] == 255).all()


def test_entropy_of_classes_alone_is_that_of_the_most_doubtful(alone: ModelCard) -> None:
    slabs, expected = made(alone, 0.3)
    doubts = (entr(expected.clip(0, 1)) + entr(1 - expected.clip(0, 1))) / np.log(2)
    found = entropy_map(slabs, alone, GRID)[BOX.slices]
    assert np.abs(found - doubts.max(axis=0) * 255).max() <= 1
