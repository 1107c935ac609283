from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy.ndimage import map_coordinates

from ctatlas.commands.demo import ATTRIBUTION, SCAN
from tests.support_command import Terminal
from tests.support_models import tiny_model


@pytest.fixture
def sample() -> nib.Nifti1Image:
    return nib.load(SCAN)


def test_the_sample_scan_is_small_and_says_nothing_of_the_patient(sample: nib.Nifti1Image) -> None:
    header = sample.header
    assert SCAN.stat().st_size <= 8_000_000
    assert (header["sform_code"], header["qform_code"], header.get_xyzt_units()[0]) == (1, 1, "mm")
    assert [bytes(header[field]).rstrip(b"\0") for field in ("db_name", "aux_file", "intent_name")] == [b"", b"", b""]
    assert list(header.extensions) == []
    assert SCAN.read_bytes()[4:8] == bytes(4)  # no time in the gzip header


def test_the_attribution_names_licence_and_source() -> None:
    text = ATTRIBUTION.read_text(encoding="utf-8")
    for words in ("CC BY 3.0", "LIDC-IDRI-0001", "10.7937/K9/TCIA.2015.LO9QL9SX", "Changes:", "identify the patient"):
        assert words in text


def test_the_sample_scan_lies_where_the_labelled_copy_of_it_does(sample: nib.Nifti1Image, shared_data: Path) -> None:
    reference = nib.load(shared_data / "torso_ct" / "lidc-0001_ct_1p5mm.nii.gz")
    labels = np.asarray(nib.load(shared_data / "labelmaps" / "lidc-0001_labels_1p5mm.nii.gz").dataobj)
    at = np.random.default_rng(0).integers(5, np.array(reference.shape) - 5, (20_000, 3))
    sample_from_world = np.linalg.inv(sample.affine)
    there = apply_affine(sample_from_world @ reference.affine, at)
    found = map_coordinates(np.asarray(sample.dataobj, np.float32), there.T, order=1)
    expected = np.asarray(reference.dataobj)[tuple(at.T)]
    assert np.corrcoef(found, expected)[0, 1] > 0.999
    # 1 and 5 are TotalSegmentator's ids; world x grows toward the patient's right
    spleen, liver = (apply_affine(reference.affine, np.argwhere(labels == number)).mean(axis=0) for number in (1, 5))
    assert liver[0] > spleen[0] + 50


def test_the_demo_gives_masks_numbers_picture_and_says_whose_scan_it_is(
    ctatlas: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the bundled network is tried by the journey below; here a tiny one keeps the test quick
    model = tiny_model(tmp_path / "model", hu={"liver": 60}, window=[32, 32, 32], overlap=0.25)
    monkeypatch.setattr("ctatlas.commands.demo.MODEL", str(model))
    done = ctatlas("demo", tmp_path / "out")
    assert done.code == 0
    assert "CC BY 3.0" in done.out
    assert done.out.lower().count("not for clinical use") == 1
    assert "liver" in done.out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "ATTRIBUTION.txt",
        "combined_labels.nii.gz",
        "ct.nii.gz",
        "labels.json",
        "preview.png",
        "run.json",
        "segmentations",
        "statistics.csv",
        "statistics.json",
    }
    assert (tmp_path / "out" / "ct.nii.gz").read_bytes() == SCAN.read_bytes()


@pytest.mark.slow
def test_the_demo_finds_the_lungs_with_the_bundled_model(ctatlas: Terminal, tmp_path: Path) -> None:
    (case,) = ctatlas("demo", tmp_path / "out", "--json").json["cases"]
    assert 1000 < case["structures"]["lung_left"]["volume_ml"] < 3000
    assert 1000 < case["structures"]["lung_right"]["volume_ml"] < 3000
    again = ctatlas("demo", tmp_path / "out", "--json").json["cases"]
    assert [each["state"] for each in again] == ["there"]


@pytest.mark.slow
def test_the_loop_makes_a_release_in_which_corrected_cases_are_better(ctatlas: Terminal, tmp_path: Path) -> None:
    done = ctatlas("demo", "--loop", tmp_path / "out", "--json")
    assert done.code == 0
    said = done.json
    assert list(said["steps"])[:4] == ["init", "add", "predict", "attend"]
    for case in said["corrected"]:
        assert case["mean_after"] > case["mean_before"] + 0.03
        assert 0 < case["minutes"] <= 15
    assert Path(said["picture"]).stat().st_size > 50_000
    assert ctatlas("release", "verify", said["release"]).code == 0
    assert ctatlas("doctor", tmp_path / "out/atlas", "--json").json == {"sound": True, "found": []}
    again = ctatlas("demo", "--loop", tmp_path / "out")
    assert (again.code, len(again.err.splitlines())) == (2, 1)
