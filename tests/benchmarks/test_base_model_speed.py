"""The large scan is a body of the size it is said to have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.base_model_speed import large_scan, table
from ctatlas.volume import read


def test_the_scan_is_a_whole_trunk_whatever_its_number_of_voxels(tmp_path: Path) -> None:
    scan = read(large_scan(tmp_path, 8))
    assert scan.grid.shape == (64, 64, 36)
    assert scan.grid.orientation == "LPS"
    np.testing.assert_allclose(scan.grid.spacing_mm, (6.4, 6.4, 17.6), rtol=1e-5)
    body_ml = (scan.array > -400).sum() * scan.grid.voxel_ml
    assert 20_000 < body_ml < 90_000


RUN = {"seconds": 12.34, "cpu_seconds": 20.0, "peak_mb": 900.4, "turns": 3}


def test_a_row_tells_a_backends_time_and_memory() -> None:
    assert table({"runs": {"default": RUN}}).splitlines()[-1] == "| default | 12.3 | 20.0 | 900 |"


def test_seconds_of_a_busy_machine_are_called_so() -> None:
    busy = {"default": RUN, "other": RUN | {"seconds": 40.0}}
    assert table({"runs": busy}).splitlines()[-1].startswith("Other work took the cores")


@pytest.mark.soak
def test_the_run_is_measured(tmp_path: Path) -> None:
    from benchmarks.base_model_speed import measured

    run = measured(large_scan(tmp_path, 4), ["ctatlas/base"], "onnxruntime")
    assert run["seconds"] > 1
    assert run["peak_mb"] > 100
