"""Engines beside each other: the same network, the same logits."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ctatlas.errors import ModelError
from ctatlas.models import engines, load
from ctatlas.models.backends import cpu
from ctatlas.models.backends.torch import TorchNetwork
from ctatlas.models.conversion import onnx_bytes
from ctatlas.models.engines import NAMES, RUNS, chosen
from ctatlas.models.kinds import BACKENDS, TORCH_BACKENDS, backend
from tests.models.loaders.checkpoints import carded, drawn, saved
from tests.models.loaders.conftest import one_thread
from tests.support_models import tiny_model

__all__ = ["one_thread"]

if not importlib.util.find_spec("openvino"):  # importing it here would import what reports of its use, too
    pytest.skip("openvino is not installed", allow_module_level=True)

EXACT = [name for name in NAMES if not name.endswith("bf16")]
BF16 = [name for name in NAMES if name.endswith("bf16")]
WINDOWS = np.random.default_rng(1).normal(size=(2, 1, 32, 64, 32)).astype(np.float32)


def checkpoint(folder: Path, kind: str) -> Path:
    weights = saved(folder / "weights.pth", drawn(kind).state_dict())
    return carded(folder / "model", weights, loader="universal")


def expected(kind: str) -> np.ndarray:
    with torch.inference_mode():
        logits: np.ndarray = drawn(kind)(torch.from_numpy(WINDOWS)).numpy()
    return logits


@pytest.mark.parametrize("name", EXACT)
def test_every_engine_gives_a_checkpoints_logits(name: str, tmp_path: Path) -> None:
    found, whole = load(checkpoint(tmp_path, "segresnet"), name).logits(WINDOWS), expected("segresnet")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-3 * whole.std())


def test_a_transformer_under_a_steered_head_converts() -> None:
    network, whole = drawn("universal/swin-unetr"), expected("universal/swin-unetr")
    written = onnx_bytes(TorchNetwork(network, 1, 4), WINDOWS.shape[2:])
    for name in BACKENDS:
        if name in EXACT:
            found = backend(name)(written, 1).logits(WINDOWS)
            np.testing.assert_allclose(found, whole, rtol=0, atol=1e-3 * whole.std(), err_msg=name)
    again = TorchNetwork(network, 1, 4).logits(WINDOWS[:1])  # nothing is left of what converting computed
    np.testing.assert_allclose(again, whole[:1], rtol=0, atol=1e-4 * whole.std())


@pytest.mark.skipif(not cpu.instructions() & {"avx512_bf16", "amx_bf16"}, reason="this processor has no bfloat16")
@pytest.mark.parametrize("name", BF16)
def test_bfloat16_is_near_and_is_not_float32(name: str, tmp_path: Path) -> None:
    whole = expected("segresnet")
    found = load(checkpoint(tmp_path, "segresnet"), name).logits(WINDOWS)
    difference = np.sqrt(np.mean((found - whole) ** 2)) / whole.std()
    assert 1e-4 < difference < 5e-2


@pytest.mark.parametrize("name", BF16)
def test_bfloat16_is_refused_where_it_would_be_imitated(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu, "instructions", lambda: frozenset({"avx2"}))
    with pytest.raises(ModelError, match="this processor has no instructions for bfloat16"):
        load(checkpoint(tmp_path, "segresnet"), name)


def test_an_onnx_model_runs_on_what_reads_onnx(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "tiny", smooth=True)
    windows = np.random.default_rng(2).normal(size=(3, 2, 16, 12, 9)).astype(np.float32)
    one, two = (load(model, name).logits(windows) for name in ("onnxruntime", "openvino"))
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-4 * one.std())
    for name in TORCH_BACKENDS:
        with pytest.raises(ModelError, match=rf"onnx weights run on {', '.join(BACKENDS)}, not on {name}"):
            load(model, name)


def test_openvino_changes_nothing_with_batch_and_shape(tmp_path: Path) -> None:
    engine = load(tiny_model(tmp_path / "tiny", smooth=True), "openvino").backend
    windows = np.random.default_rng(2).normal(size=(3, 2, 16, 12, 9)).astype(np.float32)
    together = engine.logits(windows)
    np.testing.assert_array_equal(np.concatenate([engine.logits(each[None]) for each in windows]), together)
    assert engine.logits(windows[:, :, :8]).shape == (3, 4, 8, 12, 9)
    np.testing.assert_array_equal(engine.logits(windows), together)


def test_openvino_reports_to_nobody(tmp_path: Path) -> None:
    load(tiny_model(tmp_path / "tiny"), "openvino").logits(np.zeros((1, 2, 4, 4, 4), np.float32))
    assert not [name for name in sys.modules if name.startswith("openvino_telemetry")]


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_network_that_fails_says_so_in_one_line(name: str, tmp_path: Path) -> None:
    model = load(tiny_model(tmp_path / "tiny"), name)
    with pytest.raises(ModelError, match=r"the network failed on windows \(1, 7, 4, 4, 4\): ") as error:
        model.logits(np.zeros((1, 7, 4, 4, 4), np.float32))
    assert "\n" not in str(error.value)


def test_torch_leaves_the_number_of_threads_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTATLAS_THREADS", "3")
    model = load(checkpoint(tmp_path, "segresnet"), "torch")
    before = torch.get_num_threads()
    model.logits(WINDOWS[:1])
    assert (model.backend.threads, torch.get_num_threads()) == (3, before)


def test_who_asks_gets_it_and_what_is_set_holds_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTATLAS_BACKEND", "torch-channels-last")
    assert chosen("torch") == "torch-channels-last"
    assert chosen("torch", "openvino") == "openvino"
    assert chosen("onnx") in RUNS["onnx"]
    monkeypatch.setenv("CTATLAS_BACKEND", "tensorflow")
    with pytest.raises(ModelError, match="no backend 'tensorflow'; known: onnxruntime, openvino"):
        chosen("onnx")


@pytest.mark.parametrize(
    ("weights", "installed", "processor", "best"),
    [
        ("onnx", {"onnxruntime", "openvino"}, {"avx512f", "avx512_bf16"}, "openvino"),
        ("onnx", {"onnxruntime"}, {"avx512f"}, "onnxruntime"),
        ("onnx", {"onnxruntime", "openvino"}, {"avx2"}, "onnxruntime"),
        ("torch", {"torch", "openvino"}, {"avx512f", "avx512_bf16"}, "torch"),
        ("nnunet", {"torch"}, {"avx512f"}, "torch"),
    ],
)
def test_the_default_is_the_fastest_that_is_here_and_changes_no_label(
    weights: str, installed: set[str], processor: set[str], best: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CTATLAS_BACKEND", raising=False)
    monkeypatch.setattr(engines, "find_spec", lambda name: name in installed)
    monkeypatch.setattr(engines, "instructions", lambda: frozenset(processor))
    assert chosen(weights) == best


def test_every_measured_row_names_a_backend_and_its_source() -> None:
    for row in engines._measured():
        assert row["backend"] in RUNS[row["weights"]]
        assert float(row["cpu_s"]) > 0
        assert 0 <= float(row["label_difference"]) < 0.01
        assert row["source"].startswith("benchmarks/backends.py: ")
