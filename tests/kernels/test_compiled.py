from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = """
import sys, numpy as np
import ctatlas.measure.case
from ctatlas.measure.pairing import pairs_of_label_maps
{before}
gt = np.zeros((9, 9, 9), np.uint8)
gt[2:5, 2:6, 3:7] = 1
(pair,) = pairs_of_label_maps(gt, np.roll(gt, 1, axis=0), (1.0, 1.0, 2.0), {{1: "liver"}})
print(pair.counts.n_both, pair.surfaces().hausdorff_mm(), "numba" in sys.modules)
"""


def run(code: str, **environment: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()


def environment(**more: str) -> dict[str, str]:
    import os

    return {**os.environ, **more}


def test_numba_is_imported_by_the_first_loop_and_not_before() -> None:
    code = MEASURE.format(before="assert 'numba' not in sys.modules")
    assert run(code, **environment()) == "32 1.0 True"


def test_without_numba_the_values_are_the_same() -> None:
    code = "import sys; sys.modules['numba'] = None\n" + MEASURE.format(
        before="from ctatlas.kernels.compiled import has_numba; assert not has_numba()"
    )
    assert run(code, **environment()).startswith("32 1.0")


def test_where_nothing_can_be_kept_loops_are_compiled_all_the_same(tmp_path: Path) -> None:
    """A file stands where the folder would be made, which stops root, too."""
    pytest.importorskip("numba")
    (tmp_path / "file").touch()
    code = MEASURE.format(before="")
    assert run(code, **environment(NUMBA_CACHE_DIR=str(tmp_path / "file" / "inside"))) == "32 1.0 True"
