"""The tutorial, line by line, with a small copy of the sample scan as the reader's own."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ctatlas
from ctatlas.commands.demo import SCAN
from ctatlas.volume import Volume, write_volume
from tests.support_command import Terminal
from tests.volume.formats.dicom.phantom import Phantom

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
RUNS = re.findall(r"<!-- runs -->\n(?:```python\n(.*?)```|((?:    [^\n]*\n)+))", PAGE, re.DOTALL)


class Copy(Phantom):
    """Slices of a scan that is given in LPS order."""

    scan: Volume

    def hu(self, k: int) -> np.ndarray:
        return np.asarray(self.scan.array[:, :, k].T)


def coarse() -> Volume:
    """Return the sample scan with every third voxel in the plane and every second slice."""
    scan = ctatlas.read(SCAN).reoriented("LPS")
    affine = scan.grid.affine @ np.diag([3.0, 3, 2, 1])
    array = np.asfortranarray(scan.array[::3, ::3, ::2])
    return Volume(array, ctatlas.volume.Grid(array.shape, affine))


def dicom_of(scan: Volume, folder: Path) -> None:
    """Write a scan in LPS order as a DICOM series."""
    across, down, between = scan.grid.spacing_mm
    x, y, z = scan.grid.affine[:3, 3]
    series = Copy(n_slices=scan.array.shape[2], spacing_mm=(down, across), step_mm=between, first_mm=(-x, -y, z))
    series.scan = scan
    series.write(folder)


@pytest.mark.slow
def test_every_line_of_the_tutorial_runs(ctatlas: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    scan = coarse()
    dicom_of(scan, tmp_path / "study")
    (tmp_path / "scans").mkdir()
    write_volume(scan, tmp_path / "scans" / "a.nii.gz")
    shutil.copytree(tmp_path / "study", tmp_path / "scans" / "b")

    names: dict[str, Any] = {}
    for python, shell in RUNS:
        exec(python, names)
        for line in shell.splitlines():
            assert ctatlas(*shlex.split(line)[1:]).code == 0, line

    assert len(RUNS) >= 6
    assert 700 < names["found"].mask("liver").sum() * names["scan"].grid.voxel_ml < 1500
    assert (tmp_path / "liver.png").stat().st_size > 10_000
    for path in ("demo-output/preview.png", "out/statistics.csv", "out/combined_labels.nii.gz", "masks/liver.nii.gz"):
        assert (tmp_path / path).is_file()
    assert {path.name for path in (tmp_path / "many").iterdir() if path.is_dir()} == {"a", "b"}
