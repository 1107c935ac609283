"""Study folders as they come from a scanner: what is taken, what is mended, and what is said about it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctatlas.volume import Volume
from tests.support_command import Terminal
from tests.support_scans import write_dicom

MISSING = 12
SAID = "1 missing slice interpolated linearly: k = 12"


@pytest.fixture
def incomplete(volume: Volume, tmp_path: Path) -> Path:
    folder = write_dicom(volume, tmp_path / "dicom")
    (folder / f"{MISSING:03d}.dcm").unlink()
    return folder


def test_an_incomplete_series_is_refused_with_the_hint(
    ctatlas: Terminal, incomplete: Path, model: Path, tmp_path: Path
) -> None:
    done = ctatlas("segment", incomplete, tmp_path / "out", "--model", model)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert "1 slice missing" in done.err
    assert done.err.endswith("or have it resampled: --repair\n")
    assert not (tmp_path / "out").exists()


def test_repair_is_done_on_request_said_and_recorded(
    ctatlas: Terminal, incomplete: Path, volume: Volume, model: Path, tmp_path: Path
) -> None:
    whole = write_dicom(volume, tmp_path / "whole")
    assert ctatlas("segment", whole, tmp_path / "right", "--model", model).code == 0
    done = ctatlas("segment", incomplete, tmp_path / "out", "--model", model, "--repair")
    assert done.code == 0
    assert f"repaired: {SAID}" in done.err
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["summary"]["repairs"] == [SAID]
    assert run["parameters"]["choices"] == {"repair": True}
    liver, right = (nib.load(tmp_path / name / "segmentations" / "liver.nii.gz") for name in ("out", "right"))
    np.testing.assert_allclose(liver.affine, right.affine, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(liver.dataobj), np.asarray(right.dataobj))


def test_repairs_stand_in_the_json_of_this_run_and_the_next(
    ctatlas: Terminal, incomplete: Path, model: Path, tmp_path: Path
) -> None:
    for state in ("done", "there"):
        done = ctatlas("segment", incomplete, tmp_path / "out", "--model", model, "--repair", "--json")
        (case,) = json.loads(done.out)["cases"]
        assert (case["state"], case["repairs"]) == (state, [SAID])


def test_of_a_pet_ct_study_the_ct_is_segmented_and_the_rest_named(
    ctatlas: Terminal, volume: Volume, model: Path, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    write_dicom(volume, study / "ct", SeriesInstanceUID="1.2.4", SeriesNumber=2)
    write_dicom(volume, study / "pet", SeriesInstanceUID="1.2.5", SeriesNumber=3, Modality="PT")
    write_dicom(volume, study / "bone", SeriesInstanceUID="1.2.6", SeriesNumber=4, ConvolutionKernel="B70f")
    done = ctatlas("segment", study, tmp_path / "out", "--model", model)
    assert done.code == 0
    assert 'took CT series 2 "CT abdomen"' in done.err
    assert 'passed over 4 "CT abdomen" (31 images 6 mm apart; sharper kernel)' in done.err
    assert 'passed over as no CT volume: 31 x PT object (series 3 "CT abdomen")' in done.err
    assert json.loads((tmp_path / "out" / "run.json").read_text())["summary"]["notes"]
    other = ctatlas("segment", study, tmp_path / "other", "--model", model, "--series", "4")
    assert other.code == 0
    assert "took" not in other.err


def test_one_irregular_series_of_many_scans_is_a_row(
    ctatlas: Terminal, incomplete: Path, scan: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "many").mkdir()
    shutil.move(incomplete, tmp_path / "many" / "irregular")
    shutil.copy(scan, tmp_path / "many" / "scan.nii.gz")
    done = ctatlas("segment", tmp_path / "many", tmp_path / "out", "--model", model)
    assert done.code == 3
    rows = (tmp_path / "out" / "failures.csv").read_text().splitlines()
    assert len(rows) == 2
    assert rows[1].startswith("irregular,read,")
    assert "--repair" in rows[1]


def test_a_dry_run_tells_what_would_be_refused_mended_and_taken(
    ctatlas: Terminal, incomplete: Path, volume: Volume, scan: Path, model: Path, tmp_path: Path
) -> None:
    many = tmp_path / "many"
    write_dicom(volume, many / "study" / "ct", SeriesInstanceUID="1.2.4", SeriesNumber=2)
    write_dicom(volume, many / "study" / "bone", SeriesInstanceUID="1.2.6", SeriesNumber=4, ConvolutionKernel="B70f")
    refused = ctatlas("segment", incomplete, tmp_path / "out", "--model", model, "--dry-run")
    assert "1 slice missing" in refused.err
    assert "refuse" in refused.out
    mended = ctatlas("segment", incomplete, tmp_path / "out", "--model", model, "--dry-run", "--repair")
    assert mended.err == f"ctatlas: would repair: {SAID}\n"
    taken = ctatlas("segment", many / "study", tmp_path / "out", "--model", model, "--dry-run")
    assert "took CT series 2" in taken.err
    shutil.move(incomplete, many / "irregular")
    shutil.copy(scan, many / "scan.nii.gz")
    done = ctatlas("segment", many, tmp_path / "out", "--model", model, "--dry-run", "--json")
    would = {case["case"]: (case["would"], case["writes_files"] > 0, len(case["says"])) for case in done.json["cases"]}
    assert would["scan"] == ("segment", True, 0)
    assert would["irregular"] == ("refuse", False, 1)
    assert not (tmp_path / "out").exists()
