from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctatlas.inference.decide import decide
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


@pytest.mark.parametrize("concentration", [0.1, 1, 100])
def test_arg_max_is_that_of_all_classes_at_once(concentration: float, card: ModelCard) -> None:
    slabs, expected = made(card, concentration)
    first, second = np.sort(expected, axis=0)[[-1, -2]]
    clear = first - second > 1e-5
    labels = decide(slabs, card, GRID).combined({name: channel for channel, name in card.foreground.items()})
    np.testing.assert_array_equal(labels[BOX.slices][clear], expected.argmax(axis=0)[clear])
    assert clear.mean() > 0.9


def test_ties_go_to_the_lowest_channel(card: ModelCard) -> None:
    route = plan(GRID, card, BOX)
    scores = np.zeros((6, *route.coarse.shape), np.float32)
    scores[2], scores[4] = 0.5, 0.5
    found = decide(restore(scores, route), card, GRID)
    assert found.mask("spleen")[BOX.slices].all()
    assert not found.mask("stomach").any()


def test_nothing_is_found_outside_the_box(card: ModelCard) -> None:
    slabs, _ = made(card, 1)
    outside = np.ones(GRID.shape, np.bool_)
    outside[BOX.slices] = False
    assert not any(mask[outside].any() for _, mask in decide(slabs, card, GRID).items())


def test_more_classes_than_a_byte_holds(tmp_path: Path) -> None:
    names = [f"auxiliary_{number}" for number in range(300)]
    card = load(tiny_model(tmp_path / "many", names, role="auxiliary")).card
    route = plan(GRID, card, BOX)
    scores = np.zeros((301, *route.coarse.shape), np.float32)
    scores[299] = 1
    found = decide(restore(scores, route), card, GRID)
    assert found.mask("auxiliary_298")[BOX.slices].all()
    assert sum(found.n_voxels().values()) == np.prod(BOX.shape)


def test_thresholds_let_classes_share_voxels(alone: ModelCard) -> None:
    slabs, expected = made(alone, 100)  # all near 1/6
    shifted = [Slab(slab.box, slab.planes * 3, slab.weights) for slab in slabs]
    found = decide(shifted, alone, GRID)
    clear = np.abs(expected * 3 - 0.5) > 1e-5
    for channel, name in alone.foreground.items():
        here = clear[channel]
        np.testing.assert_array_equal(found.mask(name)[BOX.slices][here], (expected[channel] * 3 > 0.5)[here])
    assert (sum(mask.astype(int) for _, mask in found.items()) > 1).any()
