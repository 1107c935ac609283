from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ctatlas.errors import ModelError
from ctatlas.models import load
from tests.support_models import network, tiny_model

CLASSES = ("liver", "spleen")


def swapped(folder: Path, weights: bytes) -> Path:
    """Put other weights beside a card, which then names them by their hash."""
    tiny_model(folder, CLASSES)
    old = hashlib.sha256((folder / "tiny.onnx").read_bytes()).hexdigest()
    (folder / "tiny.onnx").write_bytes(weights)
    card = folder / "card.toml"
    card.write_text(card.read_text().replace(old, hashlib.sha256(weights).hexdigest()))
    return folder


def whole(n_classes: int = 3) -> bytes:
    return network(np.arange(n_classes) * 100.0).SerializeToString()


def with_more_inputs() -> bytes:
    model = network(np.arange(3) * 100.0)
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["n"]))
    return model.SerializeToString()


def of_four_axes() -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["a"], ["b"])],
        "flat",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, ["n", 2, "x", "y"])],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, ["n", 2, "x", "y"])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def pointing_to(location: str) -> bytes:
    """Return a network whose kernel lies in another file; large, because small ones fail to load for other reasons."""
    model = network(np.arange(200) * 100.0)
    kernel = next(tensor for tensor in model.graph.initializer if tensor.name == "weight")
    kernel.ClearField("raw_data")
    kernel.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("length", "1600")):
        entry = kernel.external_data.add()
        entry.key, entry.value = key, value
    return model.SerializeToString()


def test_a_network_answers_as_built(tmp_path: Path) -> None:
    model = load(tiny_model(tmp_path / "tiny", CLASSES, hu={"liver": 60, "spleen": 200}))
    hu = np.array([-1000, 60, 200, 500], np.float32)
    windows = np.stack([hu, hu]).reshape(1, 2, 4, 1, 1) / 1000
    logits = model.logits(windows.astype(np.float32))
    assert logits.shape == (1, 3, 4, 1, 1)
    assert logits.dtype == np.float32
    assert logits.argmax(axis=1).ravel().tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("weights", "fault"),
    [
        (lambda: b"", "not an ONNX network that onnxruntime can open"),
        (lambda: b"\x00garbage" * 99, "not an ONNX network that onnxruntime can open"),
        (lambda: whole()[:-40], "not an ONNX network that onnxruntime can open"),
        (lambda: whole(5), "the network has 5 classes, the card 3"),
        (with_more_inputs, "expected one input of five float32 axes"),
        (of_four_axes, "expected one input of five float32 axes"),
    ],
)
def test_what_is_no_such_network_is_refused_in_one_line(
    weights: Callable[[], bytes], fault: str, tmp_path: Path
) -> None:
    folder = swapped(tmp_path / "tiny", weights())
    with pytest.raises(ModelError, match=fault) as error:
        load(folder)
    assert str(error.value).startswith(str(folder / "tiny.onnx"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "location", ["kernel.bin", "sub/kernel.bin", "../kernel.bin", "{folder}/kernel.bin", "link.bin"]
)
def test_weights_in_another_file_are_refused_wherever_it_lies(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = swapped(tmp_path / "tiny", pointing_to(location.format(folder=tmp_path / "tiny")))
    (folder / "sub").mkdir()
    for place in (folder / "kernel.bin", folder / "sub" / "kernel.bin", tmp_path / "kernel.bin"):
        place.write_bytes(bytes(1600))
    (folder / "link.bin").symlink_to(tmp_path / "kernel.bin")
    monkeypatch.chdir(folder)
    with pytest.raises(ModelError, match="not an ONNX network that onnxruntime can open"):
        load(folder)


def test_the_same_network_in_one_file_is_taken(tmp_path: Path) -> None:
    model = onnx.load_from_string(whole())
    assert load(swapped(tmp_path / "tiny", model.SerializeToString())).backend.n_classes == 3


def test_weights_other_than_the_cards_are_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny", CLASSES)
    path = folder / "tiny.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelError, match=r"tiny\.onnx: sha256 is [0-9a-f]{12}…, its card says [0-9a-f]{12}…"):
        load(folder)


def test_missing_weights_are_told(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny", CLASSES)
    (folder / "tiny.onnx").unlink()
    with pytest.raises(ModelError, match=r"tiny\.onnx: weights can't be read: No such file"):
        load(folder)


def test_a_network_that_fails_says_so_in_one_line(tmp_path: Path) -> None:
    model = load(tiny_model(tmp_path / "tiny", CLASSES))
    with pytest.raises(ModelError, match=r"the network failed on windows \(1, 7, 4, 4, 4\): ") as error:
        model.logits(np.zeros((1, 7, 4, 4, 4), np.float32))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("threads", "workers"), [("1", 1), ("2", 2), ("64", 8)])
def test_windows_run_beside_each_other_within_bounds(
    threads: str, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTATLAS_THREADS", threads)
    assert load(tiny_model(tmp_path / "tiny", CLASSES)).backend.workers == workers
