"""The tutorial, line by line, with a small copy of the sample scan as the reader's own."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ctatlas
from ctatlas.commands.demo import SCAN
from ctatlas.volume import Volume, read_labels, write_volume
from tests.support_command import Terminal
from tests.volume.formats.dicom.phantom import Phantom

if TYPE_CHECKING:
    from pydicom import Dataset

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
    series.change = named
    series.write(folder)


def named(_: int, dataset: Dataset) -> None:
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "42"


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

    assert len(RUNS) >= 8
    assert 700 < names["found"].mask("liver").sum() * names["scan"].grid.voxel_ml < 1500
    assert (tmp_path / "liver.png").stat().st_size > 10_000
    for path in ("demo-output/preview.png", "out/statistics.csv", "out/combined_labels.nii.gz", "masks/liver.nii.gz",
                 "masks.seg.dcm", "masks.seg.nrrd", "study.nrrd"):  # fmt: skip
        assert (tmp_path / path).is_file()
    contoured = read_labels(tmp_path / "contours" / "liver.nii.gz").labels
    assert (contoured == read_labels(tmp_path / "out" / "segmentations" / "liver.nii.gz").labels).all()
    shared = list((tmp_path / "shareable").rglob("*.dcm"))
    assert len(shared) == len(list((tmp_path / "study").iterdir()))
    assert not any(b"Doe" in path.read_bytes() for path in shared)
    assert {path.name for path in (tmp_path / "many").iterdir() if path.is_dir()} == {"a", "b"}
