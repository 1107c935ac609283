"""`segment --dicom-seg --rtstruct --seg-nrrd`: the masks of a scan as files that hospitals and 3D Slicer read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from ctatlas.commands.app import run
from ctatlas.errors import OutputError
from ctatlas.measure.overlap import dice
from ctatlas.results import objects
from ctatlas.volume import Choices, Segmentation, Volume, read, read_segmentation, write_volume
from tests.support_command import Terminal
from tests.support_scans import torso, write_dicom
from tests.volume.formats.dicom.oracles import dciodvfy_errors

OBJECTS = ["--dicom-seg", "--rtstruct", "--seg-nrrd"]
FILES = ["segmentation.seg.dcm", "segmentation.rtstruct.dcm", "segmentation.seg.nrrd"]


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dicom(torso(), tmp_path_factory.mktemp("scans") / "ct", PatientName="Doe^Jane", PatientID="7")


@pytest.fixture(scope="module")
def out(ct: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "out"
    assert run(["segment", str(ct), str(folder), "--model", str(model), "--quiet", *OBJECTS]) == 0
    return folder


def masks(out: Path, ct: Path) -> tuple[Volume, Segmentation]:
    scan = read(ct)
    return scan, read_segmentation(out / "segmentations", scan=scan)


def same(found: Segmentation, truth: Segmentation) -> bool:
    return set(found.names) == set(truth.names) and all(
        np.array_equal(found.mask(name), truth.mask(name)) for name in truth.names
    )


@pytest.mark.parametrize("name", FILES)
def test_each_file_holds_the_very_masks(out: Path, ct: Path, name: str) -> None:
    scan, truth = masks(out, ct)
    assert truth.n_voxels()["liver"] > 1000
    assert same(read_segmentation(out / name, scan=scan), truth)


def test_they_belong_to_the_patient_and_say_which_model_drew_them(out: Path, ct: Path) -> None:
    seg, rt = (pydicom.dcmread(out / name) for name in FILES[:2])
    image = pydicom.dcmread(next(ct.iterdir()))
    for dataset in (seg, rt):
        for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
            assert dataset[keyword].value == image[keyword].value
    assert {str(one.SegmentAlgorithmName) for one in seg.SegmentSequence} == {"test/torso"}
    assert {str(one.ROIGenerationDescription) for one in rt.StructureSetROISequence} == {"test/torso 1"}
    assert (seg.SegmentationType, seg.Modality, rt.Modality) == ("BINARY", "SEG", "RTSTRUCT")


@pytest.mark.parametrize("name", FILES[:2])
def test_dciodvfy_finds_no_error(out: Path, name: str) -> None:
    assert dciodvfy_errors(out / name) == []


def test_run_and_json_and_dry_run_name_them(ctatlas: Terminal, ct: Path, model: Path, tmp_path: Path) -> None:
    words = ("segment", ct, tmp_path / "out", "--model", model, *OBJECTS, "--json")
    (planned,) = ctatlas(*words, "--dry-run").json["cases"]
    assert not (tmp_path / "out").exists()
    (case,) = ctatlas(*words).json["cases"]
    (without,) = ctatlas("segment", ct, tmp_path / "x", "--model", model, "--dry-run", "--json").json["cases"]
    assert set(FILES) <= set(case["files"])
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert {name: (tmp_path / "out" / name).stat().st_size for name in FILES}.items() <= record["files"].items()
    assert (planned["writes_files"], without["writes_files"]) == (len(record["files"]) + 1, len(record["files"]) - 2)
    n_bytes = sum((tmp_path / "out" / name).stat().st_size for name in FILES)
    assert n_bytes / 5 < planned["writes_bytes_about"] - without["writes_bytes_about"] < 5 * n_bytes


def test_a_second_run_skips_and_another_type_is_made_anew(
    ctatlas: Terminal, out: Path, ct: Path, model: Path, tmp_path: Path
) -> None:
    before = {name: (out / name).read_bytes() for name in FILES}
    out = Path(shutil.copytree(out, tmp_path / "out"))
    (again,) = ctatlas("segment", ct, out, "--model", model, *OBJECTS, "--json").json["cases"]
    assert again["state"] == "there"
    words = ("segment", ct, out, "--model", model, *OBJECTS, "--seg-type", "labelmap", "--json")
    (other,) = ctatlas(*words).json["cases"]
    assert other["state"] == "done"
    assert pydicom.dcmread(out / FILES[0]).SegmentationType == "LABELMAP"
    assert (out / FILES[1]).read_bytes() == before[FILES[1]]
    shutil.rmtree(out)
    assert ctatlas("segment", ct, out, "--model", model, *OBJECTS).code == 0
    assert {name: (out / name).read_bytes() for name in FILES} == before


def test_a_type_alone_asks_for_the_file(ctatlas: Terminal, ct: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert ctatlas("segment", ct, out, "--model", model, "--seg-type", "labelmap").code == 0
    scan, truth = masks(out, ct)
    smaller = truth.mask("liver") | truth.mask("spleen")
    found = read_segmentation(out / FILES[0], scan=scan)
    assert np.array_equal(found.mask("liver"), truth.mask("liver"))
    assert np.array_equal(found.mask("body"), truth.mask("body") & ~smaller)


def test_what_is_absent_is_named_and_empty(ctatlas: Terminal, model: Path, tmp_path: Path) -> None:
    ct = write_dicom(torso(spleen_hu=40.0), tmp_path / "ct")
    assert ctatlas("segment", ct, tmp_path / "out", "--model", model, *OBJECTS).code == 0
    for name in FILES:
        found = read_segmentation(tmp_path / "out" / name, scan=read(ct)).n_voxels()
        assert (found["spleen"], found["liver"] > 0) == (0, True)
    assert dciodvfy_errors(tmp_path / "out" / FILES[0]) == dciodvfy_errors(tmp_path / "out" / FILES[1]) == []


def test_a_zipped_series_gives_the_same_files(
    ctatlas: Terminal, out: Path, ct: Path, model: Path, tmp_path: Path
) -> None:
    archive = shutil.make_archive(str(tmp_path / "ct"), "zip", ct)
    assert ctatlas("segment", archive, tmp_path / "zipped", "--model", model, *OBJECTS).code == 0
    assert all((tmp_path / "zipped" / name).read_bytes() == (out / name).read_bytes() for name in FILES)


@pytest.mark.parametrize("option", OBJECTS[:2])
def test_a_scan_without_dicom_images_is_refused_in_a_line(
    ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path, option: str
) -> None:
    for more in ((), ("--dry-run",)):
        done = ctatlas("segment", scan, tmp_path / "out", "--model", model, option, *more)
        assert (done.code, len(done.err.splitlines())) == (2, 1)
        assert "scan.nii.gz: is no DICOM series" in done.complaint
        assert not (tmp_path / "out").exists()
    assert ctatlas("segment", scan, tmp_path / "out", "--model", model, "--seg-nrrd").code == 0
    assert read_segmentation(tmp_path / "out" / FILES[2], scan=read(scan)).n_voxels()["liver"] > 0


def test_of_many_scans_the_one_without_dicom_images_fails_alone(
    ctatlas: Terminal, ct: Path, volume: Volume, model: Path, tmp_path: Path
) -> None:
    shutil.copytree(ct, tmp_path / "scans" / "a")
    write_volume(volume, tmp_path / "scans" / "b.nii.gz")
    done = ctatlas("segment", tmp_path / "scans", tmp_path / "out", "--model", model, "--dicom-seg")
    assert done.code == 3
    assert (tmp_path / "out" / "a" / FILES[0]).is_file()
    assert not (tmp_path / "out" / "b").exists()
    assert "is no DICOM series" in (tmp_path / "out" / "failures.csv").read_text()


def test_of_a_tilted_series_they_lie_on_its_own_images(ctatlas: Terminal, model: Path, tmp_path: Path) -> None:
    ct, out = write_dicom(torso(), tmp_path / "ct", lean_mm=1.6), tmp_path / "out"  # 15 degrees
    refused = ctatlas("segment", ct, out, "--model", model, *OBJECTS)
    assert (refused.code, "--repair" in refused.complaint) == (2, True)
    assert ctatlas("segment", ct, out, "--model", model, "--repair", *OBJECTS).code == 0
    frames = liver_frames(out / FILES[0])
    images = {str(one.SOPInstanceUID): one for one in map(pydicom.dcmread, ct.iterdir())}
    mask = nib.load(out / "segmentations" / "liver.nii.gz")
    assert len(frames) > 8
    for uid, pixels in frames.items():
        columns, rows = np.meshgrid(np.arange(pixels.shape[1]), np.arange(pixels.shape[0]))
        down_mm, across_mm = (float(mm) for mm in images[uid].PixelSpacing)
        x, y, z = (float(mm) for mm in images[uid].ImagePositionPatient)
        lps = np.stack([x + across_mm * columns, y + down_mm * rows, np.full(rows.shape, z)], -1)
        assert np.array_equal(looked_up(mask, lps * (-1, -1, 1)), pixels)
    assert dciodvfy_errors(out / FILES[0]) == dciodvfy_errors(out / FILES[1]) == []
    scan = read(ct, Choices(repair=True))
    from_seg, from_rt = (read_segmentation(out / name, scan=scan) for name in FILES[:2])
    assert same(from_rt, from_seg)
    truth = read_segmentation(out / "segmentations", scan=scan)
    assert dice(from_seg.mask("liver"), truth.mask("liver")) > 0.98  # there and back is twice the nearest


def liver_frames(path: Path) -> dict[str, np.ndarray]:
    """Return the frames of the liver, (rows, columns) bool, by the image that each names."""
    seg = pydicom.dcmread(path)
    (number,) = (one.SegmentNumber for one in seg.SegmentSequence if one.SegmentLabel == "liver")
    return {
        str(group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID): pixels > 0
        for group, pixels in zip(seg.PerFrameFunctionalGroupsSequence, seg.pixel_array, strict=True)
        if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number
    }


def looked_up(mask: nib.Nifti1Image, world: np.ndarray) -> np.ndarray:
    """Return the nearest voxels of a mask at places, (..., 3) RAS mm; False outside."""
    back = np.linalg.inv(mask.affine)
    voxels = np.rint(world @ back[:3, :3].T + back[:3, 3]).astype(int)
    inside = ((voxels >= 0) & (voxels < mask.shape)).all(-1)
    found = np.zeros(inside.shape, bool)
    found[inside] = np.asarray(mask.dataobj)[tuple(voxels[inside].T)] > 0
    return found


def test_de_identified_with_their_scan_they_still_lie_on_it(
    ctatlas: Terminal, out: Path, ct: Path, tmp_path: Path
) -> None:
    shutil.copytree(ct, tmp_path / "in" / "ct")
    for name in FILES[:2]:
        shutil.copy(out / name, tmp_path / "in")
    assert ctatlas("deidentify", tmp_path / "in", tmp_path / "out", "--key", tmp_path / "key").code == 0
    found = {pydicom.dcmread(path).Modality: path for path in (tmp_path / "out").rglob("*.dcm")}
    scan, (_, truth) = read(found["CT"].parent), masks(out, ct)
    for kind in ("SEG", "RTSTRUCT"):
        assert "Doe" not in str(pydicom.dcmread(found[kind]).PatientName)
        assert same(read_segmentation(found[kind], scan=scan), truth)


def test_nothing_is_left_when_writing_fails(
    ctatlas: Terminal, ct: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr(objects, "write", full)
    done = ctatlas("segment", ct, tmp_path / "out", "--model", model, *OBJECTS)
    assert (done.code, "the disk is full" in done.complaint) == (2, True)
    assert not (tmp_path / "out").exists()
