from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.inference.certainty import entropy_map
from ctatlas.inference.decide import decide
from ctatlas.inference.restore import Slab, restore
from ctatlas.inference.route import Route, plan
from ctatlas.kernels.boxes import Box
from ctatlas.models import ModelCard, load
from ctatlas.volume.grid import Grid
from ctatlas.volume.scan import Volume
from tests.inference.scans import scans
from tests.reference import whole_volume
from tests.support_models import tiny_model


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    folder: Path = tmp_path_factory.mktemp("models") / "tiny"
    return load(tiny_model(folder, spacing_mm=[4.0, 3.0, 5.0], orientation="ILA")).card


def random_scores(route: Route, seed: int = 0) -> np.ndarray:
    shape = route.to_network(np.empty(route.coarse.shape)).shape
    return np.random.default_rng(seed).dirichlet(np.ones(4), shape).astype(np.float32).transpose(3, 0, 1, 2)


@given(volume=scans(), slab_voxels=st.integers(1, 3000))
def test_slabs_are_the_whole_volume_in_pieces(volume: Volume, slab_voxels: int, card: ModelCard) -> None:
    i, j, k = volume.grid.shape
    route = plan(volume.grid, card, Box((1, 0, 2), (i, j - 3, k - 1)))
    scores = random_scores(route)
    network = route.coarse.reoriented("ILA")
    expected = whole_volume.restored(scores, network, volume.grid)
    seen = np.zeros(volume.grid.shape, np.int64)
    for slab in restore(scores, route, slab_voxels=slab_voxels):
        seen[slab.box.slices] += 1
        for channel in range(4):
            found = slab.probability(channel)
            assert found.shape == slab.box.shape
            np.testing.assert_allclose(found, expected[(channel, *slab.box.slices)], atol=2e-6)
            assert found.max() <= slab.highest(channel) * (1 + 1e-6)
    assert seen[route.box.slices].all()
    assert seen.sum() == np.prod(route.box.shape)


def tall(n_slices: int, card: ModelCard) -> tuple[list[Slab], Grid]:
    grid = Grid((120, 100, n_slices), np.diag([1.0, 1.1, 1.2, 1]))
    route = plan(grid, card, Box((0, 0, 0), grid.shape))
    return restore(random_scores(route), route, slab_voxels=4 * 120 * 100), grid


def peak_beyond_output(n_slices: int, card: ModelCard, *, entropy: bool) -> int:
    slabs, grid = tall(n_slices, card)
    tracemalloc.start()
    if entropy:
        entropy_map(slabs, card, grid)
    else:
        decide(slabs, card, grid)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak - grid.n_voxels  # labels and entropy are one byte a voxel


@pytest.mark.parametrize("entropy", [False, True])
def test_twice_the_slices_need_no_more_memory_than_their_output(card: ModelCard, *, entropy: bool) -> None:
    low, high = (peak_beyond_output(n, card, entropy=entropy) for n in (60, 120))
    one_slab_of_one_class = 4 * 120 * 100 * 4
    assert low > one_slab_of_one_class  # else nothing was measured
    assert high < low + one_slab_of_one_class / 10


def test_slabs_hold_no_copy_of_the_probabilities(card: ModelCard) -> None:
    slabs, _ = tall(100, card)
    assert all(slab.planes.base is not None for slab in slabs)
