from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.loaders.checkpoints import carded, drawn, saved
from tests.support_command import Terminal
from tests.support_models import tiny_model

PATCH = np.random.default_rng(0).random((32, 64, 32))


@pytest.fixture
def patch(tmp_path: Path) -> Path:
    np.save(tmp_path / "patch.npy", PATCH)
    return tmp_path / "patch.npy"


def expected(kind: str) -> np.ndarray:
    with torch.inference_mode():
        logits: np.ndarray = drawn(kind)(torch.from_numpy(PATCH[None, None]).float())[0].numpy()
    return logits


def test_a_bare_checkpoint_gives_its_raw_logits_and_its_account(ctatlas: Terminal, patch: Path, tmp_path: Path) -> None:
    state = drawn("segresnet").state_dict()
    weights = saved(tmp_path / "weights.pth", {"net": state})
    done = ctatlas("models", "logits", weights, patch, tmp_path / "out.npy", "--backend", "torch")
    assert done.code == 0
    assert f"segresnet, weights {len(state)} matched, 0 reshaped, 0 missing, 0 unexpected" in done.out
    found = np.load(tmp_path / "out.npy")
    assert (found.shape, found.dtype) == ((4, 32, 64, 32), np.float32)
    np.testing.assert_allclose(found, expected("segresnet"), rtol=0, atol=1e-4)


def test_a_model_with_a_card_gives_the_same(ctatlas: Terminal, patch: Path, tmp_path: Path) -> None:
    weights = saved(tmp_path / "weights.pth", drawn("segresnet").state_dict())
    model = carded(tmp_path / "model", weights, loader="monai")
    done = ctatlas("models", "logits", model, patch, tmp_path / "out.npy", "--json")
    assert done.json == {"network": "test/public", "weights": "as on its card", "shape": [4, 32, 64, 32]}
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected("segresnet"), rtol=0, atol=1e-4)


def test_what_a_checkpoint_does_not_show_can_be_said(ctatlas: Terminal, patch: Path, tmp_path: Path) -> None:
    weights = saved(tmp_path / "weights.pth", drawn("swin-unetr").state_dict())
    call = ("models", "logits", weights, patch, tmp_path / "out.npy", "--loader", "monai")
    assert "expected network.options.patch_merging" in ctatlas(*call).complaint
    assert not (tmp_path / "out.npy").exists()
    assert ctatlas(*call, "--option", "patch_merging=monai<1.5").code == 0
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected("swin-unetr"), rtol=0, atol=1e-4)


def test_onnx_takes_its_channels(ctatlas: Terminal, tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "tiny")
    np.save(tmp_path / "patch.npy", np.zeros((2, 5, 6, 7), np.float32))
    for given in (model, model / "tiny.onnx"):
        assert ctatlas("models", "logits", given, tmp_path / "patch.npy", tmp_path / "out.npy").code == 0
        assert np.load(tmp_path / "out.npy").shape == (4, 5, 6, 7)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--backend", "tensorflow"], "no backend 'tensorflow'; known: onnxruntime, openvino"),
        (["--loader", "nnn"], "no checkpoint 'nnn'; known: monai, universal"),
        (["--option", "groups"], "--option groups: expected NAME=VALUE"),
        (["--option", "width=3"], "options that a segresnet doesn't take: width"),
    ],
)
def test_words_that_do_not_fit_are_refused(
    ctatlas: Terminal, patch: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    weights = saved(tmp_path / "weights.pth", drawn("segresnet").state_dict())
    done = ctatlas("models", "logits", weights, patch, tmp_path / "out.npy", *words)
    assert done.code == 2
    assert said in done.complaint


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((8, 8)), r"expected numbers on axes (x, y, z) or (channel, x, y, z); found float64 (8, 8)"),
        (np.zeros((8, 8, 8), complex), "found complex128"),
        (np.zeros((0, 8, 8)), "found float64 (0, 8, 8)"),
        (np.array([None, {}]), "can't be read as an .npy array"),
        (np.full((8, 8, 8), np.nan), "no finite number"),
        (np.zeros((2, 8, 8, 8)), "the network takes 1 channels, the patch has 2"),
        (np.zeros((8, 8, 6)), "multiples of 4; found (8, 8, 6)"),
    ],
)
def test_a_patch_that_is_none_is_refused(ctatlas: Terminal, tmp_path: Path, array: np.ndarray, said: str) -> None:
    weights = saved(tmp_path / "weights.pth", drawn("segresnet").state_dict())
    np.save(tmp_path / "patch.npy", array, allow_pickle=True)
    done = ctatlas("models", "logits", weights, tmp_path / "patch.npy", tmp_path / "out.npy")
    assert done.code == 2
    assert said in done.complaint
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01", b"text"])
def test_a_file_that_is_no_array_is_refused(ctatlas: Terminal, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "patch.npy").write_bytes(content)
    done = ctatlas("models", "logits", tmp_path / "nothing", tmp_path / "patch.npy", tmp_path / "out.npy")
    assert "patch.npy: can't be read as an .npy array" in done.complaint


def test_an_archive_of_arrays_is_refused(ctatlas: Terminal, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "patch.npy", "w") as archive:
        archive.writestr("a.npy", b"")
    done = ctatlas("models", "logits", "ctatlas/base", tmp_path / "patch.npy", tmp_path / "out.npy")
    assert "can't be read as an .npy array" in done.complaint


def test_a_model_that_is_nowhere_is_said(ctatlas: Terminal, patch: Path, tmp_path: Path) -> None:
    done = ctatlas("models", "logits", "nobody/nothing", patch, tmp_path / "out.npy")
    assert "no model of this name, no folder with a card.toml, and no file of weights" in done.complaint
