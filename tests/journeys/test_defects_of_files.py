"""The manual's tables "found -> what happens" of image files, row by row, through `ctatlas convert`."""

from __future__ import annotations

import bz2
import gzip
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctatlas.volume import Volume, read
from tests.support_command import Terminal
from tests.volume.formats.test_nifti import changed as nifti
from tests.volume.formats.test_nifti import nifti as nifti_of
from tests.volume.formats.test_text_headers import bytes_of, header_of, made
from tests.volume.strategies import counted, oblique_grid

ROOT = Path(__file__).parents[2]
GRID = oblique_grid()
HU = counted(GRID)
SHEARED_NRRD = "(1,0,0) (0,1,0) (0,0.3,1)"


@dataclass(frozen=True)
class Case:
    """A file, and what `convert` makes of it: a refusal, or a scan with a remark.

    Attributes
    ----------
    make : callable
        Writes the file into a folder and returns its path.
    refused, told : str
        Patterns of the complaint, or of what is said beside a scan that is read (nothing when empty).
    words : tuple of str
        Options of the call.
    holds : callable
        What must be true of the scan.
    """

    make: Callable[[Path], Path]
    refused: str = ""
    told: str = ""
    words: tuple[str, ...] = ()
    holds: Callable[[Volume], bool] = lambda scan: np.array_equal(scan.array, HU) and scan.grid.same_place(GRID, 1e-4)


def nii(**fields: Any) -> Callable[[Path], Path]:
    return partial(nifti, **fields)


def nrrd(data: bytes | None = None, **changes: str) -> Callable[[Path], Path]:
    fields = {key.replace("_", " "): value for key, value in changes.items()}
    return lambda folder: made(folder, ".nrrd", data, **fields)


def mha(data: bytes | None = None, **changes: str) -> Callable[[Path], Path]:
    return lambda folder: made(folder, ".mha", data, **changes)


def holding(array: np.ndarray, **fields: Any) -> Callable[[Path], Path]:
    """Return the maker of a NIfTI file with other voxels."""
    return lambda folder: nifti_of(folder / "ct.nii.gz", array, GRID.affine, **fields)


def turned(code: str, *, qform: bool = False) -> Case:
    """Return a file with its axes in another order."""
    grid = GRID.reoriented(code)
    codes = {"sform_code": 0, "qform_code": 1} if qform else {}

    def holds(scan: Volume) -> bool:
        return np.array_equal(scan.array, counted(grid)) and scan.grid.same_place(grid, 1e-4)

    return Case(lambda folder: nifti_of(folder / "ct.nii", counted(grid), grid.affine, **codes), holds=holds)


