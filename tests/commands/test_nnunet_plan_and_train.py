from __future__ import annotations

import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.support.atlases import phantom_atlas
from tests.support_command import Terminal

SHAPE = (20, 18, 16)
PROGRAMS = ("nnUNetv2_plan_and_preprocess", "nnUNetv2_train")
# Stands for both programs of the package: notes how it was called, and leaves plans.
STAND_IN = """#!{python}
import json, os, pathlib, sys
folders = {{name: os.environ[name] for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}}
with open({notes!r}, "a") as file:
    file.write(json.dumps({{"words": sys.argv[1:], **folders}}) + "\\n")
(raw,) = pathlib.Path(folders["nnUNet_raw"]).glob("Dataset*")
made = pathlib.Path(folders["nnUNet_preprocessed"], raw.name)
made.mkdir(exist_ok=True)
(made / "nnUNetPlans.json").write_text("{{}}")
print("step 1 of 1")
if "4" in sys.argv[3:4]:
    print("Traceback (most recent call last):")
    sys.exit("RuntimeError: no memory left")
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put stand-ins of nnU-Net's programs where ctatlas looks for them; return what they note."""
    notes = tmp_path / "calls.jsonl"
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).write_text(STAND_IN.format(python=sys.executable, notes=str(notes)))
        (programs / name).chmod(0o755)
    monkeypatch.setattr("ctatlas.training.nnunet.program", lambda name: str(programs / name))
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", "nnUNet_def_n_proc"):
        monkeypatch.delenv(name, raising=False)
    return notes


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Return a folder of three scans with labels: spleen 7, liver 3 of a set of its own."""
    root = tmp_path / "organs"
    for number in range(3):
        labels = np.zeros(SHAPE, np.uint8)
        labels[2:6, 4:9, 5:9], labels[9:14, 4:9, 3 : 7 + number] = 7, 3
        hu = np.where(labels > 0, 60, -1000).astype(np.int16)
        for kind, array in (("images", hu), ("labels", labels)):
            (root / f"{kind}Tr").mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(array, np.diag([2.0, 2.0, 3.0, 1.0])), root / f"{kind}Tr" / f"p{number}.nii.gz")
    (root / "labels.json").write_text(json.dumps({"7": "spleen", "3": "liver"}))
    return root


def calls(notes: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []


def voxels(path: Path, orientation: str = "RAS") -> np.ndarray:
    """Read voxels in an order of axes that does not depend on how they are stored."""
    image = nib.load(path)
    stored = nib.orientations.io_orientation(image.affine)
    turn = nib.orientations.ornt_transform(stored, nib.orientations.axcodes2ornt(orientation))
    return np.asanyarray(image.as_reoriented(turn).dataobj)


def test_a_folder_becomes_raw_data_and_is_planned(
    ctatlas: Terminal, pairs: Path, package: Path, tmp_path: Path
) -> None:
    call = ("nnunet", "plan", "--from", pairs, "--label-set", pairs / "labels.json", "-d", 7, "--home", tmp_path / "nn")
    done = ctatlas(*call, "-pl", "nnUNetPlannerResEncM", "-c", "2d", "3d_fullres", "-np", 1, 2, "-npfp", 3, "--clean")
    assert done.code == 0, done.err
    assert "step 1 of 1" in done.err
    assert "ctatlas nnunet train -d 7" in done.out

    raw = tmp_path / "nn" / "nnUNet_raw" / "Dataset007_Organs"
    table = json.loads((raw / "dataset.json").read_text())
    assert table["labels"] == {"background": 0, "liver": 1, "spleen": 2}
    assert (table["numTraining"], table["file_ending"], table["channel_names"]) == (3, ".nii.gz", {"0": "CT"})
    theirs, ours = voxels(pairs / "labelsTr" / "p1.nii.gz"), voxels(raw / "labelsTr" / "p1.nii.gz")
    assert np.array_equal(ours, np.select([theirs == 3, theirs == 7], [1, 2]))
    assert np.array_equal(voxels(raw / "imagesTr" / "p1_0000.nii.gz"), voxels(pairs / "imagesTr" / "p1.nii.gz"))
    for path in (raw / "imagesTr" / "p1_0000.nii.gz", raw / "labelsTr" / "p1.nii.gz"):
        assert nib.aff2axcodes(nib.load(path).affine) == ("L", "P", "S"), "all lie alike, however they were stored"
    held = [fold["val"] for fold in json.loads((raw / "splits_final.json").read_text())]
    assert sorted(name for some in held for name in some) == ["p0", "p1", "p2"]

    (call,) = calls(package)
    assert " ".join(call["words"]) == "-d 7 -pl nnUNetPlannerResEncM -c 2d 3d_fullres -np 1 2 -npfp 3 --clean"  # type: ignore[arg-type]
    assert call["nnUNet_raw"] == str(raw.parent)


def test_a_second_run_writes_what_changed(ctatlas: Terminal, pairs: Path, tmp_path: Path) -> None:
    words = ("nnunet", "plan", "--from", pairs, "--label-set", pairs / "labels.json", "-d", 7, "--home", tmp_path)
    assert ctatlas(*words).code == 0
    raw = tmp_path / "nnUNet_raw" / "Dataset007_Organs"
    before = {path: path.stat().st_mtime_ns for path in raw.rglob("*.nii.gz")}
    image = nib.load(pairs / "labelsTr" / "p0.nii.gz")
    nib.save(
        nib.Nifti1Image(np.where(voxels(pairs / "labelsTr" / "p0.nii.gz") == 7, 3, 0).astype(np.uint8), image.affine),
        pairs / "labelsTr" / "p0.nii.gz",
    )
    for kind in ("images", "labels"):
        (pairs / f"{kind}Tr" / "p2.nii.gz").unlink()
    done = ctatlas(*words)
    assert done.code == 0, done.err
    after = {path: path.stat().st_mtime_ns for path in raw.rglob("*.nii.gz")}
    assert sorted(path.name for path in after) == ["p0.nii.gz", "p0_0000.nii.gz", "p1.nii.gz", "p1_0000.nii.gz"]
    assert {path.name for path in after if after[path] != before[path]} == {"p0.nii.gz", "p0_0000.nii.gz"}
    assert json.loads((raw / "dataset.json").read_text())["numTraining"] == 2

    (raw / "imagesTr" / "other_0000.nii.gz").write_bytes(b"")
    assert "imagesTr/other_0000.nii.gz is not ours" in ctatlas(*words).complaint
    assert "has the number 7 already" in ctatlas(*words, "--name", "More").complaint


def test_an_atlas_becomes_raw_data(ctatlas: Terminal, tmp_path: Path) -> None:
    made = phantom_atlas(tmp_path / "atlas", 3, sources=("btcv",))
    root = made.atlas.place.root
    words = ("nnunet", "plan", "--from", root, "-d", 501, "-c", "3d_fullres", "--home", tmp_path)
    assert "3 cases are not assembled" in ctatlas(*words).complaint
    assert ctatlas("assemble", root, "--quiet").code == 0
    done = ctatlas(*words, "--structures", "liver,kidneys")
    assert done.code == 0, done.err
    raw = tmp_path / "nnUNet_raw" / "Dataset501_Phantoms"
    assert json.loads((raw / "dataset.json").read_text())["labels"] == {"background": 0, "liver": 1, "kidneys": 2}
    truth = made.truth[made.place().case].reoriented("RAS")
    found = voxels(raw / "labelsTr" / f"{made.place().case}.nii.gz")
    assert np.array_equal(found == 1, truth.mask("liver"))
    assert np.array_equal(found == 2, truth.mask("kidney_left") | truth.mask("kidney_right"))
    assert "no case tells about uterus" in ctatlas(*words, "-s", "uterus").complaint


def test_training_calls_the_package_fold_after_fold(
    ctatlas: Terminal, pairs: Path, package: Path, tmp_path: Path
) -> None:
    home = ("--home", tmp_path)
    source = ("--from", pairs, "--label-set", pairs / "labels.json")
    done = ctatlas("nnunet", "train", "-d", 7, *source, "-f", 0, "all", "-device", "cpu", "--npz", *home)
    assert done.code == 0, done.err
    assert "nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres" in done.out
    planned, first, second = (" ".join(call["words"]) for call in calls(package))  # type: ignore[arg-type]
    assert planned.startswith("-d 7 -pl ExperimentPlanner -c 3d_fullres -np ")
    assert first == "7 3d_fullres 0 -tr nnUNetTrainerNoMirroring -p nnUNetPlans -device cpu --npz"
    assert second == first.replace(" 0 ", " all ")
    refused = ctatlas("nnunet", "train", "-d", 7, "-f", 4, *home)
    assert refused.complaint == "ctatlas: nnUNetv2_train ended with code 1: RuntimeError: no memory left"
    assert "has no Other.json" in ctatlas("nnunet", "train", "-d", 7, "-p", "Other", *home).complaint
    assert "has no data set 8" in ctatlas("nnunet", "train", "-d", 8, *home).complaint


def test_without_variables_or_a_home_nothing_is_guessed(ctatlas: Terminal) -> None:
    done = ctatlas("nnunet", "plan", "-d", 7)
    assert done.code == 2
    assert "nnUNet_raw, nnUNet_preprocessed, nnUNet_results not set" in done.complaint


def test_cases_that_fail_are_left_out_and_told(ctatlas: Terminal, pairs: Path, tmp_path: Path) -> None:
    (pairs / "imagesTr" / "p1.nii.gz").write_bytes(b"no image")
    words = ("--from", pairs, "--label-set", pairs / "labels.json", "-d", 7, "--home", tmp_path, "--layout", "pairs")
    done = ctatlas("nnunet", "plan", *words)
    assert done.code == 3, done.err
    raw = tmp_path / "nnUNet_raw" / "Dataset007_Organs"
    assert json.loads((raw / "dataset.json").read_text())["numTraining"] == 2
    assert "p1" in (raw / "failures.csv").read_text()
