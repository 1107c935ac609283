"""`ctatlas convert`: one scan or many, what is refused, and what stays as it was when it fails."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from ctatlas.volume import MaskChoices, Segmentation, Volume, read, read_segmentation, write
from tests.support_command import Terminal
from tests.volume.formats.dicom.phantom import Phantom
from tests.volume.strategies import counted, oblique_grid
from tests.volume.test_reading_masks import apart, overlapping, same

SCANS = (".nii.gz", ".nii", ".nrrd", ".mha")
MASKS = (".seg.nrrd", ".nii.gz", ".nii", "")


def volume() -> Volume:
    return Volume(counted(oblique_grid("PIR")), oblique_grid("PIR"))


def test_overlaps_are_kept_or_refused(ctatlas: Terminal, tmp_path: Path) -> None:
    write(overlapping(), tmp_path / "masks")
    assert ctatlas("convert", tmp_path / "masks", tmp_path / "all.seg.nrrd").code == 0
    assert same(read_segmentation(tmp_path / "all.seg.nrrd"), overlapping())
    done = ctatlas("convert", tmp_path / "masks", tmp_path / "all.nii.gz")
    assert done.code == 2
    assert "hepatic_tumor and liver overlap" in done.complaint
    assert not (tmp_path / "all.nii.gz").exists()


def test_names_and_numbers_of_a_label_set(ctatlas: Terminal, tmp_path: Path) -> None:
    write(apart(), tmp_path / "all.seg.nrrd")
    out = tmp_path / "all.nii.gz"
    assert ctatlas("convert", tmp_path / "all.seg.nrrd", out, "--label-set", "abdomenatlas-1.1").code == 0
    done = ctatlas("convert", out, tmp_path / "masks", "--label-set", "abdomenatlas-1.1", "--json")
    (case,) = done.json["cases"]
    assert case["n_voxels"] == {name: int(mask.sum()) for name, mask in apart().items()}


def test_masks_lie_on_the_scan_that_is_named(ctatlas: Terminal, tmp_path: Path) -> None:
    write(apart().reoriented("RAS"), tmp_path / "masks")
    write(Volume(counted(oblique_grid("LPS")), oblique_grid("LPS")), tmp_path / "ct.nrrd")
    assert (
        ctatlas("convert", tmp_path / "masks", tmp_path / "x.seg.nrrd", "--reference", tmp_path / "ct.nrrd").code == 0
    )
    assert read_segmentation(tmp_path / "x.seg.nrrd").grid.orientation == "LPS"
    write(Volume(counted(oblique_grid(shape=(5, 7, 3))), oblique_grid(shape=(5, 7, 3))), tmp_path / "other.mha")
    done = ctatlas("convert", tmp_path / "masks", tmp_path / "y.seg.nrrd", "--reference", tmp_path / "other.mha")
    assert done.code == 2
    assert "another grid" in done.complaint


def test_a_map_without_a_mark_is_read_as_masks_where_masks_are_asked_for(ctatlas: Terminal, tmp_path: Path) -> None:
    labels = (counted(oblique_grid()) % 3 == 0).astype(np.int16)
    write(Volume(labels, oblique_grid()), tmp_path / "map.nrrd")
    for out, more in (("a.seg.nrrd", ()), ("b.nii.gz", ("--as", "labels"))):
        assert ctatlas("convert", tmp_path / "map.nrrd", tmp_path / out, *more).code == 0
        assert read_segmentation(tmp_path / out).names == ("label_1",)


def many(folder: Path) -> Path:
    folder.mkdir()
    write(volume(), folder / "a.nrrd")
    write(volume(), folder / "b.nii.gz")
    (folder / "c.mha").write_bytes((folder / "a.nrrd").read_bytes()[:300])
    Phantom().write(folder / "d")
    return folder


@pytest.mark.parametrize("workers", [1, 2])
def test_many_scans_become_one_file_each(ctatlas: Terminal, tmp_path: Path, workers: int) -> None:
    scans, out = many(tmp_path / "scans"), tmp_path / "out"
    done = ctatlas("convert", scans, out, "--as", "metaimage", "--workers", workers)
    assert done.code == 3
    assert sorted(path.name for path in out.iterdir()) == ["a.mha", "b.mha", "d.mha", "failures.csv"]
    assert [row["case"] for row in csv.DictReader((out / "failures.csv").open())] == ["c"]
    assert np.array_equal(read(out / "a.mha").array, volume().array)


def test_a_dry_run_writes_nothing(ctatlas: Terminal, tmp_path: Path) -> None:
    scans = many(tmp_path / "scans")
    done = ctatlas("convert", scans, tmp_path / "out", "--dry-run", "--json")
    assert done.code == 0
    assert [Path(row["writes"]).name for row in done.json["cases"]] == ["a.nii.gz", "b.nii.gz", "c.nii.gz", "d.nii.gz"]
    assert "would write" in ctatlas("convert", scans, tmp_path / "out", "--dry-run").out
    assert not (tmp_path / "out").exists()


def test_what_was_done_is_said(ctatlas: Terminal, tmp_path: Path) -> None:
    write(volume(), tmp_path / "a.nrrd")
    done = ctatlas("convert", tmp_path / "a.nrrd", tmp_path / "a.mha", "--json")
    (case,) = done.json["cases"]
    assert (case["kind"], case["from"], case["to"], case["orientation"]) == ("scan", "nrrd", "metaimage", "PIR")
    assert case["shape"] == list(volume().grid.shape)
    table = ctatlas("convert", tmp_path / "a.nrrd", tmp_path / "b.mha").out
    assert " x ".join(map(str, volume().grid.shape)) in table


def test_a_case_is_called_after_its_input(ctatlas: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(apart(), tmp_path / "case_7" / "segmentations")
    write(apart(), tmp_path / "case_8.seg.nrrd")
    monkeypatch.chdir(tmp_path / "case_7" / "segmentations")
    for number, (source, name) in enumerate({".": "segmentations", "../../case_8.seg.nrrd": "case_8"}.items()):
        (case,) = ctatlas("convert", source, f"../../{number}.seg.nrrd", "--json").json["cases"]
        assert case["case"] == name


def test_files_are_not_replaced_unasked(ctatlas: Terminal, tmp_path: Path) -> None:
    write(volume(), tmp_path / "a.nrrd")
    (tmp_path / "b.mha").write_text("mine")
    done = ctatlas("convert", tmp_path / "a.nrrd", tmp_path / "b.mha")
    assert (done.code, (tmp_path / "b.mha").read_text()) == (2, "mine")
    assert "stands there already" in done.complaint
    assert ctatlas("convert", tmp_path / "a.nrrd", tmp_path / "b.mha", "--overwrite").code == 0
    assert np.array_equal(read(tmp_path / "b.mha").array, volume().array)


def test_masks_are_not_mixed_with_others(ctatlas: Terminal, tmp_path: Path) -> None:
    write(apart(), tmp_path / "x.seg.nrrd")
    write(Segmentation.from_masks(oblique_grid(), {"heart": counted(oblique_grid()) > 0}), tmp_path / "masks")
    done = ctatlas("convert", tmp_path / "x.seg.nrrd", tmp_path / "masks", "--overwrite")
    assert done.code == 2
    assert "give an empty folder" in done.complaint
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["heart.nii.gz"]


# What cannot be meant is refused: file names are those that `things` makes.
REFUSED = {
    "a.nrrd ct.dcm": "scans are not .dcm files; expected .mha, .mhd, .nii.gz, .nii, .nrrd, .nhdr, or a folder",
    "a.nrrd LIST.mhd": "no header can name 'LIST.zraw'; choose a name of letters",
    "a.nrrd note.mhd": "note.zraw: stands there already",
    "a.nrrd ct.hdr": "scans are not .hdr files",
    "a.nrrd ct.jpg": "scans are not .jpg files",
    "a.nrrd ct.seg.nrrd": "expected labels",
    "a.nrrd ct.mha --as masks": "expected labels",
    "a.nrrd ct.mha --as jpeg": "scans are not written as jpeg; expected metaimage, nifti, nrrd",
    "a.nrrd ct.mha --as nifti": "its ending says metaimage, and --as says nifti",
    "a.nrrd ct.nii.gz --series 2": "holds no series",
    "a.nrrd ct.nii.gz --phase 2": "leave out --phase",
    "a.nrrd ct.nii.gz --label-set universal-32": "holds scans, about which --label-set says nothing",
    "a.nrrd ct.nii.gz --reference b.nrrd": "holds scans, about which --reference says nothing",
    "series ct.seg.nrrd": "only masks are written so, and there are none",
    "series ct.mha --as masks": "scans are not written as masks",
    "4d.nii.gz ct.nii.gz": "4-D image (i 5, j 7, k 4, time 3)",
    "4d.nii.gz ct.nii.gz --phase 4": "Choose one with --phase 1 to 3",
    "nothing.nrrd ct.mha": "nothing.nrrd: there is no such file or folder",
    "empty ct.mha": "holds no CT scan",
    "note.txt ct.mha": "is neither DICOM, NIfTI, NRRD nor MetaImage",
    "masks all.mha": "unknown ending; expected one of .nii.gz, .nii,",
    "masks all.jpg": "unknown ending",
    "masks all --as nrrd": "masks are not written as nrrd; expected masks, labels,",
    "masks all --as labels": "is one file; give a name that ends in .nii.gz",
    "masks all.nii.gz --as seg-nrrd": "its ending says labels, and --as says seg-nrrd",
    "masks all.seg.nrrd --as masks": "its ending says seg-nrrd, and --as says masks",
    "masks all.nii.gz": "liver overlap, and a label map holds one structure a voxel",
    "masks all.seg.nrrd --phase 2": "holds masks, about which --phase says nothing",
    "masks all.seg.nrrd --repair": "holds masks, about which --repair says nothing",
    "masks all.seg.nrrd --label-set nope": "nope",
    "masks all.seg.nrrd --reference nothing": "nothing: there is no such file or folder",
    "masks all.seg.nrrd --reference other.nrrd": "lie on another grid",
    "masks masks": "lies inside the input folder",
    "masks full": "give an empty folder",
    "masks note.txt": "unknown ending",
    "a.nrrd b.nrrd": "stands there already; choose another name, or give --overwrite",
    "many all.nii.gz": "is one file, and there are 2 scans",
}


def things(folder: Path) -> dict[str, bytes]:
    """Put files of every sort into a folder; return what is in it."""
    write(volume(), folder / "a.nrrd")
    write(volume(), folder / "b.nrrd")
    other = oblique_grid(shape=(5, 7, 3))
    write(Volume(counted(other), other), folder / "other.nrrd")
    nibabel.save(nibabel.Nifti1Image(np.zeros((5, 7, 4, 3), np.int16), np.eye(4)), folder / "4d.nii.gz")
    write(overlapping(), folder / "masks")
    Phantom().write(folder / "series")
    for name in ("empty", "full", "many"):
        (folder / name).mkdir()
    (folder / "full" / "x").write_text("mine")
    (folder / "note.txt").write_text("mine")
    (folder / "note.zraw").write_text("mine")
    for name in ("x.nrrd", "y.nrrd"):
        (folder / "many" / name).write_bytes((folder / "a.nrrd").read_bytes())
    return files_in(folder)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("call", REFUSED)
def test_what_cannot_be_meant_is_one_line(
    ctatlas: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    before = things(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = ctatlas("convert", *call.split())
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert REFUSED[call] in done.complaint
    assert files_in(tmp_path) == before


def test_a_folder_may_have_a_dot_in_its_name(ctatlas: Terminal, tmp_path: Path) -> None:
    scans = many(tmp_path / "scans")
    (scans / "c.mha").unlink()
    assert ctatlas("convert", scans, tmp_path / "release_1.2").code == 0
    assert sorted(path.name for path in (tmp_path / "release_1.2").iterdir()) == ["a.nii.gz", "b.nii.gz", "d.nii.gz"]
    assert ctatlas("convert", scans / "a.nrrd", tmp_path / "release_1.2", "--as", "nrrd").code == 0
    assert (tmp_path / "release_1.2" / "a.nrrd").is_file()


def test_what_was_decided_or_repaired_is_told(ctatlas: Terminal, tmp_path: Path) -> None:
    Phantom(without=(2,)).write(tmp_path / "gap")
    assert "--repair" in ctatlas("convert", tmp_path / "gap", tmp_path / "a.nii.gz").complaint
    done = ctatlas("convert", tmp_path / "gap", tmp_path / "a.nii.gz", "--repair")
    assert done.code == 0
    assert "repaired: " in done.err
    nibabel.save(nibabel.Nifti1Image(np.zeros((5, 7, 4, 3), np.int16), np.eye(4)), tmp_path / "4d.nii.gz")
    assert "phase 2 of 3 was read" in ctatlas("convert", tmp_path / "4d.nii.gz", tmp_path / "b.mha", "--phase", 2).err


def test_several_scans_do_not_fit_one_file(ctatlas: Terminal, tmp_path: Path) -> None:
    done = ctatlas("convert", many(tmp_path / "scans"), tmp_path / "out.nii.gz")
    assert done.code == 2
    assert "give a folder" in done.complaint


def test_the_output_does_not_lie_among_the_input(ctatlas: Terminal, tmp_path: Path) -> None:
    done = ctatlas("convert", many(tmp_path / "scans"), tmp_path / "scans" / "out")
    assert done.code == 2
    assert "lies inside the input folder" in done.complaint


def series(folder: Path) -> tuple[Volume, Path]:
    """Return a feet-first DICOM scan and its folder."""
    phantom = Phantom(row=(-1.0, 0.0, 0.0), column=(0.0, 1.0, 0.0), patient_position="FFS")
    return read(phantom.write(folder / "ct")), folder / "ct"


OBJECTS = {".seg.dcm": (), ".rtstruct.dcm": (), ".dcm": ("--as", "dicom-seg"), "x.dcm": ("--as", "rtstruct")}


@pytest.mark.parametrize("masks", ["", ".seg.nrrd"])
@pytest.mark.parametrize("ending", OBJECTS)
def test_masks_become_dicom_objects_and_come_back(ctatlas: Terminal, tmp_path: Path, ending: str, masks: str) -> None:
    scan, ct = series(tmp_path)
    told = apart(scan.grid)
    write(told.reoriented("RAS"), tmp_path / f"a{masks}")
    done = ctatlas("convert", tmp_path / f"a{masks}", tmp_path / f"b{ending}", "--reference", ct, *OBJECTS[ending])
    assert done.code == 0, done.err
    assert same(read_segmentation(tmp_path / f"b{ending}", scan=scan), told)
    back = ctatlas("convert", tmp_path / f"b{ending}", tmp_path / f"c{masks}", "--reference", ct)
    assert back.code == 0
    assert ("spleen has no contour" in back.err) == (pydicom.dcmread(tmp_path / f"b{ending}").Modality == "RTSTRUCT")
    assert same(read_segmentation(tmp_path / f"c{masks}"), told)


def test_a_label_map_segmentation_is_one_on_request(ctatlas: Terminal, tmp_path: Path) -> None:
    scan, ct = series(tmp_path)
    write(apart(scan.grid), tmp_path / "a.seg.nrrd")
    words = ("--reference", ct, "--as", "dicom-labelmap")
    assert ctatlas("convert", tmp_path / "a.seg.nrrd", tmp_path / "b.dcm", *words).code == 0
    assert pydicom.dcmread(tmp_path / "b.dcm").SegmentationType == "LABELMAP"
    assert same(read_segmentation(tmp_path / "b.dcm"), apart(scan.grid))


def test_one_dicom_object_becomes_another_also_out_of_a_folder_or_an_archive(ctatlas: Terminal, tmp_path: Path) -> None:
    scan, ct = series(tmp_path)
    (tmp_path / "delivered" / "series").mkdir(parents=True)
    seg = tmp_path / "delivered" / "series" / "1-1.seg.dcm"
    write(apart(scan.grid), seg, MaskChoices(scan=scan, source=ct))
    packed = shutil.make_archive(str(tmp_path / "delivered"), "zip", tmp_path / "delivered")
    for number, source in enumerate((seg, tmp_path / "delivered", packed)):
        out = tmp_path / f"{number}.rtstruct.dcm"
        assert ctatlas("convert", source, out, "--reference", ct).code == 0
        assert same(read_segmentation(out, scan=scan), apart(scan.grid))


def test_drawn_on_a_zipped_series(ctatlas: Terminal, tmp_path: Path) -> None:
    scan, ct = series(tmp_path)
    write(apart(scan.grid), tmp_path / "masks")
    packed = shutil.make_archive(str(tmp_path / "ct"), "zip", ct)
    assert ctatlas("convert", tmp_path / "masks", tmp_path / "a.seg.dcm", "--reference", packed).code == 0
    assert ctatlas("convert", tmp_path / "masks", tmp_path / "b.seg.dcm", "--reference", ct).code == 0
    assert (tmp_path / "a.seg.dcm").read_bytes() == (tmp_path / "b.seg.dcm").read_bytes()


@pytest.mark.parametrize(
    ("out", "words", "message"),
    [
        ("x.seg.dcm", (), "refers to the CT it was drawn on"),
        ("x.rtstruct.dcm", (), "refers to the CT it was drawn on"),
        ("x.dcm", ("--reference", "ct"), r"expected one of .*\.seg\.dcm, \.rtstruct\.dcm"),
        ("x.seg.dcm", ("--reference", "ct.nii.gz"), "is no DICOM series"),
        ("x.rtstruct.dcm", ("--reference", "ct.nii.gz"), "is no DICOM series"),
        ("x.seg.dcm", ("--reference", "other"), "another grid"),
    ],
)
def test_a_dicom_object_without_its_images_is_refused(
    ctatlas: Terminal, tmp_path: Path, out: str, words: tuple[str, ...], message: str
) -> None:
    scan, _ = series(tmp_path)
    write(scan, tmp_path / "ct.nii.gz")
    Phantom(step_mm=2.0, first_mm=(0.0, 0.0, 0.0)).write(tmp_path / "other")
    write(apart(scan.grid), tmp_path / "masks")
    named = [tmp_path / word if not word.startswith("-") else word for word in words]
    done = ctatlas("convert", tmp_path / "masks", tmp_path / out, *named)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert re.search(message, done.complaint)
    assert not (tmp_path / out).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct", "ct.nii.gz", "masks", "other"]
