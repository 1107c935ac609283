"""What a whole `ctatlas benchmark` takes: 19 models on 743 cases, nine structures, two metrics, report and figures.

Run it from the root of the repository:  PYTHONPATH=. python benchmarks/benchmark_report.py [OUT.json]
The results are generated (`tests/support/results_tables.py`). Each run is a process of its own; CPU time beside wall
time, because a busy machine lengthens the one and not the other.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.results_tables import METRICS, STRUCTURES, generate

RUNS = 3
WORK = {"tables": "analyse and write the tables", "report": "the same, with the report and its figures"}
TABLES_ONLY = """
import sys
from pathlib import Path
from ctatlas.benchmark.analysis import analyse
from ctatlas.benchmark.files import write_tables
write_tables(analyse(Path(sys.argv[1]), Path(sys.argv[2])), Path(sys.argv[3]))
"""


def main(out: Annotated[Path | None, typer.Argument(help="Where to write the figures, JSON.")] = None) -> None:
    """Measure, print, and write where asked."""
    with tempfile.TemporaryDirectory() as scratch:
        made = generate(Path(scratch), n_short=87)
        report = Path(scratch) / "report"
        report.mkdir()
        words = [made.folder, made.metadata, report]
        whole = [made.folder, "--metadata", made.metadata, "--out", report, "--quiet"]
        calls = {
            "tables": [sys.executable, "-c", TABLES_ONLY, *map(str, words)],
            "report": [sys.executable, "-m", "ctatlas", "benchmark", *map(str, whole)],
        }
        measured = {
            name: min((_run(call) for _ in range(RUNS)), key=lambda one: one["cpu_s"]) for name, call in calls.items()
        }
        size_mb = sum(path.stat().st_size for path in report.rglob("*")) / 1e6
    size = {
        "models": len(made.models),
        "cases": len(made.cases),
        "structures": len(STRUCTURES),
        "metrics": len(METRICS),
    }
    for name, one in measured.items():
        print(f"{WORK[name]}: {one['cpu_s']:.1f} s of CPU time, {one['wall_s']:.1f} s, at most {one['peak_mb']:.0f} MB")
    print(f"{size}; files {size_mb:.1f} MB; least CPU time of {RUNS} runs")
    if out:
        out.write_text(json.dumps({**size, "files_mb": size_mb, **measured}, indent=1) + "\n")


def _run(call: list[str]) -> dict[str, float]:
    """Run one child, and say what it took; the peak is that of the largest child so far."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall, "cpu_s": cpu, "peak_mb": after.ru_maxrss / 1024}


if __name__ == "__main__":
    typer.run(main)
