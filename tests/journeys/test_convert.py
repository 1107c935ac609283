"""`ctatlas convert`: every format into every other, one scan or many, and what stays as it was when it fails."""

from __future__ import annotations

import csv
import re
import shutil
import zipfile
from itertools import product
from pathlib import Path

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


@pytest.mark.parametrize(("first", "second"), [pair for pair in product(SCANS, SCANS) if pair[0] != pair[1]])
def test_scans_survive_every_way_round(ctatlas: Terminal, tmp_path: Path, first: str, second: str) -> None:
    told = volume()
    write(told, tmp_path / f"a{first}")
    assert ctatlas("convert", tmp_path / f"a{first}", tmp_path / f"b{second}").code == 0
    assert ctatlas("convert", tmp_path / f"b{second}", tmp_path / f"c{first}").code == 0
    for path in (tmp_path / f"b{second}", tmp_path / f"c{first}"):
        assert np.array_equal(read(path).array, told.array)
        assert read(path).grid.same_place(told.grid, 1e-4)


@pytest.mark.parametrize("ending", SCANS)
def test_dicom_and_zipped_dicom_become_files(ctatlas: Terminal, tmp_path: Path, ending: str) -> None:
    Phantom().write(tmp_path / "series")
    with zipfile.ZipFile(tmp_path / "series.zip", "w") as archive:
        for file in (tmp_path / "series").iterdir():
            archive.write(file, f"deep/{file.name}")
    told = read(tmp_path / "series")
    for source in ("series", "series.zip"):
        assert ctatlas("convert", tmp_path / source, tmp_path / f"{source}_{ending}").code == 0
        found = read(tmp_path / f"{source}_{ending}")
        assert np.array_equal(found.array, told.array)
        assert found.grid.same_place(told.grid, 1e-4)


@pytest.mark.parametrize(("first", "second"), [pair for pair in product(MASKS, MASKS) if pair[0] != pair[1]])
def test_masks_survive_every_way_round(ctatlas: Terminal, tmp_path: Path, first: str, second: str) -> None:
    told = apart(oblique_grid("PIR"))
    write(told, tmp_path / f"a{first}")
    assert ctatlas("convert", tmp_path / f"a{first}", tmp_path / f"b{second}").code == 0
    assert ctatlas("convert", tmp_path / f"b{second}", tmp_path / f"c{first}").code == 0
    assert same(read_segmentation(tmp_path / f"b{second}"), told)
    assert same(read_segmentation(tmp_path / f"c{first}"), told)


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


@pytest.mark.parametrize(
    ("out", "words", "message"),
    [
        ("ct.dcm", (), "scans are not written as DICOM"),
        ("ct.mha", ("--as", "masks"), "holds no segmentation|no label|expected labels|not labels"),
        ("ct.mha", ("--as", "jpeg"), "not written as jpeg"),
        ("ct.nii.gz", ("--series", "2"), "holds no series"),
        ("ct.nii.gz", ("--phase", "2"), "leave out --phase"),
        ("no/such/\0.mha", (), ""),
    ],
)
def test_a_call_that_cannot_be_right_is_one_line(
    ctatlas: Terminal, tmp_path: Path, out: str, words: tuple[str, ...], message: str
) -> None:
    write(volume(), tmp_path / "a.nrrd")
    done = ctatlas("convert", tmp_path / "a.nrrd", tmp_path / out.replace("\0", "x"), *words)
    assert done.code == (0 if not message else 2)
    assert not message or any(part in done.complaint for part in message.split("|"))
    assert message == "" or sorted(path.name for path in tmp_path.iterdir()) == ["a.nrrd"]


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
