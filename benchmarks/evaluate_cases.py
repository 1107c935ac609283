"""Measure how evaluation goes with the number of cores: `python benchmarks/evaluate_cases.py OUT.json`.

Cases are balls of structures on a grid of 96 x 88 x 60 voxels, references and predictions as one label map each. The
same cases are evaluated with one worker and with several, in turn. Beside the wall time stands where the processor time
went: what the parent does itself is the part that no further core can take over (Amdahl), so that the share of it says
up to how many cores the work goes nearly linearly, also on a machine whose cores are shared.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import typer

from ctatlas.volume import Grid, write_labels

SHAPE, SPACING_MM = (96, 88, 60), (1.6, 1.6, 2.5)
N_STRUCTURES = 12
DISTINCT = 20  # cases that are drawn; the others are copies, so that the disk is not what is measured

CHILD = """
import json, resource, sys, time
from ctatlas.benchmark.evaluate import Options, evaluate
if __name__ == "__main__":
    gt, pred, out, workers = sys.argv[1:]
    began = time.perf_counter()
    found = evaluate(gt, pred, out, options=Options(workers=int(workers), worst=0))
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({
        "wall_s": time.perf_counter() - began,
        "parent_cpu_s": own.ru_utime + own.ru_stime,
        "workers_cpu_s": others.ru_utime + others.ru_stime,
        "rows": len(found.measurements),
    }))
"""


def main(
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    cases: int = 1000,
    workers: Annotated[list[int] | None, typer.Option(help="How many workers to try.")] = None,
    repeats: int = 1,
) -> None:
    """Evaluate the same cases with each number of workers, in turn."""
    tried = workers or [1, 2]
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        _write_cases(root, cases)
        runs = [{"workers": n, **_run(root, n, root / f"out-{turn}-{n}")} for turn in range(repeats) for n in tried]
    summary = [_summary(n, [run for run in runs if run["workers"] == n], cases) for n in tried]
    for row in summary:
        row["speed_up"] = summary[0]["wall_s"] / row["wall_s"] * tried[0]
    result = {"cases": cases, "structures": N_STRUCTURES, "shape": SHAPE, "cores": os.cpu_count(), "runs": runs}
    out.write_text(json.dumps({**result, "summary": summary}, indent=1) + "\n")
    for row in summary:
        print(json.dumps(row))


def _summary(n: int, runs: list[dict[str, float]], cases: int) -> dict[str, float]:
    wall, parent = median(run["wall_s"] for run in runs), median(run["parent_cpu_s"] for run in runs)
    of_workers = median(run["workers_cpu_s"] for run in runs)
    return {
        "workers": n,
        "wall_s": wall,
        "cases_a_second": cases / wall,
        "cpu_a_case_ms": 1000 * (parent + of_workers) / cases,
        "parent_cpu_a_case_ms": 1000 * parent / cases,
        "speed_up": 1.0,
    }


def _run(root: Path, workers: int, out: Path) -> dict[str, float]:
    words = [str(root / "gt"), str(root / "pred"), str(out), str(workers)]
    script = root / "child.py"
    script.write_text(CHILD)
    done = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _write_cases(root: Path, cases: int) -> None:
    rng = np.random.default_rng(13)
    grid = Grid(SHAPE, np.diag([*SPACING_MM, 1.0]))
    places = np.indices(SHAPE).transpose(1, 2, 3, 0) * SPACING_MM
    names = {str(number): f"vertebrae_L{number}" if number < 6 else f"rib_left_{number}" for number in _ids()}
    for side in ("gt", "pred"):
        (root / side).mkdir(parents=True)
        (root / side / "labels.json").write_text(json.dumps(names))
    for number in range(cases):
        targets = [root / side / f"case_{number:04d}.nii.gz" for side in ("gt", "pred")]
        if number < DISTINCT:
            centres = rng.uniform(0.15, 0.85, (N_STRUCTURES, 3)) * SHAPE * SPACING_MM
            radii = rng.uniform(6, 22, N_STRUCTURES)
            for target, off in zip(targets, (0.0, 2.0), strict=True):
                write_labels(_balls(places, centres + rng.normal(0, off, centres.shape), radii), grid, target)
        else:
            for target in targets:
                source = target.with_name(f"case_{number % DISTINCT:04d}.nii.gz")
                target.write_bytes(source.read_bytes())


def _balls(places: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    found = np.zeros(SHAPE, np.uint8, order="F")
    for number, centre, radius in zip(_ids(), centres, radii, strict=True):
        found[((places - centre) ** 2).sum(axis=3) < radius**2] = number
    return found


def _ids() -> range:
    return range(1, N_STRUCTURES + 1)


if __name__ == "__main__":
    typer.run(main)
