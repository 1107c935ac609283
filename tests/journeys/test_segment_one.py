"""One scan from a file or a DICOM folder to masks and whatever else was asked for."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from PIL import Image

from ctatlas import __version__
from ctatlas.volume import Volume, write_volume
from tests.support_command import Terminal
from tests.support_scans import HU, LIVER, SPLEEN, box_mask, torso, torso_model, write_dicom

EXTRAS = ["--combined", "--statistics", "--preview", "--save-probabilities", "--save-entropy"]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def test_a_file_gives_masks_where_the_organs_are(ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path) -> None:
    done = ctatlas("segment", scan, tmp_path / "out", "--model", model)
    assert done.code == 0
    assert set(files(tmp_path / "out")) == {
        "run.json",
        "segmentations/body.nii.gz",
        "segmentations/liver.nii.gz",
        "segmentations/spleen.nii.gz",
    }
    for name, box in (("liver", LIVER), ("spleen", SPLEEN)):
        mask = nib.load(tmp_path / "out" / "segmentations" / f"{name}.nii.gz")
        assert dice(np.asarray(mask.dataobj) == 1, box_mask(box)) > 0.9
    assert "Not for clinical use." in done.out
    assert done.err == ""


def test_masks_lie_on_the_scan_for_nibabel_and_simpleitk(
    ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path
) -> None:
    ctatlas("segment", scan, tmp_path / "out", "--model", model)
    mask_path = tmp_path / "out" / "segmentations" / "liver.nii.gz"
    ct, mask = nib.load(scan), nib.load(mask_path)
    np.testing.assert_allclose(mask.affine, ct.affine, atol=1e-5)
    assert (mask.shape, mask.get_data_dtype()) == (ct.shape, np.uint8)
    ct, mask = SimpleITK.ReadImage(scan), SimpleITK.ReadImage(mask_path)
    np.testing.assert_allclose(mask.GetOrigin(), ct.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(mask.GetDirection(), ct.GetDirection(), atol=1e-6)
    np.testing.assert_allclose(mask.GetSpacing(), ct.GetSpacing(), atol=1e-5)
    overlap = SimpleITK.LabelStatisticsImageFilter()
    overlap.Execute(ct, mask)
    assert overlap.GetMedian(1) == pytest.approx(HU["liver"], abs=5)


def test_a_dicom_folder_gives_the_masks_of_the_file(
    ctatlas: Terminal, volume: Volume, scan: Path, model: Path, tmp_path: Path
) -> None:
    write_dicom(volume, tmp_path / "dicom")
    codes = [
        ctatlas("segment", source, tmp_path / out, "--model", model).code
        for source, out in ((scan, "from_file"), (tmp_path / "dicom", "from_dicom"))
    ]
    assert codes == [0, 0]
    for name in ("liver", "spleen", "body"):
        masks = [tmp_path / out / "segmentations" / f"{name}.nii.gz" for out in ("from_file", "from_dicom")]
        one, other = (nib.as_closest_canonical(nib.load(path)) for path in masks)
        np.testing.assert_array_equal(np.asarray(one.dataobj), np.asarray(other.dataobj))
        np.testing.assert_allclose(one.affine, other.affine, atol=1e-3)


@pytest.mark.parametrize("code", ["LPS", "SAR", "IPL"])
def test_the_order_of_axes_changes_no_voxel(
    ctatlas: Terminal, volume: Volume, scan: Path, model: Path, tmp_path: Path, code: str
) -> None:
    write_volume(volume.reoriented(code), tmp_path / "turned.nii.gz")
    extras = ["--save-probabilities", "--save-entropy"]
    ctatlas("segment", scan, tmp_path / "out", "--model", model, *extras)
    ctatlas("segment", tmp_path / "turned.nii.gz", tmp_path / "turned", "--model", model, *extras)
    for name in ("segmentations/liver", "segmentations/spleen", "probabilities/spleen", "entropy"):
        straight, turned = (nib.load(tmp_path / out / f"{name}.nii.gz") for out in ("out", "turned"))
        assert nib.aff2axcodes(turned.affine) == tuple(code)
        upright = nib.as_closest_canonical(turned)
        np.testing.assert_array_equal(np.asarray(upright.dataobj), np.asarray(straight.dataobj))
        np.testing.assert_allclose(upright.affine, straight.affine, atol=1e-4)


def test_every_extra_is_written_and_named_by_the_run(
    ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert ctatlas("segment", scan, out, "--model", model, *EXTRAS).code == 0
    assert set(files(out)) - {f"segmentations/{name}.nii.gz" for name in ("body", "liver", "spleen")} == {
        "combined_labels.nii.gz",
        "entropy.nii.gz",
        "labels.json",
        "preview.png",
        "probabilities/liver.nii.gz",
        "probabilities/small_bowel.nii.gz",
        "probabilities/spleen.nii.gz",
        "run.json",
        "statistics.csv",
        "statistics.json",
    }
    record = json.loads((out / "run.json").read_text())
    assert record["files"] == {name: len(content) for name, content in files(out).items() if name != "run.json"}
    assert record["whole"]
    assert record["ctatlas"] == __version__
    assert record["parameters"]["model"]["name"] == "test/torso"


def test_combined_labels_hide_no_part_behind_its_whole(
    ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ctatlas("segment", scan, out, "--model", model, "--combined")
    names = {int(number): name for number, name in json.loads((out / "labels.json").read_text()).items()}
    labels = np.asarray(nib.load(out / "combined_labels.nii.gz").dataobj)
    masks = {name: np.asarray(nib.load(out / f"segmentations/{name}.nii.gz").dataobj) == 1 for name in names.values()}
    number = {name: number for number, name in names.items()}
    assert set(names.values()) == {"liver", "spleen", "body"}
    np.testing.assert_array_equal(labels == number["liver"], masks["liver"])
    np.testing.assert_array_equal(labels == number["spleen"], masks["spleen"])
    np.testing.assert_array_equal(labels == number["body"], masks["body"] & ~masks["liver"] & ~masks["spleen"])


def test_statistics_are_those_of_the_masks(ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ctatlas("segment", scan, out, "--model", model, "--statistics")
    told = json.loads((out / "statistics.json").read_text())
    mask = np.asarray(nib.load(out / "segmentations" / "liver.nii.gz").dataobj) == 1
    hu = np.asarray(nib.load(scan).dataobj)
    liver = told["structures"]["liver"]
    assert told["notice"] == "Not for clinical use."
    assert liver["volume_ml"] == pytest.approx(mask.sum() * 5 * 5.5 * 6 / 1000, abs=1e-3)
    assert liver["mean_hu"] == pytest.approx(hu[mask].mean(), abs=0.01)
    assert (liver["status"], liver["touches_border"]) == ("complete", False)
    assert (told["structures"]["body"]["status"], told["structures"]["body"]["cut_at"]) == (
        "cut",
        ["inferior", "superior"],
    )
    rows = {row["structure"]: row for row in csv.DictReader(io.StringIO((out / "statistics.csv").read_text()))}
    assert float(rows["liver"]["volume_ml"]) == liver["volume_ml"]
    assert rows["body"]["cut_at"] == "inferior superior"
    assert rows["liver"]["touches_border"] == "false"


def test_a_structure_that_is_not_there_has_an_empty_mask_and_is_absent(
    ctatlas: Terminal, model: Path, tmp_path: Path
) -> None:
    write_volume(torso(spleen_hu=HU["small_bowel"]), tmp_path / "scan.nii.gz")
    done = ctatlas("segment", tmp_path / "scan.nii.gz", tmp_path / "out", "--model", model, "--json")
    spleen = done.json["cases"][0]["structures"]["spleen"]
    assert (done.code, spleen["status"], spleen["volume_ml"], spleen["mean_hu"]) == (0, "absent", 0.0, None)
    assert not np.asarray(nib.load(tmp_path / "out" / "segmentations" / "spleen.nii.gz").dataobj).any()


def test_the_picture_is_a_picture(ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path) -> None:
    ctatlas("segment", scan, tmp_path / "out", "--model", model, "--preview")
    picture = Image.open(tmp_path / "out" / "preview.png")
    picture.load()
    assert min(picture.size) > 300


def test_probabilities_and_doubt_are_where_they_belong(
    ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ctatlas("segment", scan, out, "--model", model, "--save-probabilities", "--save-entropy")
    liver, doubt = (nib.load(out / name) for name in ("probabilities/liver.nii.gz", "entropy.nii.gz"))
    assert liver.get_data_dtype() == doubt.get_data_dtype() == np.uint8
    inside = box_mask(tuple((lo + 2, hi - 2) for lo, hi in LIVER))
    rim = box_mask(LIVER) & ~inside
    assert np.asarray(liver.dataobj)[inside].min() > 200
    assert np.asarray(doubt.dataobj)[rim].mean() > 2 * np.asarray(doubt.dataobj)[inside].mean()


def test_a_label_set_gives_its_names_and_numbers(ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = ctatlas("segment", scan, out, "--model", model, "--label-set", "universal-32", "--combined")
    assert done.code == 0
    assert "body" in done.complaint  # what the label set has no place for
    assert json.loads((out / "labels.json").read_text()) == {"1": "spleen", "6": "liver"}
    assert set(np.unique(np.asarray(nib.load(out / "combined_labels.nii.gz").dataobj))) == {0, 1, 6}


def test_experimental_structures_come_when_named(ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path) -> None:
    done = ctatlas("segment", scan, tmp_path / "out", "--model", model, "--structures", "Liver,small_bowel")
    assert done.code == 0
    assert "marked experimental" in done.err
    assert {path.name for path in (tmp_path / "out" / "segmentations").iterdir()} == {
        "liver.nii.gz",
        "small_bowel.nii.gz",
    }


def test_what_is_not_usable_comes_only_when_named_with_a_warning(ctatlas: Terminal, scan: Path, tmp_path: Path) -> None:
    model = torso_model(tmp_path / "model", status="not_usable")
    ctatlas("segment", scan, tmp_path / "default", "--model", model)
    assert not (tmp_path / "default" / "segmentations" / "spleen.nii.gz").exists()
    done = ctatlas("segment", scan, tmp_path / "named", "--model", model, "-s", "spleen")
    assert (tmp_path / "named" / "segmentations" / "spleen.nii.gz").exists()
    assert "warning: marked not usable" in done.err


def test_json_is_the_only_thing_on_stdout(ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path) -> None:
    done = ctatlas("segment", scan, tmp_path / "out", "--model", model, "--json")
    (case,) = done.json["cases"]
    assert (case["case"], case["state"], case["folder"]) == ("scan", "done", str(tmp_path / "out"))
    assert case["structures"]["liver"]["status"] == "complete"


def test_quiet_says_nothing(ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path) -> None:
    done = ctatlas("segment", scan, tmp_path / "out", "--model", model, "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_a_dry_run_tells_files_and_bytes_and_writes_nothing(
    ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path
) -> None:
    before = files(tmp_path)
    done = ctatlas("segment", scan, tmp_path / "out", "--model", model, *EXTRAS, "--dry-run", "--json")
    assert files(tmp_path) == before
    assert not (tmp_path / "out").exists()
    (case,) = done.json["cases"]
    assert (case["would"], case["reads_files"], case["reads_bytes"]) == ("segment", 1, scan.stat().st_size)
    ctatlas("segment", scan, tmp_path / "out", "--model", model, *EXTRAS)
    assert case["writes_files"] == len(files(tmp_path / "out"))
    again = ctatlas("segment", scan, tmp_path / "out", "--model", model, *EXTRAS, "--dry-run")
    assert "skip" in again.out
