from __future__ import annotations

import gzip
import json
import pickle
import shutil
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.reference import nnunet_oracle
from tests.support.nnunet_folders import Folder, write_folder, write_folders
from tests.support.nnunet_scans import noisy_scan, write_scan
from tests.support_command import Terminal

MODEL = ("-d", 321, "-tr", "nnUNetTrainerNoMirroring", "-c", "3d_fullres")
SHAPE = (33, 30, 27)


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of three cases; a model lies in nnUNet_results."""
    for seed, name in enumerate("abc"):
        write_scan(tmp_path / "scans" / f"case_{name}_0000.nii.gz", noisy_scan(SHAPE, seed=seed), (1.0, 1.1, 1.3))
    write_folder(tmp_path / "results", Folder(folds=(0, 1)))
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "results"))
    return tmp_path / "scans"


def labels(path: Path) -> np.ndarray:
    return np.asanyarray(nib.load(path).dataobj)


def test_a_folder_is_predicted_as_nnunet_does(ctatlas: Terminal, scans: Path, tmp_path: Path) -> None:
    nnunet_oracle.require_nnunet()
    out = tmp_path / "out"
    done = ctatlas("nnunet", "predict", "-i", scans, "-o", out, *MODEL, "-f", 0, 1, "--save_probabilities")
    assert (done.code, done.err) == (0, "")

    folder = next((tmp_path / "results").glob("*/*"))
    scan = scans / "case_b_0000.nii.gz"
    nnunet_oracle.predict(folder, [scan], tmp_path / "theirs", folds=(0, 1), save_probabilities=True)
    ours, theirs = out / "case_b.nii.gz", tmp_path / "theirs.nii.gz"
    assert np.count_nonzero(labels(ours) != labels(theirs)) == 0
    assert labels(ours).dtype == labels(theirs).dtype
    np.testing.assert_allclose(nib.load(ours).affine, nib.load(theirs).affine, atol=1e-4)
    probabilities = [np.load(path.with_name(f"{path.name[:-7]}.npz"))["probabilities"] for path in (ours, theirs)]
    np.testing.assert_allclose(*probabilities, atol=1e-5)
    assert_alike(*(pickle.loads(path.with_name(f"{path.name[:-7]}.pkl").read_bytes()) for path in (ours, theirs)))
    assert json.loads((out / "dataset.json").read_text()) == json.loads((folder / "dataset.json").read_text())
    assert (out / "plans.json").is_file()


def test_segment_takes_the_folder_and_finds_what_nnunet_finds(ctatlas: Terminal, scans: Path, tmp_path: Path) -> None:
    nnunet_oracle.require_nnunet()
    scan = scans / "case_c_0000.nii.gz"
    for model in (tmp_path / "results" / "Dataset321_Toy", next((tmp_path / "results").glob("*/*"))):
        assert ctatlas("segment", scan, tmp_path / model.name, "--model", model).code == 0
        nnunet_oracle.predict(next((tmp_path / "results").glob("*/*")), [scan], tmp_path / "theirs", folds=(0, 1))
        theirs = labels(tmp_path / "theirs.nii.gz")
        for number, name in enumerate(("liver", "spleen", "pancreas"), start=1):
            mask = labels(tmp_path / model.name / "segmentations" / f"{name}.nii.gz")
            assert np.array_equal(mask > 0, theirs == number)


def assert_alike(ours: object, theirs: object) -> None:
    """Compare what pickles hold: tables, and numbers in lists or tuples."""
    if isinstance(theirs, dict):
        assert isinstance(ours, dict)
        assert sorted(ours) == sorted(theirs)
        for key, value in theirs.items():
            assert_alike(ours[key], value)
    else:
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), atol=1e-4)


def test_the_package_makes_an_ensemble_of_what_we_leave(ctatlas: Terminal, scans: Path, tmp_path: Path) -> None:
    nnunet_oracle.require_nnunet()
    from nnunetv2.ensembling.ensemble import merge_files
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    for fold in (0, 1):
        call = ("nnunet", "predict", "-i", scans, "-o", tmp_path / f"out{fold}", *MODEL, "-f", fold)
        assert ctatlas(*call, "--save_probabilities").code == 0
    plans = PlansManager(str(tmp_path / "out0" / "plans.json"))
    dataset = json.loads((tmp_path / "out0" / "dataset.json").read_text())
    merge_files(
        [str(tmp_path / f"out{fold}" / "case_a.npz") for fold in (0, 1)],
        str(tmp_path / "merged"),
        ".nii.gz",
        plans.image_reader_writer_class(),
        plans.get_label_manager(dataset),
    )
    merged, stored = nib.load(tmp_path / "merged.nii.gz"), nib.load(scans / "case_a_0000.nii.gz")
    np.testing.assert_allclose(merged.affine, stored.affine, atol=1e-4)
    mean = sum(np.load(tmp_path / f"out{fold}" / "case_a.npz")["probabilities"] for fold in (0, 1))
    assert np.array_equal(np.asanyarray(merged.dataobj).T, mean.argmax(0))


def test_going_on_keeps_what_is_whole_and_redoes_the_rest(ctatlas: Terminal, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    call = ("nnunet", "predict", "-i", scans, "-o", out, *MODEL, "-f", 0, "--json")
    assert states(ctatlas(*call)) == {"case_a": "done", "case_b": "done", "case_c": "done"}
    right = {path.name: path.read_bytes() for path in out.glob("case_*")}
    assert states(ctatlas(*call, "--c")) == dict.fromkeys(["case_a", "case_b", "case_c"], "there")

    (out / "case_a.nii.gz").write_bytes(right["case_a.nii.gz"][:-40])  # of a run that was killed
    (out / "case_b.nii.gz").write_bytes(b"")
    assert states(ctatlas(*call, "--continue_prediction")) == {"case_a": "done", "case_b": "done", "case_c": "there"}
    assert {path.name: path.read_bytes() for path in out.glob("case_*")} == right

    assert set(states(ctatlas(*call, "--c", "-step_size", 0.8)).values()) == {"done"}, "asked for in another way"
    write_scan(scans / "case_b_0000.nii.gz", noisy_scan(SHAPE, seed=9), (1.0, 1.1, 1.3))
    again = states(ctatlas(*call, "--c", "-step_size", 0.8))
    assert again == {"case_a": "there", "case_b": "done", "case_c": "there"}, "another scan"
    assert set(states(ctatlas(*call)).values()) == {"done"}, "without --c all are made anew"


def states(done: object) -> dict[str, str]:
    assert done.code == 0, done.err  # type: ignore[attr-defined]
    return {each["case"]: each["state"] for each in done.json["cases"]}  # type: ignore[attr-defined]


def test_results_that_nnunet_left_are_kept_if_whole(ctatlas: Terminal, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    call = ("nnunet", "predict", "-i", scans, "-o", out, *MODEL, "-f", 0, "--c", "--json")
    affine = nib.load(scans / "case_a_0000.nii.gz").affine
    write_labels(out / "case_a.nii.gz", np.ones(SHAPE, np.uint8), affine)
    write_labels(out / "case_b.nii.gz", np.random.default_rng(0).integers(0, 4, SHAPE, np.uint8), affine)
    cut = (out / "case_b.nii.gz").read_bytes()[:-100]
    (out / "case_b.nii.gz").write_bytes(cut)
    write_labels(out / "case_c.nii.gz", np.full(SHAPE, 7, np.uint8), affine)  # a label that the model does not have
    assert states(ctatlas(*call)) == {"case_a": "there", "case_b": "done", "case_c": "done"}
    assert (labels(out / "case_a.nii.gz") == 1).all()
    with gzip.open(out / "case_b.nii.gz") as whole:
        assert whole.read()


def write_labels(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), path)


def test_parts_share_the_cases_in_turn(ctatlas: Terminal, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    call = ("nnunet", "predict", "-i", scans, "-o", out, *MODEL, "-f", 0, "-num_parts", 2, "--json", "-part_id")
    assert list(states(ctatlas(*call, 1))) == ["case_b"]
    assert list(states(ctatlas(*call, 0))) == ["case_a", "case_c"]
    refused = ctatlas(*call, 2)
    assert (refused.code, refused.complaint) == (
        2,
        "ctatlas: -part_id 2: parts are counted from 0 to 1 (-num_parts 2)",
    )


def test_one_bad_case_does_not_stop_the_others(ctatlas: Terminal, scans: Path, tmp_path: Path) -> None:
    (scans / "case_b_0000.nii.gz").write_bytes(b"no image")
    done = ctatlas("nnunet", "predict", "-i", scans, "-o", tmp_path / "out", *MODEL, "-f", 0)
    assert done.code == 3
    assert "case_b" in (tmp_path / "out" / "failures.csv").read_text()
    assert sorted(path.name for path in (tmp_path / "out").glob("case_*")) == ["case_a.nii.gz", "case_c.nii.gz"]
    assert not list((tmp_path / "out").glob(".ctatlas*"))


def test_a_cascade_reads_the_labels_of_its_former_stage(ctatlas: Terminal, scans: Path, tmp_path: Path) -> None:
    lowres = Folder(configuration="3d_lowres", spacing=(2.5, 2.5, 2.5), patch=(8, 8, 8), dataset="Dataset322_Two")
    fullres = Folder(configuration="3d_cascade_fullres", previous_stage="3d_lowres", dataset="Dataset322_Two")
    write_folders(tmp_path / "results", [lowres, fullres])
    call = ("nnunet", "predict", "-i", scans, "-d", "Dataset322_Two", "-tr", "nnUNetTrainerNoMirroring", "-f", 0)
    assert ctatlas(*call, "-o", tmp_path / "low", "-c", "3d_lowres").code == 0
    refused = ctatlas(*call, "-o", tmp_path / "full", "-c", "3d_cascade_fullres")
    assert "-prev_stage_predictions" in refused.complaint
    cascade = (*call, "-o", tmp_path / "full", "-c", "3d_cascade_fullres", "-prev_stage_predictions", tmp_path / "low")
    assert ctatlas(*cascade).code == 0
    (tmp_path / "low" / "case_b.nii.gz").unlink()
    assert "case_b.nii.gz: there is no such file; the former stage" in ctatlas(*cascade).complaint


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".nii"])
def test_other_formats_give_their_own(ctatlas: Terminal, ending: str, tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    write_scan(tmp_path / "x_0000.nii.gz", noisy_scan(SHAPE), (1.0, 1.1, 1.3))
    scans = tmp_path / "scans"
    scans.mkdir()
    image = sitk.ReadImage(tmp_path / "x_0000.nii.gz")
    sitk.WriteImage(image, scans / f"x_0000{ending}")
    folder = write_folder(tmp_path, Folder(file_ending=ending))
    done = ctatlas("nnunet", "predict", "-i", scans, "-o", tmp_path / "out", "-m", folder, "-f", 0)
    assert done.code == 0, done.err
    found = sitk.ReadImage(tmp_path / "out" / f"x{ending}")
    np.testing.assert_allclose(found.GetDirection(), image.GetDirection(), atol=1e-6)
    np.testing.assert_allclose(found.GetOrigin(), image.GetOrigin(), atol=1e-4)
    assert set(np.unique(sitk.GetArrayFromImage(found))) == {0, 1, 2, 3}


@pytest.mark.parametrize("reader", ["NibabelIOWithReorient", "NibabelIO"])
def test_readers_that_turn_images_give_what_nnunet_gives(ctatlas: Terminal, reader: str, tmp_path: Path) -> None:
    nnunet_oracle.require_nnunet()
    affine = np.array([[0, 0, 1.3, 5.0], [-1.0, 0, 0, 7.0], [0, -1.1, 0, 9.0], [0, 0, 0, 1.0]])  # i posterior, …
    scan = write_scan(tmp_path / "scans" / "x_0000.nii.gz", noisy_scan(SHAPE), (1.0, 1.1, 1.3), affine=affine)
    folder = write_folder(tmp_path, Folder(reader=reader))
    assert ctatlas("nnunet", "predict", "-i", tmp_path / "scans", "-o", tmp_path / "out", "-m", folder).code == 0
    nnunet_oracle.predict(folder, [scan], tmp_path / "theirs")
    ours, theirs = nib.load(tmp_path / "out" / "x.nii.gz"), nib.load(tmp_path / "theirs.nii.gz")
    np.testing.assert_allclose(ours.affine, affine, atol=1e-4)
    upright = [nib.as_closest_canonical(each) for each in (ours, theirs)]
    np.testing.assert_allclose(upright[0].affine, upright[1].affine, atol=1e-4)
    assert np.array_equal(*(np.asanyarray(each.dataobj) for each in upright))


def test_an_exported_network_stands_in_for_folds(ctatlas: Terminal, scans: Path, tmp_path: Path) -> None:
    from tests.support.nnunet_onnx import export_folder

    folder = next((tmp_path / "results").glob("*/*"))
    exported = export_folder(folder, Folder(folds=(0, 1)), tmp_path / "plug-in")
    call = ("nnunet", "predict", "-i", scans, "-f", 0)
    assert ctatlas(*call, "-m", folder, "-o", tmp_path / "torch").code == 0
    assert ctatlas("nnunet", "predict", "-i", scans, "-m", exported, "-o", tmp_path / "onnx").code == 0
    for name in ("case_a", "case_b", "case_c"):
        one, other = (labels(tmp_path / kind / f"{name}.nii.gz") for kind in ("torch", "onnx"))
        assert np.count_nonzero(one != other) <= 1e-4 * one.size


def test_a_zip_is_read_as_its_folder(ctatlas: Terminal, scans: Path, tmp_path: Path) -> None:
    packed = shutil.make_archive(str(tmp_path / "model"), "zip", tmp_path / "results")
    call = ("nnunet", "predict", "-i", scans, "-f", 1, "--json")
    assert ctatlas(*call, "-m", packed, "-o", tmp_path / "zip").code == 0
    assert ctatlas(*call, *MODEL, "-o", tmp_path / "folder").code == 0
    for name in ("case_a", "case_b", "case_c"):
        one, other = (tmp_path / kind / f"{name}.nii.gz" for kind in ("zip", "folder"))
        assert one.read_bytes() == other.read_bytes()
    assert set(states(ctatlas(*call, "-m", packed, "-o", tmp_path / "folder", "--c")).values()) == {"there"}
    (tmp_path / "model.zip").write_bytes(Path(packed).read_bytes()[:-200])
    assert "model.zip: a damaged zip" in ctatlas(*call, "-m", tmp_path / "model.zip", "-o", tmp_path / "x").complaint


def test_without_torch_a_line_says_what_to_install(
    ctatlas: Terminal, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("ctatlas.models.backends.torch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    (scans / "case_b_0000.nii.gz").unlink()
    (scans / "case_c_0000.nii.gz").unlink()
    done = ctatlas("nnunet", "predict", "-i", scans, "-o", tmp_path / "out", *MODEL, "-device", "cpu")
    assert done.code == 2
    assert "needs torch, which is not installed: pip install 'ctatlas[torch]'" in done.complaint


FAULTS = {
    "no variable": (("-d", 321, "-c", "3d_fullres"), "nnUNet_results is not set", {"nnUNet_results": ""}),
    "no such data set": (("-d", 7, "-c", "3d_fullres"), "has no data set 7; there are: Dataset321_Toy", {}),
    "no such configuration": (("-d", 321, "-c", "2d"), "has no nnUNetTrainer__nnUNetPlans__2d", {}),
    "no model said": (("-c", "2d"), "which model? Give -d and -c", {}),
    "no such fold": ((*MODEL, "-f", 4), "fold 4 has no checkpoint_final.pth", {}),
    "no such checkpoint": ((*MODEL, "-chk", "checkpoint_best.pth"), "no fold has a checkpoint_best.pth", {}),
    "a fold that is no number": ((*MODEL, "-f", "x"), "-f x: expected numbers of folds, or all", {}),
    "no such device": ((*MODEL, "-device", "tpu"), "-device tpu: expected one of cpu, cuda, mps", {}),
    "a step of nothing": ((*MODEL, "-step_size", 0), "-step_size", {}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_call_is_refused_in_a_line(
    ctatlas: Terminal, fault: str, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, complaint, environment = FAULTS[fault]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = ctatlas("nnunet", "predict", "-i", scans, "-o", tmp_path / "out", *words)
    assert done.code == 2
    assert complaint in done.complaint
    assert not (tmp_path / "out").exists()


def test_a_number_that_two_data_sets_have_is_refused(ctatlas: Terminal, scans: Path, tmp_path: Path) -> None:
    write_folder(tmp_path / "results", Folder(dataset="Dataset321_Twin"))
    call = ("nnunet", "predict", "-i", scans, "-o", tmp_path / "out", *MODEL)
    assert (
        "several data sets have the number 321: Dataset321_Toy, Dataset321_Twin; name one" in ctatlas(*call).complaint
    )
    assert ctatlas(*call[:6], "-d", "Dataset321_Twin", *MODEL[2:], "--dry-run").code == 0


def test_names_that_nnunet_would_stumble_over_are_explained(ctatlas: Terminal, scans: Path, tmp_path: Path) -> None:
    call = ("nnunet", "predict", "-o", tmp_path / "out", *MODEL, "-i")
    other = tmp_path / "other"
    write_scan(other / "scan.nii.gz", noisy_scan(SHAPE), (1.0, 1.0, 1.0))
    assert "nnU-Net calls it scan_0000.nii.gz: rename it" in ctatlas(*call, other).complaint
    (other / "scan.nii.gz").rename(other / "scan_0001.nii.gz")
    assert "scan has channels 0001, the model reads 0000" in ctatlas(*call, other).complaint
    (other / "scan_0001.nii.gz").rename(other / "scan.png")
    assert "no files end in .nii.gz, which this model reads; there is scan.png" in ctatlas(*call, other).complaint
    assert "there is no such folder" in ctatlas(*call, tmp_path / "nowhere").complaint
    assert (
        "lies inside the input folder"
        in ctatlas("nnunet", "predict", "-i", scans, "-o", scans / "out", *MODEL).complaint
    )
