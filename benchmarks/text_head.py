"""Measure the text-driven head against its grouped-convolution form: `python benchmarks/text_head.py OUT.json`.

32 classes on a window of 96x96x96 (`--classes`, `--window`), float32, random maps and weights. The published networks
repeat the eight maps for every class and run three grouped 1x1x1 convolutions; here they are matrix products on chunks
of voxels. Both in turns on one thread; times are CPU seconds, ratios medians over turns. Memory is the most that each
holds beyond its inputs, in a process of its own.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from ctatlas.models.networks.dynamic_head import N_PARAMETERS, dynamic_logits


def grouped(maps: torch.Tensor, parameters: torch.Tensor) -> torch.Tensor:
    """Run the head as grouped convolutions on maps that are repeated for every class."""
    (n,) = {len(own) for own in parameters}
    size = maps.shape[2:]
    logits = []
    for each, own in zip(maps, parameters, strict=True):
        w1, w2, w3, b1, b2, b3 = torch.split(own, [64, 64, 8, 8, 8, 1], dim=1)
        x = each.repeat(n, 1, 1, 1)[None]
        x = torch.relu(torch.conv3d(x, w1.reshape(n * 8, 8, 1, 1, 1), b1.reshape(-1), groups=n))
        x = torch.relu(torch.conv3d(x, w2.reshape(n * 8, 8, 1, 1, 1), b2.reshape(-1), groups=n))
        logits.append(torch.conv3d(x, w3.reshape(n, 8, 1, 1, 1), b3.reshape(-1), groups=n).reshape(n, *size))
    return torch.stack(logits)


WAYS = {"ctatlas": dynamic_logits, "grouped": grouped}


def given(classes: int, window: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return maps and parameters, always the same."""
    torch.manual_seed(0)
    return torch.randn(1, 8, window, window, window), torch.randn(1, classes, N_PARAMETERS) / 3


def peak_mb(way: str, classes: int, window: int) -> float:
    """Return what a run of one way holds at most beyond its inputs, as the system counts it."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import text_head; "
        f"text_head.told({way!r}, {classes}, {window})"
    )
    return float(subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE).stdout)


def told(way: str, classes: int, window: int) -> None:
    """Print the memory of one run."""
    torch.set_num_threads(1)
    with torch.inference_mode():
        WAYS[way](*given(classes, 8))
        inputs = given(classes, window)
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        WAYS[way](*inputs)
        print(_status("VmHWM") - before)


def _status(what: str) -> float:
    return float(Path("/proc/self/status").read_text().partition(f"{what}:")[2].split()[0]) / 1024


def main(
    out: Annotated[Path, typer.Argument(help="Where to write the figures, JSON.")],
    classes: int = 32,
    window: int = 96,
    turns: int = 5,
) -> None:
    """Compare time, memory and values."""
    torch.set_num_threads(1)
    maps, parameters = given(classes, window)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    with torch.inference_mode():
        for _ in range(turns):
            for way, run in WAYS.items():
                start = time.process_time()
                run(maps, parameters)
                seconds[way].append(time.process_time() - start)
        one, other = (run(maps, parameters) for run in WAYS.values())
    ratios = [b / a for a, b in zip(seconds["ctatlas"], seconds["grouped"], strict=True)]
    memory = {way: peak_mb(way, classes, window) for way in WAYS}
    logits_mb = classes * window**3 * 4 / 2**20
    result = {
        "classes": classes,
        "window": window,
        "turns": turns,
        "cpu_s": {way: statistics.median(each) for way, each in seconds.items()},
        "times_as_fast": statistics.median(ratios),
        "memory_mb": memory,
        "logits_mb": logits_mb,
        "share_of_memory": memory["ctatlas"] / memory["grouped"],
        "largest_difference_sd": float((one - other).abs().max() / other.std()),
    }
    out.write_text(json.dumps(result, indent=1) + "\n")
    print("| way | CPU s | memory MB |\n| --- | ---: | ---: |")
    for way in WAYS:
        print(f"| {way} | {result['cpu_s'][way]:.2f} | {memory[way]:.0f} |")
    print(
        f"\n{result['times_as_fast']:.1f} times as fast, {result['share_of_memory']:.2f} of the memory; {turns} turns"
    )
    print(f"Logits take {logits_mb:.0f} MB and differ by up to {result['largest_difference_sd']:.1e} s.d.")


if __name__ == "__main__":
    typer.run(main)
