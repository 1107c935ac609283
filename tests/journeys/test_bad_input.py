"""What cannot be segmented is refused in one line that says what to do, and nothing is written."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctatlas.volume import Grid, Volume, write_volume
from tests.support_command import Terminal
from tests.support_scans import torso, write_dicom


def missing(folder: Path) -> Path:
    return folder / "missing.nii.gz"


def empty(folder: Path) -> Path:
    (folder / "empty.nii.gz").touch()
    return folder / "empty.nii.gz"


def empty_folder(folder: Path) -> Path:
    (folder / "nothing").mkdir()
    return folder / "nothing"


def truncated(folder: Path) -> Path:
    write_volume(torso(), folder / "scan.nii.gz")
    (folder / "cut.nii.gz").write_bytes((folder / "scan.nii.gz").read_bytes()[:9000])
    return folder / "cut.nii.gz"


def text(folder: Path) -> Path:
    (folder / "scan.nii.gz").write_text("no scan")
    return folder / "scan.nii.gz"


def flat(folder: Path) -> Path:
    nib.Nifti1Image(np.zeros((40, 40), np.int16), np.eye(4)).to_filename(folder / "flat.nii.gz")
    return folder / "flat.nii.gz"


def moving(folder: Path) -> Path:
    nib.Nifti1Image(np.zeros((9, 8, 7, 5), np.int16), np.eye(4)).to_filename(folder / "moving.nii.gz")
    return folder / "moving.nii.gz"


def colored(folder: Path) -> Path:
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.Nifti1Image(np.zeros((9, 8, 7), kind), np.eye(4)).to_filename(folder / "colored.nii.gz")
    return folder / "colored.nii.gz"


def huge(folder: Path) -> Path:
    """Claim 10^12 voxels in 400 bytes."""
    content = bytearray(gzip.decompress(small(folder).read_bytes()))
    content[40:56] = struct.pack("<8h", 3, 10000, 10000, 10000, 1, 1, 1, 1)
    (folder / "huge.nii").write_bytes(bytes(content[:400]))
    return folder / "huge.nii"


def small(folder: Path) -> Path:
    write_volume(Volume(np.zeros((4, 5, 6), np.int16), Grid((4, 5, 6), np.eye(4))), folder / "small.nii.gz")
    return folder / "small.nii.gz"


def mr(folder: Path) -> Path:
    return write_dicom(torso(), folder / "mr", Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")


def two_series(folder: Path) -> Path:
    write_dicom(torso(), folder / "two" / "one", SeriesInstanceUID="1.2.3", SeriesNumber=1)
    write_dicom(torso(), folder / "two" / "other", SeriesInstanceUID="1.2.4", SeriesNumber=1)
    return folder / "two"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (missing, "no such file"),
        (empty, "empty"),
        (empty_folder, "no CT scan"),
        (truncated, "cut off"),
        (text, "neither DICOM, NIfTI"),
        (flat, "expected"),
        (moving, "expected"),
        (colored, "expected"),
        (huge, "header is broken"),
        (mr, "MR"),
        (two_series, "2 CT series that are equally fit"),
    ],
)
def test_a_scan_that_is_none_is_one_line(
    ctatlas: Terminal, model: Path, tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    done = ctatlas("segment", make(tmp_path), tmp_path / "out", "--model", model)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert words in done.err
    assert done.out == ""
    assert not (tmp_path / "out").exists()


def test_one_of_two_series_can_be_chosen(ctatlas: Terminal, model: Path, tmp_path: Path) -> None:
    done = ctatlas("segment", two_series(tmp_path), tmp_path / "out", "--model", model, "--series", "1.2.4")
    assert done.code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--structures", "livr"], "livr"),
        (["--structures", "brain"], "does not find brain; it finds small_bowel, liver, spleen"),
        (["--label-set", "abdomenatlas"], "near: abdomenatlas-1."),
        (["--label-set", "autoorgan-ribs"], "autoorgan-ribs"),
        (["--model", "ctatlas/bass"], "ctatlas/bass"),
        (["--workers", "0"], "--workers"),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_an_unknown_word_is_one_line(
    ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    done = ctatlas("segment", scan, tmp_path / "out", "--model", model, *options)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert words in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["scans", "scans/out", "scans/../scans/a/b"])
def test_output_within_input_is_refused(ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "scans").mkdir()
    scan.rename(tmp_path / "scans" / "scan.nii.gz")
    done = ctatlas("segment", tmp_path / "scans", tmp_path / place, "--model", model)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "inside the input folder" in done.err
    assert [path.name for path in (tmp_path / "scans").iterdir()] == ["scan.nii.gz"]


def test_a_file_in_the_place_of_the_output_is_refused(
    ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("mine")
    done = ctatlas("segment", scan, tmp_path / "out", "--model", model)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert (tmp_path / "out").read_text() == "mine"


def test_damaged_weights_are_refused(ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "model"
    broken.mkdir()
    for file in model.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "tiny.onnx").write_bytes((broken / "tiny.onnx").read_bytes()[:-1])
    done = ctatlas("segment", scan, tmp_path / "out", "--model", broken)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "sha256" in done.err


def air(volume: Volume) -> np.ndarray:
    return np.full(volume.grid.shape, -1000, np.int16)


def noise(volume: Volume) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 300, volume.grid.shape).astype(np.int16)


def like_mr(volume: Volume) -> np.ndarray:
    """Turn HU into the numbers of an MR: no air below zero, no fat at its HU."""
    return np.asfortranarray((volume.array.astype(float) + 1000).clip(0) * 0.9 + 200, np.int16)


@pytest.mark.parametrize("change", [air, noise, like_mr])
def test_what_shows_no_body_gives_nothing_found_and_no_invented_organ(
    ctatlas: Terminal, volume: Volume, model: Path, tmp_path: Path, change: Callable[[Volume], np.ndarray]
) -> None:
    write_volume(Volume(change(volume), volume.grid), tmp_path / "scan.nii.gz")
    call = ["segment", tmp_path / "scan.nii.gz", tmp_path / "out", "--model", model, "--statistics", "--preview"]
    told, as_json = ctatlas(*call), ctatlas(*call, "--json")
    assert told.code == 0
    assert "Nothing found" in told.out
    (case,) = as_json.json["cases"]
    assert {row["status"] for row in case["structures"].values()} == {"absent"}
    assert case["why_nothing"]
    for name in ("liver", "spleen", "body"):
        assert not np.asarray(nib.load(tmp_path / "out" / "segmentations" / f"{name}.nii.gz").dataobj).any()
