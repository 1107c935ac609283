from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctatlas.inference.prepare import body_box, normalised, prepare
from ctatlas.kernels.boxes import Box
from ctatlas.models import ModelCard, load
from ctatlas.models.cards import Channel, Input
from ctatlas.volume.grid import Grid
from ctatlas.volume.scan import Volume
from tests.support_models import tiny_model


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    folder: Path = tmp_path_factory.mktemp("models") / "tiny"
    return load(tiny_model(folder)).card


def test_box_has_a_margin_in_mm_on_every_side() -> None:
    body = np.zeros((60, 50, 40), np.bool_)
    body[20:30, 22:25, 1:39] = True
    grid = Grid(body.shape, np.diag([1.0, 5.0, 2.5, 1]))
    assert body_box(body, grid, margin_mm=12) == Box((8, 19, 0), (42, 28, 40))


def test_no_body_has_no_box() -> None:
    assert body_box(np.zeros((3, 4, 5), np.bool_), Grid((3, 4, 5), np.eye(4))) is None


def test_channels_are_clipped_shifted_and_scaled() -> None:
    wanted = Input(
        spacing_mm=(4, 4, 4),
        orientation="RAS",
        channels=(Channel(clip=(-200, 300), subtract=50, divide=100), Channel(clip=(-1000, 1000), divide=500)),
    )
    hu = np.array([-3000, -200, 50, 400, 2000], np.float32).reshape(5, 1, 1)
    found = normalised(hu, wanted)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0].ravel(), [-2.5, -2.5, 0, 2.5, 2.5])
    np.testing.assert_allclose(found[1].ravel(), [-2, -0.4, 0.1, 0.8, 2], rtol=1e-6)


def test_only_the_part_around_the_body_is_prepared(card: ModelCard) -> None:
    hu = np.full((40, 30, 20), -1000, np.int16)
    hu[10:20, 8:20, 6:14] = 40
    prepared = prepare(Volume(hu, Grid(hu.shape, np.diag([3.0, 3.0, 5.0, 1]))), card, hu > -500)
    assert prepared.route.box == Box((6, 4, 3), (24, 24, 17))
    # 18 x 20 voxels of 3 mm and 14 of 5 mm, at 4 mm.
    assert prepared.inputs.shape == (2, 14, 15, 18)
    assert prepared.inputs.dtype == np.float32
    assert prepared.body.shape == (14, 15, 18)


def test_body_on_the_networks_grid_misses_no_voxel_of_it(card: ModelCard) -> None:
    body = np.zeros((40, 30, 20), np.bool_)
    body[17, 13, 9] = True
    volume = Volume(np.zeros(body.shape, np.int16), Grid(body.shape, np.eye(4)))
    assert prepare(volume, card, body).body.any()


def test_what_is_not_a_number_is_padding(card: ModelCard) -> None:
    hu = np.full((20, 20, 20), np.nan, np.float32)
    body = np.ones(hu.shape, np.bool_)
    prepared = prepare(Volume(hu, Grid(hu.shape, np.eye(4))), card, body)
    np.testing.assert_allclose(prepared.inputs[0], -1, rtol=1e-6)  # padding_hu = -1000, channel 0 is HU / 1000


@pytest.mark.parametrize("body", [np.zeros((4, 5, 6), np.bool_), np.ones((5, 4, 6), np.bool_)])
def test_a_body_that_is_empty_or_of_another_shape_is_refused(body: np.ndarray, card: ModelCard) -> None:
    volume = Volume(np.zeros((4, 5, 6), np.int16), Grid((4, 5, 6), np.eye(4)))
    with pytest.raises(ValueError, match="expected its shape, and a body in it"):
        prepare(volume, card, body)
