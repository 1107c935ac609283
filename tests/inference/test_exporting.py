"""What is exported runs without torch and says what it said; what doesn't is not kept."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from ctatlas.errors import ModelError, OutputError
from ctatlas.inference import exporting
from ctatlas.inference.exporting import export
from ctatlas.models import card, load
from ctatlas.volume.grid import Grid
from ctatlas.volume.scan import Volume
from tests.inference.scans import blobs
from tests.models.loaders.checkpoints import carded, drawn, saved
from tests.models.loaders.conftest import one_thread
from tests.support.nnunet_folders import write_folder
from tests.support.nnunet_settings import SETTINGS
from tests.support_models import tiny_model

__all__ = ["one_thread"]

SCAN = Volume(blobs((41, 53, 47), seed=1), Grid((41, 53, 47), np.diag([2.0, 2.5, 2.5, 1])))
WINDOWS = np.random.default_rng(3).normal(size=(2, 1, 32, 64, 32)).astype(np.float32)


@pytest.fixture
def segresnet(tmp_path: Path) -> Path:
    weights = saved(tmp_path / "weights.pth", drawn("segresnet").state_dict())
    return carded(tmp_path / "model", weights, loader="universal", network='[network]\nkind = "segresnet"')


def test_a_checkpoint_becomes_a_folder_that_needs_no_torch(
    segresnet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load(segresnet, "torch").logits(WINDOWS)
    done = export(str(segresnet), tmp_path / "out", [SCAN])
    assert done.difference < 5e-3
    assert done.share < 1e-4
    assert done.n_windows > 2
    said, before = card(tmp_path / "out"), card(segresnet)
    assert (said.weights.loader, said.network) == ("onnx", None)
    assert said.model_copy(update={"weights": None, "network": None}) == before.model_copy(
        update={"weights": None, "network": None}
    )
    monkeypatch.setitem(sys.modules, "torch", None)
    np.testing.assert_allclose(load(tmp_path / "out").logits(WINDOWS), expected, rtol=0, atol=1e-3 * expected.std())


def test_fewer_bits_take_less_and_say_what_they_change(segresnet: Path, tmp_path: Path) -> None:
    whole = export(str(segresnet), tmp_path / "float32", [SCAN])
    half, eighth = (export(str(whole.folder), tmp_path / bits, [SCAN], bits) for bits in ("float16", "int8"))
    assert half.bytes < 0.65 * whole.bytes
    assert eighth.bytes < 0.5 * whole.bytes
    assert 0 < half.difference < eighth.difference
    assert eighth.mean_dice < half.mean_dice < 1
    assert load(eighth.folder).logits(WINDOWS).shape == (2, 4, 32, 64, 32)


def test_a_copy_that_says_something_else_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = (tiny_model(tmp_path / name, smooth=True, hu={"liver": hu}) for name, hu in (("a", 0), ("b", 9)))
    monkeypatch.setattr(exporting, "_written", lambda *_: (other / "tiny.onnx").read_bytes())
    with pytest.raises(ModelError, match=r"out: the copy says something else: logits differ by up to .* not kept"):
        export(str(model), tmp_path / "out", [SCAN])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_folds_of_nnunet_become_one_network_beside_their_plans(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "results", SETTINGS["two folds, mirrored along two axes"].folder)
    done = export(str(folder.parent), tmp_path / "out", [SCAN])  # a data set's folder with one model in it
    assert sorted(path.name for path in done.folder.iterdir()) == ["dataset.json", "model.onnx", "plans.json"]
    one, two = load(folder), load(done.folder)
    assert len(one.backend.folds) == 2
    windows = np.random.default_rng(5).normal(size=(1, 1, *one.backend.folder.chosen.patch_size)).astype(np.float32)
    expected = one.logits(windows)
    np.testing.assert_allclose(two.logits(windows), expected, rtol=0, atol=1e-3 * expected.std())


def test_an_onnx_model_is_passed_through(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "tiny", smooth=True)
    done = export(str(model), tmp_path / "out", [SCAN])
    assert (done.difference, done.share, done.mean_dice) == (0, 0, 1)
    assert (tmp_path / "out" / "model.onnx").read_bytes() == (model / "tiny.onnx").read_bytes()
    with pytest.raises(OutputError, match="out: is there already"):
        export(str(model), tmp_path / "out", [SCAN])
