from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, softmax

from ctatlas.inference.predict import predict
from ctatlas.inference.prepare import Prepared, prepare
from ctatlas.inference.probabilities import probabilities_of
from ctatlas.models import Model, load
from ctatlas.volume.grid import Grid
from ctatlas.volume.scan import Volume
from tests.inference.scans import blobs
from tests.reference import whole_volume
from tests.support_models import tiny_model


@dataclass
class Heard:
    """A listener that keeps what it hears."""

    stages: list[tuple[str, int]] = field(default_factory=list)
    steps: int = 0

    def stage(self, name: str, total: int) -> None:
        self.stages.append((name, total))

    def advance(self, steps: int = 1) -> None:
        self.steps += steps


def prepared_with(model: Model, shape: tuple[int, int, int], body: np.ndarray | None = None) -> Prepared:
    volume = Volume(blobs(shape, seed=3), Grid(shape, np.diag([4.0, 4.0, 4.0, 1])))
    return prepare(volume, model.card, np.ones(shape, np.bool_) if body is None else body)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return load(tiny_model(tmp_path / "tiny", smooth=True, window=[8, 8, 8]))


@pytest.mark.parametrize("shape", [(19, 8, 23), (5, 21, 7), (3, 4, 5)])
def test_windows_are_averaged_as_the_plain_way_does(shape: tuple[int, int, int], model: Model) -> None:
    prepared = prepared_with(model, shape)
    hu = prepared.inputs[0] * 1000
    expected = whole_volume.probabilities(hu, prepared.body, model)
    np.testing.assert_allclose(predict(prepared, model), expected, atol=1e-5)


def test_probabilities_sum_to_1(model: Model) -> None:
    found = predict(prepared_with(model, (19, 11, 23)), model)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=0), 1, rtol=1e-5)


def test_where_no_window_has_body_there_is_background(model: Model) -> None:
    body = np.zeros((40, 8, 8), np.bool_)
    body[0, 3, 3] = True
    whole = prepared_with(model, body.shape)
    heard = Heard()
    found = predict(Prepared(whole.inputs, body, whole.route), model, progress=heard)
    assert heard.stages == [("windows", 1)]
    np.testing.assert_array_equal(found[:, 8:], [[[[1.0] * 8] * 8] * 32] + [[[[0.0] * 8] * 8] * 32] * 3)
    assert (found[1:, :8].max(axis=0) > 0).all()


def test_every_window_is_told(model: Model) -> None:
    heard = Heard()
    predict(prepared_with(model, (16, 8, 20)), model, progress=heard)
    assert heard.stages == [("windows", 3 * 1 * 4)]
    assert heard.steps == 12


def test_thresholds_ask_every_class_alone(tmp_path: Path) -> None:
    logits = np.random.default_rng(0).normal(size=(2, 4, 3, 3, 3)).astype(np.float32)
    alone = load(tiny_model(tmp_path / "alone", decide="threshold")).card
    among = load(tiny_model(tmp_path / "among")).card
    np.testing.assert_allclose(probabilities_of(logits, alone), expit(logits), rtol=1e-6)
    np.testing.assert_allclose(probabilities_of(logits, among), softmax(logits, axis=1), rtol=1e-6)


def test_logits_beyond_all_bounds_stay_probabilities(model: Model) -> None:
    logits = np.array([1e30, -1e30, 0, 0], np.float32).reshape(1, 4, 1, 1, 1)
    np.testing.assert_array_equal(probabilities_of(logits, model.card).ravel(), [1, 0, 0, 0])