def with_end(make: Callable[[Path], Path], change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    """Return the maker of a file whose bytes were changed afterwards."""

    def changed(folder: Path) -> Path:
        path = make(folder)
        path.write_bytes(change(path.read_bytes()))
        return path

    return changed


def beside(name: str, where: str = "") -> Callable[[Path], Path]:
    """Return the maker of a header that names a file with its voxels."""

    def detached(folder: Path) -> Path:
        (folder / "inner").mkdir()
        (folder / (where or f"inner/{name}")).write_bytes(bytes_of(HU))
        (folder / "inner" / "ct.nhdr").write_bytes(header_of(".nhdr", GRID, **{"data file": name}))
        return folder / "inner" / "ct.nhdr"

    return detached


def values(expected: float, kind: type, at: int = 0) -> Callable[[Volume], bool]:
    """Return whether a voxel, counted along the file, became this number of this type."""
    return lambda scan: scan.array.ravel("F")[at] == expected and scan.array.dtype == kind


NOT_FINITE = np.where(HU == 5, np.nan, np.where(HU == 6, np.inf, HU)).astype(np.float32)
LARGE = np.where(HU.ravel("F")[0] == HU, 40_000, 7).astype(np.uint16)
HALF = (HU + 0.5).astype(np.float64)
PHASES = np.stack([HU, HU + 1000, HU + 2000], axis=3)
FOURTH = {"sizes": "5 7 4 3", "dimension": "4"}

CASES: dict[str, list[Case]] = {
    "axes in any order": [turned("LAS"), turned("LAS", qform=True), turned("RAS"), turned("PIR", qform=True)],
    "a matrix whose axes": [
        Case(make, "not at right angles.*--repair")
        for make in (
            nii(srow_x=[1, 0, 0, 0], srow_y=[0, 1, 0.3, 0], srow_z=[0, 0, 1, 0]),
            nrrd(space_directions=SHEARED_NRRD),
            mha(TransformMatrix="1 0 0 0 1 0 0 0.3 1"),
        )
    ]
    + [
        Case(
            nrrd(space_directions=SHEARED_NRRD),
            told="repaired: resampled to a grid at right angles",
            words=("--repair",),
            holds=lambda scan: not scan.grid.is_sheared,
        )
    ],
    "a singular matrix": [
        Case(nii(srow_x=[0, 0, 0, 0]), "singular"),
        Case(nii(pixdim=[1, 0, 1, 1, 1, 1, 1, 1]), "voxel size"),
        Case(nii(pixdim=[1, 1, -1, 1, 1, 1, 1, 1]), "voxel size"),
        Case(nii(srow_x=[np.nan, 0, 0, 0]), "affine"),
        Case(nrrd(space_directions="(1,0,0) (0,1,0) (0,0,0)"), "singular"),
        Case(nrrd(space_directions="(1,0,0) (0,1,0) (0,0,99)"), "0.0001 to 50 mm"),
        Case(nrrd(space_origin="(0,0,99999)"), "from the origin"),
        Case(mha(ElementSpacing="1 1 0"), "voxel size"),
        Case(mha(Offset="0 0 99999"), "from the origin"),
    ],
    "no word about how": [
        Case(nii(sform_code=0, qform_code=0), "left and right are unknown"),
        Case(nrrd(space="", space_directions="", spacings="1 1 1"), "left and right are unknown"),
        Case(mha(TransformMatrix=""), "left and right are unknown"),
    ],
    "4-D with one further": [
        Case(holding(PHASES), r"4-D image \(i 5, j 7, k 4, time 3\).*--phase 1 to 3"),
        Case(holding(PHASES), "--phase 1 to 3", words=("--phase", "4")),
        Case(
            holding(PHASES),
            told="phase 2 of 3 was read",
            words=("--phase", "2"),
            holds=lambda scan: np.array_equal(scan.array, HU + 1000),
        ),
        Case(nii(), "leave out --phase", words=("--phase", "2")),
    ],
    "2-D, one voxel thick": [
        Case(nii(dim=[2, 5, 28, 1, 1, 1, 1, 1]), "2-D image"),
        Case(nii(dim=[3, 5, 28, 1, 1, 1, 1, 1]), "one voxel thick"),
        Case(nii(dim=[5, 5, 7, 1, 2, 2, 1, 1]), "5-D image"),
        Case(nii(datatype=128), "RGB"),
        Case(nii(datatype=32), "complex"),
        Case(nrrd(type="block"), "voxels are block"),
        Case(mha(ElementNumberOfChannels="3"), "voxels are 3 x"),
    ],
    "voxels that are no number": [
        Case(
            holding(NOT_FINITE),
            told="2 voxels were no number and became -1024 HU",
            holds=lambda scan: np.array_equal(scan.array, np.where((HU == 5) | (HU == 6), -1024, HU)),
        ),
        Case(holding(NOT_FINITE), "expected labels", words=("--as", "labels")),
    ],
    "values beyond int16": [
        Case(holding(LARGE), holds=values(40_000, np.float32)),
        Case(holding(HU, scl_slope=1000, scl_inter=-1), holds=values(-60_001, np.float32)),
        Case(holding(HU.astype(np.int32) - 32_900), holds=values(-32_960, np.float32)),
        Case(holding(HALF), holds=values(-59.5, np.float32)),
        Case(holding(HALF, scl_slope=2, scl_inter=1), holds=values(-118, np.int16)),
        Case(holding(np.where(HU.ravel("F")[0] == HU, 2**24, 0).astype(np.int32)), holds=values(2**24, np.float32)),
    ],
    "units of length": [
        Case(
            nii(xyzt_units=1, pixdim=[1, 0.001, 0.001, 0.002, 1, 1, 1, 1], srow_x=[0.001, 0, 0, 0],
                srow_y=[0, 0.001, 0, 0], srow_z=[0, 0, 0.002, 0]),
            told="converted to mm",
            holds=lambda scan: np.allclose(scan.grid.spacing_mm, (1, 1, 2)),
        ),
        Case(nii(xyzt_units=5), "unknown code 5"),
        Case(nrrd(space_units='"ft" "ft" "ft"'), "expected mm"),
    ],
    "a file that ends early": [
        Case(with_end(nii(), lambda data: data[:-1]), "cut off"),
        Case(with_end(nrrd(), lambda data: data[:-1]), "ends before"),
        Case(with_end(mha(), lambda data: data[:-1]), "ends before"),
        Case(with_end(nii(), lambda data: data + bytes(2**20 + 1)), "goes on"),
        Case(with_end(nrrd(), lambda data: data + b"1"), "goes on"),
        Case(with_end(mha(), lambda data: data + b"1"), "goes on"),
        Case(with_end(holding(HU), lambda data: data[:-9]), "cut off or damaged"),
        Case(nrrd(gzip.compress(bytes_of(HU), mtime=0)[:-9], encoding="gzip"), "cut off or damaged"),
    ],
    "more voxels than the file": [
        Case(nii(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]), "32767 x 32767 x 32767"),
        Case(nii(dim=[3, 1000, 1000, 100, 1, 1, 1, 1]), "cut off"),
        Case(nrrd(sizes="70000 2 2"), "expected 1 to 65535"),
        Case(mha(DimSize="30000 30000 30000"), "claims 30000"),
        Case(nrrd(content="x" * 2**20), "longer than headers are"),
        Case(mha(Comment="x" * 2**20), "longer than headers are"),
    ],
    "`--series`": [Case(make, "--series", words=("--series", "2")) for make in (nii(), nrrd(), mha())],
    "sform, or only qform": [
        Case(nii(sform_code=0)),
        Case(nii(qform_code=0)),
        Case(
            nii(qoffset_x=99),
            told=r"sform and qform disagree by up to \d+ mm; sform was used",
        ),
    ],
    "neither (both codes 0)": [
        Case(nii(sform_code=0, qform_code=0), "left and right are unknown"),
        Case(nii(magic=b""), "Analyze"),
    ],
    "a slope of 0": [Case(holding(HU, scl_slope=0, scl_inter=100))],
    "a slope that is no number": [
        Case(nii(scl_slope=np.nan, scl_inter=0), told="scl_slope is nan"),
        Case(nii(scl_slope=np.inf, scl_inter=3), told="scl_slope is inf"),
        Case(nii(scl_slope=1, scl_inter=np.nan), "scl_inter is nan"),
    ],
    "voxels that begin inside": [
        Case(nii(vox_offset=0), "begin at byte 0"),
        Case(nii(dim=[3, 5, -7, 4, 1, 1, 1, 1]), "5 x -7 x 4"),
    ],
    "a header without its voxels": [Case(nii(magic=b"ni1"), "header without its voxels")],
    "NRRD space left": [
        Case(nrrd()),
        Case(
            nrrd(space="right-anterior-superior"),
            holds=lambda scan: np.allclose(scan.grid.affine[:2], -GRID.affine[:2], atol=1e-4),
        ),
        Case(nrrd(space="scanner-xyz"), "does not say how it lies"),
    ],
    "MetaImage without": [
        Case(mha(TransformMatrix=""), "does not say how it lies"),
        Case(mha(Offset=""), "does not say how it lies"),
        Case(mha(Offset="1 2 3 4"), "offset of 4 numbers for 3 axes"),
    ],
    "raw, gzip, bzip2": [
        Case(nrrd(gzip.compress(bytes_of(HU), mtime=0), encoding="gzip")),
        Case(nrrd(bz2.compress(bytes_of(HU)), encoding="bzip2")),
        Case(nrrd(" ".join(map(str, HU.ravel("F").tolist())).encode(), encoding="ascii")),
        Case(nrrd(bytes_of(HU).hex().encode(), encoding="hex")),
        Case(nrrd(bytes_of(HU.astype(">i2")), endian="big")),
        Case(nrrd(b"12345" + bytes_of(HU), byte_skip="5")),
        Case(nrrd(b"a line\n" + bytes_of(HU), line_skip="1")),
        Case(mha(zlib.compress(bytes_of(HU)), CompressedData="True")),
        Case(mha(bytes_of(HU.astype(">i2")), BinaryDataByteOrderMSB="True")),
        Case(mha(" ".join(map(str, HU.ravel("F").tolist())).encode(), BinaryData="False")),
        Case(nrrd(endian=""), "order of its bytes"),
    ],
    "voxels in another file": [
        Case(beside("ct.raw")),
        Case(beside("../ct.raw", "ct.raw"), "ct.raw"),
        Case(beside("/etc/passwd", "ct.raw"), "passwd"),
    ],
    "numbers that were quantised": [
        Case(nrrd(old_min="-1024", old_max="3000"), "quantised"),
        Case(mha(ElementToIntensityFunctionSlope="2"), "must be rescaled"),
    ],
}  # fmt: skip

