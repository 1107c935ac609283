"""The schemes of others, on what their own programs gave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctatlas.inference.predict import predict
from ctatlas.inference.prepare import Prepared, prepare
from ctatlas.inference.route import Route
from ctatlas.inference.windows import monai_weights, nnunet_weights
from ctatlas.models import Model, ModelCard, load
from ctatlas.models.cards import Channel
from ctatlas.volume import Grid, Volume
from ctatlas.volume.orientation import Turn
from tests.reference.golden_fill import numbers
from tests.support_models import tiny_model

AS_IT_IS = Turn((0, 1, 2), (False, False, False))
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    """Return a card as of the published networks: 1.5 mm, RAS, [-175, 250] HU on [0, 1]."""
    found = load(tiny_model(tmp_path_factory.mktemp("m") / "tiny", spacing_mm=[1.5, 1.5, 1.5])).card
    seen = found.input.model_copy(
        update={"channels": (Channel(clip=(-175, 250), subtract=-175, divide=425),), "sampling": "points"}
    )
    classes = found.classes[1:]
    numbered = tuple(each.model_copy(update={"channel": number}) for number, each in enumerate(classes))
    return found.model_copy(update={"input": seen, "classes": numbered, "decide": "threshold"})


@dataclass(frozen=True)
class Predictor:
    """Three channels: 2 x + 1; x r(i) + mean of the window; r(j) r(k), with r from 0 to 1 along the window."""

    workers: int = 1
    n_channels: int = 1
    n_classes: int = 3

    def logits(self, windows: np.ndarray) -> np.ndarray:
        x = windows[:, 0].astype(np.float64)
        ramp = np.linspace(0, 1, 16)
        one = 2 * x + 1
        two = x * ramp[:, None, None] + x.mean(axis=(1, 2, 3), keepdims=True)
        three = np.broadcast_to(ramp[:, None] * ramp, x.shape)
        return np.stack([one, two, three], axis=1).astype(np.float32)


@pytest.mark.parametrize(("name", "overlap"), [("sw_a", 0.75), ("sw_b", 0.5)])
def test_windows_of_monai_are_laid_weighed_and_blended_as_theirs(name: str, overlap: float, card: ModelCard) -> None:
    expected = np.load(GOLDEN / "sliding_window.npz")[name][0]
    volume = (0.5 + 0.5 * numbers("sw", 17160)).astype(np.float32).reshape(40, 33, 13)
    window = card.window.model_copy(update={"shape": (16, 16, 16), "overlap": overlap, "scheme": "monai-0.9"})
    seen = card.model_copy(update={"window": window, "input": card.input.model_copy(update={"padding_hu": -175.0})})
    grid = Grid(volume.shape, np.eye(4))
    route = Route(grid, grid, grid, AS_IT_IS)
    found = predict(Prepared(volume[None], np.ones(volume.shape, bool), route), Model(seen, Predictor()))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-expected.astype(np.float64))), atol=2e-6)


@pytest.mark.parametrize("length", [16, 96])
def test_weights_of_monai_are_theirs(length: int) -> None:
    profile = np.load(GOLDEN / "sliding_window.npz")[f"importance_profile{length}"]
    weights = monai_weights((length, length, length))
    middle = length // 2
    np.testing.assert_allclose(weights[:, middle, middle], np.maximum(profile, 1e-3), atol=2e-6)
    assert weights.min() == np.float32(1e-3)
    assert length == 16 or 0.55 < (weights == weights.min()).mean() < 0.61


@pytest.mark.parametrize("window", [(16, 20, 9), (7, 32, 12)])
def test_weights_of_nnunet_are_theirs(window: tuple[int, int, int]) -> None:
    impulse = np.zeros(window)
    impulse[tuple(length // 2 for length in window)] = 1
    smooth = gaussian_filter(impulse, [length / 8 for length in window], mode="constant")
    expected = (smooth / smooth.max() * 10).astype(np.float16)
    expected[expected == 0] = expected[expected > 0].min()
    np.testing.assert_allclose(nnunet_weights(window), expected.astype(np.float32), rtol=2e-3)


def test_logits_of_windows_that_no_one_looked_through_are_no_findings(card: ModelCard) -> None:
    volume = np.zeros((40, 16, 16), np.float32)
    body = np.zeros(volume.shape, bool)
    body[:4] = True
    window = card.window.model_copy(update={"shape": (16, 16, 16), "scheme": "monai-0.9"})
    grid = Grid(volume.shape, np.eye(4))
    found = predict(
        Prepared(volume[None], body, Route(grid, grid, grid, AS_IT_IS)),
        Model(card.model_copy(update={"window": window}), Predictor()),
    )
    assert found[0, :16].min() > 0.7  # 2 x 0 + 1 as a logit
    assert not found[:, 17:].any()


@pytest.mark.parametrize("order", ["RAS", "LPS", "ILA"])
def test_a_scan_is_resampled_scaled_and_cropped_as_monai_does(order: str, card: ModelCard) -> None:
    golden = np.load(GOLDEN / "preprocess.npz")
    volume = Volume(golden["ct"], Grid(golden["ct"].shape, golden["affine"])).reoriented(order)
    found = prepare(volume, card, np.ones(volume.grid.shape, bool))
    assert found.inputs.shape[1:] == golden["network_input"].shape
    np.testing.assert_allclose(found.inputs[0], golden["network_input"], atol=1e-5)
    assert found.body.all()
