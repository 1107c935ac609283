"""`make bench` runs every script of `benchmarks/` with the place of its figures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "benchmarks").glob("*.py"))


@pytest.mark.soak
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_benchmark_takes_the_place_of_its_figures(script: Path) -> None:
    setting = os.environ | {"COLUMNS": "200", "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, script, "--help"], cwd=ROOT, env=setting, capture_output=True, text=True, check=True
    )
    usage = done.stdout.lower().split("usage:")[1].split("\n\n")[0]
    assert " out" in usage or "[out]" in usage
