"""Measure windows and the way back against MONAI's: `python benchmarks/sliding_window.py OUT.json --monai FOLDER`.

32 channels on a network grid of 240x240x250 at 1.5 mm, from a scan of 512x512x300, windows of 96, overlap 0.5; a
network of one 1x1x1 convolution with random weights, whose own time is measured and taken out. MONAI:
`sliding_window_inference` with gaussian weights, softmax, `Invertd` of `Spacingd`, arg-max. ctatlas: `predicted`
→ `restored` → `decide`. Each in a process of its own on one thread; times are CPU seconds, memory is what the process
holds at most beyond what it held before. `--shrink 2` halves every side of scan, grid and windows.
MONAI 1.5 needs no more than its wheel, unpacked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import numpy as np
import typer

SCAN, SPACING = (512, 512, 300), (0.703, 0.703, 1.25)
GRID_MM, WINDOW = 1.5, 96
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def kernel(channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and biases of the network: each class is likely at HU of its own, so that all are somewhere."""
    rng = np.random.default_rng(0)
    return rng.normal(0, 8, channels).astype(np.float32), rng.normal(-2, 1, channels).astype(np.float32)


def scan_of(shrink: int) -> np.ndarray:
    """Return a scan (i, j, k) int16 of smooth noise, in Fortran order."""
    from scipy.ndimage import zoom

    shape = tuple(n // shrink for n in SCAN)
    small = np.random.default_rng(1).normal(0, 300, tuple(-(-n // 16) for n in shape)).astype(np.float32)
    whole = zoom(small, [n / m for n, m in zip(shape, small.shape, strict=True)], order=1)
    return np.asfortranarray(whole.clip(-1000, 1000), np.int16)


class Timed:
    """A network of one convolution whose CPU seconds are counted."""

    def __init__(self, channels: int) -> None:
        import torch

        self.layer = torch.nn.Conv3d(1, channels, 1)
        with torch.no_grad():
            weight, bias = kernel(channels)
            self.layer.weight[:, 0, 0, 0, 0] = torch.from_numpy(weight)
            self.layer.bias[:] = torch.from_numpy(bias)
        self.seconds = 0.0

    def __call__(self, windows):  # noqa: D102
        start = time.thread_time()
        found = self.layer(windows)
        self.seconds += time.thread_time() - start
        return found


def ours(hu: np.ndarray, channels: int, shrink: int) -> tuple[float, dict[int, int]]:
    """Run ctatlas; return the network's own seconds and the voxels of each channel."""
    import torch

    from ctatlas.inference.decide import decide
    from ctatlas.inference.planes import Planes  # noqa: F401  loaded before anything is measured
    from ctatlas.inference.predict import predicted
    from ctatlas.inference.prepare import prepare
    from ctatlas.inference.restore import restored
    from ctatlas.models import Model
    from ctatlas.models.cards import ModelCard
    from ctatlas.volume import Grid, Volume

    network = Timed(channels)

    def logits(windows: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(windows)).numpy()

    size = WINDOW // shrink
    card = ModelCard.model_validate_json(
        json.dumps(
            {
                "name": "bench/conv",
                "version": "1",
                "license": "none",
                "description": "x",
                "not_for": "x",
                "decide": "argmax",
                "input": {
                    "spacing_mm": [GRID_MM] * 3,
                    "orientation": "RAS",
                    "channels": [{"clip": [-1000, 1000], "divide": 1000}],
                },
                "window": {"shape": [size] * 3, "overlap": 0.5},
                "weights": {"file": "none", "sha256": "0" * 64},
                "classes": [
                    {"channel": n, "name": f"auxiliary_{n}", "role": "auxiliary" if n else "background"}
                    for n in range(channels)
                ],
            }
        )
    )
    model = Model(card, SimpleNamespace(workers=1, n_channels=1, n_classes=channels, logits=logits))
    volume = Volume(hu, Grid(hu.shape, np.diag([*SPACING, 1.0])))
    prepared = prepare(volume, card, np.ones(hu.shape, np.bool_))
    found = decide(restored(predicted(prepared, model), prepared.route), card, volume.grid)
    voxels = found.n_voxels()
    return network.seconds, {n: int(voxels[f"auxiliary_{n}"]) for n in range(1, channels)}


def monai(hu: np.ndarray, channels: int, shrink: int) -> tuple[float, dict[int, int]]:
    """Run MONAI the way its tutorials show."""
    import torch
    from monai.data import MetaTensor
    from monai.inferers import sliding_window_inference
    from monai.transforms import Compose, Invertd, Spacingd

    network = Timed(channels)
    affine = torch.diag(torch.tensor([*SPACING, 1.0], dtype=torch.float64))
    forward = Compose([Spacingd(keys=["image"], pixdim=(GRID_MM,) * 3, mode="bilinear", dtype=torch.float32)])
    with torch.inference_mode():
        data = forward({"image": MetaTensor(torch.from_numpy(hu.astype(np.float32))[None] / 1000, affine=affine)})
        roi = (WINDOW // shrink,) * 3
        logits = sliding_window_inference(data["image"][None], roi, 1, network, overlap=0.5, mode="gaussian")
        data["pred"] = torch.softmax(logits, dim=1)[0]
        del logits
        back = Invertd(keys="pred", transform=forward, orig_keys="image", nearest_interp=False, to_tensor=True)
        labels = torch.bincount(back(data)["pred"].argmax(dim=0).flatten(), minlength=channels)
        found = {n: int(labels[n]) for n in range(1, channels)}
    return network.seconds, found


WAYS = {"ctatlas": ours, "monai": monai}


def run(way: str, channels: int, shrink: int) -> None:
    """Run one way in this process and print its figures."""
    import torch

    torch.set_num_threads(1)
    WAYS[way](scan_of(8), 2, 8)  # all that is loaded later is loaded
    hu = scan_of(shrink)
    Path("/proc/self/clear_refs").write_text("5")
    before, start, wall = _status("VmRSS"), time.process_time(), time.perf_counter()
    network, voxels = WAYS[way](hu, channels, shrink)
    cpu = time.process_time() - start
    told = {
        "way": way,
        "cpu_s": cpu,
        "network_cpu_s": network,
        "own_cpu_s": cpu - network,
        "wall_s": time.perf_counter() - wall,
        "memory_mb": _status("VmHWM") - before,
        "voxels": voxels,
    }
    print(json.dumps(told))


def _status(what: str) -> float:
    return float(Path("/proc/self/status").read_text().partition(f"{what}:")[2].split()[0]) / 1024


def main(
    out: Annotated[Path, typer.Argument(help="Where to write the figures, JSON.")],
    monai: Annotated[Path | None, typer.Option(help="A folder that holds MONAI, unpacked.")] = None,
    channels: int = 32,
    shrink: int = 1,
    turns: int = 1,
) -> None:
    """Run both in turns and compare."""
    runs = []
    for _ in range(turns):
        for way in WAYS if monai else ("ctatlas",):
            code = f"import sliding_window; sliding_window.run({way!r}, {channels}, {shrink})"
            paths = [str(Path(__file__).parent), *([str(monai)] if monai else []), os.environ.get("PYTHONPATH", "")]
            environment = os.environ | ONE_THREAD | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", code], check=True, stdout=subprocess.PIPE, env=environment
            )
            runs.append(json.loads(done.stdout.splitlines()[-1]))
    result = {"channels": channels, "shrink": shrink, "turns": turns, "runs": runs}
    print("| way | CPU s | of it the network | memory MB |\n| --- | ---: | ---: | ---: |")
    for each in runs:
        print(f"| {each['way']} | {each['cpu_s']:.1f} | {each['network_cpu_s']:.1f} | {each['memory_mb']:.0f} |")
    if monai:
        one, other = ([each for each in runs if each["way"] == way] for way in ("ctatlas", "monai"))
        result["times_as_fast"] = float(
            np.median([b["own_cpu_s"] / a["own_cpu_s"] for a, b in zip(one, other, strict=True)])
        )
        result["times_memory"] = other[0]["memory_mb"] / one[0]["memory_mb"]
        shares = [
            abs(a - b) / max(a, b, 1)
            for a, b in zip(one[0]["voxels"].values(), other[0]["voxels"].values(), strict=True)
        ]
        result["largest_difference_of_volume"] = max(shares)
        print(
            f"\n{result['times_as_fast']:.1f} times as fast without the network, "
            f"1/{result['times_memory']:.1f} of the memory"
        )
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
