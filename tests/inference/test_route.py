from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from ctatlas.inference.route import Route, plan
from ctatlas.kernels.boxes import Box
from ctatlas.kernels.resample import shrink
from ctatlas.models import ModelCard, load
from ctatlas.volume.scan import Volume
from tests.inference.scans import scans
from tests.support_models import tiny_model


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    folder: Path = tmp_path_factory.mktemp("models") / "tiny"
    return load(tiny_model(folder, spacing_mm=[2.0, 3.0, 4.5], orientation="SRP")).card


def route_of(volume: Volume, card: ModelCard) -> Route:
    i, j, k = volume.grid.shape
    return plan(volume.grid, card, Box((1, 2, 3), (i - 2, j - 1, k)))


@given(volume=scans())
def test_network_grid_has_the_spacing_and_directions_of_the_card(volume: Volume, card: ModelCard) -> None:
    route = route_of(volume, card)
    network = route.coarse.reoriented("SRP")
    np.testing.assert_allclose(network.spacing_mm, (2.0, 3.0, 4.5), rtol=1e-9)
    assert route.to_network(np.zeros(route.coarse.shape)).shape == network.shape


@given(volume=scans())
def test_way_back_undoes_the_turn(volume: Volume, card: ModelCard) -> None:
    route = route_of(volume, card)
    array = np.arange(route.coarse.n_voxels).reshape(route.coarse.shape)
    there = np.stack([route.to_network(array), -route.to_network(array)])
    np.testing.assert_array_equal(route.from_network(there), np.stack([array, -array]))


@given(volume=scans())
def test_a_ramp_in_world_space_stays_where_it_is(volume: Volume, card: ModelCard) -> None:
    route = route_of(volume, card)
    # One coordinate in mm of every voxel's place: only resampling that knows where voxels lie can keep it.
    voxels = np.stack(np.meshgrid(*map(np.arange, volume.grid.shape), indexing="ij"), axis=-1)
    heights = (volume.grid.world(voxels) @ (0.3, 0.5, 0.8)).astype(np.float32)
    coarse = np.stack(np.meshgrid(*map(np.arange, route.coarse.shape), indexing="ij"), axis=-1)
    expected = route.coarse.world(coarse) @ (0.3, 0.5, 0.8)
    # The samples under a triangle are centred on it to half a voxel, exactly only where its width is a whole number.
    tolerance = 0.5 * sum(volume.grid.spacing_mm) + 0.01
    inner = tuple(slice(n // 4, n - n // 4) for n in route.coarse.shape)
    assert np.abs(shrink(heights, route.shrinking()) - expected)[inner].max(initial=0) < tolerance


@given(volume=scans())
def test_stretching_interpolates_at_the_voxels_of_the_box(volume: Volume, card: ModelCard) -> None:
    route = route_of(volume, card)
    boxed = volume.grid.crop(route.box.lo, route.box.hi)
    for axis, matrix in enumerate(route.stretching()):
        ends = np.zeros((boxed.shape[axis], 3))
        ends[:, axis] = np.arange(boxed.shape[axis])
        places = route.coarse.voxel(boxed.world(ends))[:, axis].clip(0, route.coarse.shape[axis] - 1)
        np.testing.assert_allclose(matrix @ np.arange(route.coarse.shape[axis]), places, atol=1e-4)
