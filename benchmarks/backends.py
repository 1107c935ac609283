"""Compare engines on one window: `python benchmarks/backends.py OUT.json [--network NAME] [--window 96] [--turns 3]`.

Networks: the text-driven U-Net (19 M weights) and Swin UNETR (62 M) with random weights, and the bundled model with its
own; the window is of the sample scan, at the network's spacing. Every engine has one thread and they take turns; times
are medians of CPU seconds after a first run that is not counted. Labels (thresholds for the text-driven networks, the
highest class for the bundled one) and logits are compared with torch in float32.
"""

from __future__ import annotations

import copy
import json
import statistics
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from ctatlas.commands.demo import SCAN
from ctatlas.errors import CtatlasError
from ctatlas.inference.prepare import prepare
from ctatlas.inference.scene import Scene
from ctatlas.models import Backend, card
from ctatlas.models.backends.cpu import instructions
from ctatlas.models.backends.torch import TorchNetwork
from ctatlas.models.cards import Channel
from ctatlas.models.conversion import onnx_bytes
from ctatlas.models.kinds import BACKENDS, TORCH_BACKENDS, backend, torch_backend
from ctatlas.models.networks.genesis_unet import GenesisUNet
from ctatlas.models.networks.swin_unetr import SwinUNETR
from ctatlas.models.networks.text_driven import UniversalModel
from ctatlas.models.networks.unet import UNet
from ctatlas.models.registry import folder_of
from ctatlas.training.loop import TrainConfig
from ctatlas.volume import read

BASE = "ctatlas/base"
SOFT = (Channel(clip=(-175, 250), subtract=-175, divide=425),)


def unet() -> torch.nn.Module:
    """Return the text-driven U-Net with random weights."""
    return UniversalModel(GenesisUNet(), 32)


def swin() -> torch.nn.Module:
    """Return the text-driven Swin UNETR with random weights."""
    return UniversalModel(SwinUNETR(), 32)


def base() -> torch.nn.Module:
    """Return the bundled network, with the weights in its ONNX file."""
    import onnx
    from onnx import numpy_helper

    network = UNet(2, len(card(BASE).classes), TrainConfig().widths)
    model = onnx.load(folder_of(BASE) / "network.onnx")
    tensors = {each.name.removesuffix("_half"): numpy_helper.to_array(each) for each in model.graph.initializer}
    network.load_state_dict({key: torch.from_numpy(tensors[key].astype(np.float32)) for key in network.state_dict()})
    return network


NETWORKS = {"universal/unet": unet, "universal/swin-unetr": swin, "unet (ctatlas/base)": base}


def window_of(name: str, size: int) -> np.ndarray:
    """Return a window (1, channels, x, y, z) from the middle of the sample scan."""
    found = card(BASE)
    if name != "unet (ctatlas/base)":
        update = {"spacing_mm": (1.5, 1.5, 1.5), "channels": SOFT}
        found = found.model_copy(update={"input": found.input.model_copy(update=update)})
    scan = read(SCAN).reoriented("RAS")
    inputs = prepare(scan, found, Scene(scan).calibrated.body).inputs
    missing = [(0, max(0, size - n)) for n in inputs.shape[1:]]
    inputs = np.pad(inputs, [(0, 0), *missing], mode="edge")
    x, y, z = ((n - size) // 2 for n in inputs.shape[1:])
    return np.ascontiguousarray(inputs[None, :, x : x + size, y : y + size, z : z + size], np.float32)


def engines(network: TorchNetwork, size: int) -> dict[str, Backend]:
    """Open a network in every engine that there is, one thread each."""
    ends = (network.n_channels, network.n_classes)
    written = onnx_bytes(network, (size, size, size))
    # Laid out for one engine a network is another's no more: each has a copy.
    found: dict[str, Backend] = {}
    for name in TORCH_BACKENDS:
        found[name] = torch_backend(name)(copy.deepcopy(network.network), ends, 1)
    for name in BACKENDS:
        try:
            found[name] = backend(name)(written, 1)
        except CtatlasError as error:
            print(f"{name}: {error}")
    return found


def measured(name: str, size: int, turns: int) -> list[dict[str, object]]:
    """Return a row an engine for one network."""
    torch.manual_seed(0)
    made = NETWORKS[name]().eval().requires_grad_(requires_grad=False)
    if isinstance(made, UniversalModel):
        made.organ_embedding.normal_()
    window = window_of(name, size)
    opened = engines(TorchNetwork(made, window.shape[1], 32), size)
    logits = {engine: each.logits(window) for engine, each in opened.items()}
    seconds: dict[str, list[float]] = {engine: [] for engine in opened}
    for _ in range(turns):
        for engine, each in opened.items():
            start = time.process_time()
            each.logits(window)
            seconds[engine].append(time.process_time() - start)
    exact = logits["torch"]
    labels = (lambda x: x > 0) if isinstance(made, UniversalModel) else (lambda x: x.argmax(axis=1))
    return [
        {
            "network": name,
            "backend": engine,
            "window": size,
            "turns": turns,
            "cpu_s": statistics.median(own),
            "difference_sd": float(np.abs(logits[engine] - exact).max() / exact.std()),
            "label_difference": float((labels(logits[engine]) != labels(exact)).mean()),
        }
        for engine, own in seconds.items()
    ]


def main(
    out: Annotated[Path, typer.Argument(help="Where to write the figures, JSON.")],
    network: Annotated[list[str] | None, typer.Option(help="Only this network; may be given several times.")] = None,
    window: int = 96,
    turns: int = 3,
) -> None:
    """Measure and print the table."""
    torch.set_num_threads(1)
    rows = []
    print("| network | backend | CPU s a window | logits differ, s.d. | labels differ |")
    print("| --- | --- | ---: | ---: | ---: |")
    for name in network or NETWORKS:
        for row in measured(name, 64 if name.startswith("unet") else window, turns):
            rows.append(row)
            print(
                f"| {name}, {row['window']}³ | {row['backend']} | {row['cpu_s']:.2f} | {row['difference_sd']:.1e} "
                f"| {row['label_difference']:.1e} |",
                flush=True,
            )
        told = sorted(instructions() & {"avx2", "avx512f", "avx512_bf16", "amx_bf16"})
        out.write_text(json.dumps({"instructions": told, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
