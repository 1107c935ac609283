"""A network small enough to be made in a test, whose answer is known beforehand."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# HU that stand for a structure in scans made by tests; what is not named gets a value of its own above these.
BACKGROUND_HU = -1000.0
SHARPNESS_HU = 60.0  # at this distance from a class's HU its odds fall by e


def class_hu(classes: Sequence[str], hu: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return the HU at which each class is likeliest: as told, else 0, 150, 300, … in the order of the classes."""
    return {name: (hu or {}).get(name, 150.0 * number) for number, name in enumerate(classes)}


def tiny_model(
    folder: Path,
    classes: Sequence[str] = ("liver", "spleen", "aorta"),
    *,
    hu: Mapping[str, float] | None = None,
    smooth: bool = False,
    **card: object,
) -> Path:
    """Write a card and a network that gives each voxel the class whose HU is nearest; return their folder.

    The logit of a class with HU m at a voxel of HU h is (2 h m - m^2) / SHARPNESS_HU^2, that is -(h - m)^2 but for a
    term that all classes share: one 1x1x1 convolution. Channel 0 is "background" at -1000 HU.

    Parameters
    ----------
    folder : Path
        Made when missing.
    classes : sequence of str
        Canonical names of structures, channels 1, 2, …
    hu : mapping, optional
        HU of some classes, see `class_hu`.
    smooth : bool
        Let the network average over 3x3x3 voxels first, so that what it sees of the surroundings matters.
    **card
        Lines of the card that should differ: spacing_mm, orientation, window, overlap, batch, decide, name, version,
        role (of all classes but the background), extra (TOML text put at the end).
    """
    folder.mkdir(parents=True, exist_ok=True)
    means = np.array([BACKGROUND_HU, *class_hu(classes, hu).values()])
    weights = network(means, smooth=smooth).SerializeToString()
    (folder / "tiny.onnx").write_bytes(weights)
    (folder / "card.toml").write_text(card_text(classes, hashlib.sha256(weights).hexdigest(), **card), encoding="utf-8")
    return folder


def network(means_hu: np.ndarray, *, smooth: bool = False) -> onnx.ModelProto:
    """Build the network: channel 0 of its input is HU / 1000, whatever else comes in is ignored."""
    n = len(means_hu)
    weight = np.zeros((n, 2, 1, 1, 1), np.float32)
    weight[:, 0, 0, 0, 0] = 2 * means_hu * 1000 / SHARPNESS_HU**2
    kernels = {"weight": weight, "bias": (-(means_hu**2) / SHARPNESS_HU**2).astype(np.float32)}
    nodes = [helper.make_node("Conv", ["seen", "weight", "bias"], ["logits"])]
    if smooth:
        mean = np.zeros((2, 1, 3, 3, 3), np.float32)
        mean[:] = 1 / 27
        kernels["mean"] = mean
        nodes.insert(0, helper.make_node("Conv", ["windows", "mean"], ["seen"], group=2, pads=[1] * 6))
    else:
        nodes.insert(0, helper.make_node("Identity", ["windows"], ["seen"]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("windows", TensorProto.FLOAT, ["n", 2, "x", "y", "z"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", n, "x", "y", "z"])],
        [numpy_helper.from_array(values, name) for name, values in kernels.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def card_text(classes: Sequence[str], sha256: str, **card: object) -> str:
    """Return a card for the network, with the lines that the test wants different."""
    said = {
        "name": "test/tiny",
        "version": "1",
        "spacing_mm": [4.0, 4.0, 4.0],
        "orientation": "RAS",
        "window": [16, 16, 16],
        "overlap": 0.5,
        "batch": 1,
        "decide": "argmax",
        "role": "structure",
        "extra": "",
    } | card
    listed = "\n".join(
        f'[[classes]]\nchannel = {channel}\nname = "{name}"\nrole = "{said["role"]}"'
        for channel, name in enumerate(classes, start=1)
    )
    return f"""
name = "{said["name"]}"
version = "{said["version"]}"
license = "CC0-1.0"
description = "Gives each voxel the class whose HU is nearest."
not_for = "anything but tests"
decide = "{said["decide"]}"

[input]
spacing_mm = {said["spacing_mm"]}
orientation = "{said["orientation"]}"
padding_hu = -1000
channels = [{{clip = [-1024, 3071], divide = 1000}}, {{clip = [-200, 300], subtract = 50, divide = 100}}]

[window]
shape = {said["window"]}
overlap = {said["overlap"]}
batch = {said["batch"]}

[weights]
file = "tiny.onnx"
sha256 = "{sha256}"

[[classes]]
channel = 0
name = "background"
role = "background"

{listed}

{said["extra"]}
"""