# Rows about masks and archives, and the tests that hold them to their word.
ELSEWHERE = {
    "a `.seg.nrrd` given as a scan": "formats/test_seg_nrrd.py::test_it_is_no_scan",
    "several layers": "formats/test_seg_nrrd.py::test_more_structures_than_a_layer_holds",
    "an array that was cut": "formats/test_seg_nrrd.py::test_what_was_cut_off_is_put_back_on_the_scan",
    "two segments of one name": "formats/test_seg_nrrd.py::test_two_segments_of_one_name",
    "a segment whose layer": "formats/test_seg_nrrd.py::test_a_broken_header_is_one_line",
    "scans in folders": "test_archives.py::test_one_of_several_scans_is_read",
    "archives in an archive": "test_archives.py::test_archives_in_archives_in_archives_are_refused",
    "a name that leads out": "test_archives.py::test_hostile_and_broken_archives_are_one_line",
    "more than 50,000 files": "test_archives.py::test_too_many_files_are_refused",
}


def rows() -> list[str]:
    """Return what the manual's tables of defects say may be found."""
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    section = page.partition("\n## What happens with defects\n")[2].partition("\n## ")[0]
    found = [line.split(" | ")[0].removeprefix("| ") for line in section.splitlines() if line.startswith("| ")]
    return [row for row in found if row not in ("found", "---")]


def test_every_row_of_the_manual_is_tried() -> None:
    tried = (*CASES, *ELSEWHERE)
    assert [row for row in rows() if sum(row.startswith(start) for start in tried) != 1] == []
    assert [start for start in tried if sum(row.startswith(start) for row in rows()) != 1] == []


@pytest.mark.parametrize("test", ELSEWHERE.values())
def test_what_is_tried_elsewhere_is(test: str) -> None:
    file, _, name = test.partition("::")
    assert f"\ndef {name}(" in (ROOT / "tests" / "volume" / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("row", "number"), [(row, number) for row, cases in CASES.items() for number in range(len(cases))]
)
def test_what_the_manual_says_happens(ctatlas: Terminal, tmp_path: Path, row: str, number: int) -> None:
    case = CASES[row][number]
    source, out = case.make(tmp_path), tmp_path / "out.nii.gz"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    done = ctatlas("convert", source, out, *case.words)
    if case.refused:
        assert (done.code, len(done.err.splitlines())) == (2, 1), done.err
        assert re.search(case.refused, done.complaint)
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
        return
    assert done.code == 0, done.err
    assert re.search(case.told, done.err)
    assert bool(case.told) == bool(done.err)
    assert case.holds(read(out))
