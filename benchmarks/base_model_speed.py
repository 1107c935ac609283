"""Measure `ctatlas segment` on one large scan: `python benchmarks/base_model_speed.py OUT.json [--model …]`.

A phantom from the neck to the thighs, 512 x 512 x 300 voxels of 0.8 x 0.8 x 2.2 mm, is read from a file, segmented and
written, in a process of its own that may use two cores. Told are seconds on the clock and of both cores together, and
the most memory that the process held (VmHWM). A shared machine makes the clock slower, not the cores' own seconds.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer

from ctatlas.atomic import whole_file

SHAPE = (512, 512, 300)
SPACING_MM = (0.8, 0.8, 2.2)
FIRST_MM = (-204.0, -214.0, -340.0)  # left, back, head of the middle of L1
CORES = 2


def main(
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    model: Annotated[list[str] | None, typer.Option(help="Name or folder; several are asked together.")] = None,
    backend: Annotated[list[str] | None, typer.Option(help="What runs the network; default: the default.")] = None,
    turns: Annotated[int, typer.Option(help="Runs of each backend; the fastest counts.")] = 3,
    shrink: Annotated[int, typer.Option(help="Divide the size of the scan, for a quick look.")] = 1,
    folder: Annotated[Path, typer.Option("--store", help="Keeps the scan.")] = Path("build/evaluation"),
    table_file: Annotated[Path | None, typer.Option("--markdown", help="Write the table for the docs here.")] = None,
) -> None:
    """Segment the scan and tell time and memory."""
    models = model or ["ctatlas/base"]
    scan = large_scan(folder, shrink)
    runs = {}
    for name in backend or ["default"]:
        made = [measured(scan, models, None if name == "default" else name) for _ in range(turns)]
        runs[name] = min(made, key=lambda run: run["seconds"]) | {"turns": turns}
    told = {"model": models, "shape": [n // shrink for n in SHAPE], "cores": CORES, "runs": runs}
    with whole_file(out) as file:
        file.write((json.dumps(told, indent=1) + "\n").encode())
    if table_file:
        table_file.write_text(table(told), encoding="utf-8")
    typer.echo(table(told))


def large_scan(folder: Path, shrink: int) -> Path:
    """Draw a phantom on every second voxel, give its voxels noise when they are made eight, and write it once."""
    from ctatlas.synthesis.cases import draw_case, make_case
    from ctatlas.volume import Grid, Volume, write_volume

    path = folder / f"large-{shrink}.nii.gz"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    coarse = 2 * shrink
    i, j, k = (n // coarse for n in SHAPE)
    plan = draw_case(90_001, 0, shape=(i, j, k), conditions=(), exact=False)
    x_mm, y_mm, z_mm = (mm * coarse for mm in SPACING_MM)
    plan = replace(plan, spacing_mm=(x_mm, y_mm, z_mm), first_voxel_mm=FIRST_MM, feet_first=False)
    hu = make_case(plan).volume.reoriented("LPS").array.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    noise = np.random.default_rng(0).standard_normal(hu.shape, dtype=np.float32) * 12
    affine = np.diag([*(-s * shrink for s in SPACING_MM[:2]), SPACING_MM[2] * shrink, 1.0])
    affine[:3, 3] = (-FIRST_MM[0], -FIRST_MM[1], FIRST_MM[2])
    array = np.clip(hu + noise, -1024, 3071).astype(np.int16)
    write_volume(Volume(array, Grid(hu.shape, affine)), path)
    return path


def measured(scan: Path, models: list[str], backend: str | None) -> dict[str, Any]:
    """Segment in a fresh process: seconds, CPU seconds, peak memory."""
    with TemporaryDirectory() as target:
        words = ["segment", str(scan), str(Path(target) / "out"), "--quiet"]
        words += [word for model in models for word in ("--model", model)]
        words += ["--backend", backend] if backend else []
        start = time.perf_counter()
        told = subprocess.run(
            [sys.executable, __file__, "--run", *words], check=True, stdout=subprocess.PIPE, text=True
        )
        return {"seconds": time.perf_counter() - start, **json.loads(told.stdout.splitlines()[-1])}


def run(words: list[str]) -> None:
    """Do it in this process, on two cores, and tell what it took."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    from ctatlas.commands.app import run as ctatlas

    if code := ctatlas(words):
        sys.exit(code)
    used = resource.getrusage(resource.RUSAGE_SELF)
    status = Path("/proc/self/status").read_text()
    peak_mb = float(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps({"cpu_seconds": used.ru_utime + used.ru_stime, "peak_mb": peak_mb}))


def table(told: dict[str, Any]) -> str:
    """Return a row per backend, and say where other work took the cores."""
    lines = ["| backend | seconds | CPU seconds | peak memory, MiB |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {name} | {run['seconds']:.1f} | {run['cpu_seconds']:.1f} | {run['peak_mb']:.0f} |"
        for name, run in told["runs"].items()
    ]
    if any(run["cpu_seconds"] < run["seconds"] for run in told["runs"].values()):
        lines += ["", "Other work took the cores meanwhile: the seconds on the clock mean nothing here."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(sys.argv[2:])
    else:
        typer.run(main)
