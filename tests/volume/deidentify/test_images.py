"""NIfTI, NRRD and MetaImage: text goes, geometry and voxels stay to the bit."""

from __future__ import annotations

import bz2
import gzip
import re
import struct
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctatlas.volume.deidentify import Key, Report, deidentify

KEY = Key(b"images!!" * 4)
SECRET = b"Mueller^Hans"
AFFINE = np.array([[-0.7, 0.1, 0, 50], [0.1, 0.7, 0, -30], [0, 0, 2.5, 7], [0, 0, 0, 1]])


def voxels() -> np.ndarray:
    return np.arange(5 * 4 * 3, dtype=np.int16).reshape(5, 4, 3) - 1024


def nifti(path: Path, kind: type = nib.Nifti1Image) -> Path:
    image = kind(voxels(), AFFINE)
    for field in ("descrip", "aux_file", "intent_name", "db_name", "data_type"):
        if field in image.header and image.header[field].dtype.kind == "S":
            image.header[field] = SECRET[: image.header[field].dtype.itemsize]
    for code in (2, 4, 6):
        image.header.extensions.append(nib.nifti1.Nifti1Extension(6, SECRET * code))
    nib.save(image, path)
    return path


def strip(source: Path, out: Path) -> tuple[Report, bytes, Path]:
    report = deidentify(source, out, KEY)
    (written,) = report.written
    content = (out / written.file).read_bytes()
    everything = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert SECRET not in everything
    assert b"Mueller" not in everything
    assert "Mueller" not in written.file
    return report, content, out / written.file


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_nifti_file_keeps_voxels_and_place(tmp_path: Path, kind: type, ending: str) -> None:
    source = nifti(tmp_path / f"Mueller{ending}", kind)
    report, content, path = strip(source, tmp_path / "out")
    new = nib.load(path)
    assert path.name == f"image{ending}"
    assert np.array_equal(np.asarray(new.dataobj), voxels())
    assert np.array_equal(new.affine, nib.load(source).affine)
    assert not new.header.extensions
    assert {"descrip", "aux_file", "intent_name"} <= set(report.written[0].deeds["emptied"].split())
    assert report.written[0].deeds["removed"] == "extensions"
    if ending == ".nii.gz":
        assert SECRET not in gzip.decompress(content)
        assert content[3:8] == bytes(5)  # no flags: no name, no comment; no time


def test_a_big_endian_header_is_understood(tmp_path: Path) -> None:
    image = nib.Nifti1Image(voxels().astype(">i2"), AFFINE, nib.Nifti1Header(endianness=">"))
    image.header["descrip"] = SECRET
    nib.save(image, tmp_path / "a.nii")
    _, content, path = strip(tmp_path / "a.nii", tmp_path / "out")
    assert content[:4] == b"\0\0\1\x5c"
    assert np.array_equal(np.asarray(nib.load(path).dataobj), voxels())


def test_a_gzip_name_and_bytes_after_the_voxels_go(tmp_path: Path) -> None:
    plain = nifti(tmp_path / "a.nii").read_bytes() + SECRET
    with (tmp_path / "b.nii.gz").open("wb") as file, gzip.GzipFile("Mueller^Hans.nii", "wb", fileobj=file) as packed:
        packed.write(plain)
    assert b"Mueller" in (tmp_path / "b.nii.gz").read_bytes()
    report, content, _ = strip(tmp_path / "b.nii.gz", tmp_path / "out")
    assert SECRET not in gzip.decompress(content)
    assert report.written[0].deeds["removed"] == "bytes-after-voxels extensions"


def test_a_case_keeps_scan_and_masks_together(tmp_path: Path) -> None:
    for name in ("ct", "segmentations/liver", "segmentations/Mueller"):
        path = tmp_path / "in" / "Mueller_7" / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        nifti(path)
    nifti(tmp_path / "in" / "Mueller_8.nii.gz")
    report = deidentify(tmp_path / "in", tmp_path / "out", KEY)
    cases: dict[str, set[str]] = {}
    for patient, rest in (one.file.split("/", 1) for one in report.written):
        cases.setdefault(patient, set()).add(re.sub("mask-[A-Z2-7]{10}", "mask-…", rest))
    assert sorted(cases.values(), key=len) == [
        {"image.nii.gz"},
        {"ct.nii.gz", "segmentations/liver.nii.gz", "segmentations/mask-….nii.gz"},
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (40, struct.pack("<8h", 3, -5, 4, 3, 1, 1, 1, 1)),
        (40, struct.pack("<8h", 9, 5, 4, 3, 1, 1, 1, 1)),
        (40, struct.pack("<8h", 3, 30000, 30000, 30000, 1, 1, 1, 1)),
        (40, struct.pack("<8h", 3, 500, 40, 30, 1, 1, 1, 1)),
        (70, struct.pack("<h", 1)),
        (108, struct.pack("<f", 12.0)),
        (108, struct.pack("<f", 1e12)),
        (108, struct.pack("<f", float("nan"))),
        (344, b"ni1\0"),
    ],
)
def test_a_broken_nifti_header_is_refused(tmp_path: Path, field: int, value: bytes) -> None:
    content = bytearray(nifti(tmp_path / "a.nii").read_bytes())
    content[field : field + len(value)] = value
    (tmp_path / "a.nii").write_bytes(content)
    report = deidentify(tmp_path / "a.nii", tmp_path / "out", KEY)
    assert (len(report.refused), report.written) == (1, ())
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def nrrd(path: Path, *, encoding: str = "gzip", extra: str = "", data: str = "") -> Path:
    header = (
        f"NRRD0004\n# made for {SECRET.decode()}\ntype: short\ndimension: 3\nspace: left-posterior-superior\n"
        f"sizes: 5 4 3\nspace directions: (0.7,0,0) (0,0.7,0.1) (0,-0.1,2.5)\nkinds: domain domain domain\n"
        f"endian: little\nencoding: {encoding}\nspace origin: (1,-2,3.5)\ncontent: {SECRET.decode()}\n{extra}"
    )
    raw = voxels().tobytes(order="F")
    packed = gzip.compress(raw) if encoding == "gzip" else raw
    if data:
        (path.parent / data).write_bytes(packed)
        path.write_bytes(f"{header}data file: {data}\n".encode())
    else:
        path.write_bytes(f"{header}\n".encode() + packed + (SECRET if encoding == "raw" else b""))
    return path


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("data", ["", "a.raw"])
def test_an_nrrd_file_keeps_voxels_and_place(tmp_path: Path, encoding: str, data: str) -> None:
    import nrrd as pynrrd

    source = nrrd(tmp_path / "Mueller.nrrd", encoding=encoding, extra="Patient:=Mueller^Hans\n", data=data)
    report, _, path = strip(source, tmp_path / "out")
    array, header = pynrrd.read(str(path))
    assert np.array_equal(array, voxels())
    assert header["space origin"].tolist() == [1, -2, 3.5]
    assert header["space directions"].tolist() == [[0.7, 0, 0], [0, 0.7, 0.1], [0, -0.1, 2.5]]
    assert {"comment", "content", "own-fields"} <= set(report.written[0].deeds["removed"].split())


def test_segments_of_a_slicer_file_keep_values_and_known_names(tmp_path: Path) -> None:
    extra = "".join(
        f"Segment{n}_ID:=Mueller{n}\nSegment{n}_Name:={name}\nSegment{n}_LabelValue:={n + 1}\nSegment{n}_Layer:=0\n"
        f"Segment{n}_Color:=0.5 0.25 1\nSegment{n}_Tags:=Mueller^Hans\n"
        for n, name in enumerate(["Left Kidney", "Mueller's tumor"])
    )
    _, content, path = strip(nrrd(tmp_path / "a.seg.nrrd", extra=extra), tmp_path / "out")
    assert path.name.endswith(".seg.nrrd")
    for line in (b"Segment0_Name:=kidney_left\n", b"Segment1_Name:=segment_2\n", b"Segment1_LabelValue:=2\n"):
        assert line in content


@pytest.mark.parametrize("data", ["../a.raw", "/etc/passwd", "LIST", "a%03d.raw 1 3 1", "b.raw"])
def test_data_files_elsewhere_are_not_followed(tmp_path: Path, data: str) -> None:
    path = nrrd(tmp_path / "a.nhdr", data="a.raw")
    path.write_bytes(path.read_bytes().replace(b"data file: a.raw", f"data file: {data}".encode()))
    assert len(deidentify(path, tmp_path / "out", KEY).refused) == 1


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("data", ["LOCAL", "a.raw"])
def test_a_metaimage_keeps_voxels_and_place(tmp_path: Path, is_compressed: bool, data: str) -> None:  # noqa: FBT001

    import SimpleITK

    raw = voxels().tobytes(order="F")
    packed = zlib.compress(raw) if is_compressed else raw
    header = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"CompressedData = {is_compressed}\nCompressedDataSize = {len(packed)}\nComment = Mueller^Hans\n"
        "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 1 -2 3.5\n"
        "ElementSpacing = 0.7 0.6 2.5\nPatientName = Mueller^Hans\n"
        f"DimSize = 5 4 3\nElementType = MET_SHORT\nElementDataFile = {data}\n"
    )
    (tmp_path / "Mueller.mha").write_bytes(header.encode() + (packed if data == "LOCAL" else b""))
    (tmp_path / "a.raw").write_bytes(packed)
    report, _, path = strip(tmp_path / "Mueller.mha", tmp_path / "out")
    new = SimpleITK.ReadImage(str(path))
    assert np.array_equal(SimpleITK.GetArrayFromImage(new).T, voxels())
    assert new.GetOrigin() == (1, -2, 3.5)
    assert new.GetSpacing() == (0.7, 0.6, 2.5)
    assert report.written[0].deeds["removed"] == "Comment keys"


@pytest.mark.parametrize("n_bytes", [60, 119])
def test_a_file_that_ends_early_leaves_nothing(tmp_path: Path, n_bytes: int) -> None:
    path = nrrd(tmp_path / "a.nrrd", encoding="raw")
    path.write_bytes(path.read_bytes()[: -len(SECRET) - 120 + n_bytes])
    report = deidentify(path, tmp_path / "out", KEY)
    assert "fewer voxels" in report.refused[0].reason
    assert not [one for one in (tmp_path / "out").rglob("*") if one.is_file()]


def test_a_bomb_stops_at_its_last_voxel(tmp_path: Path) -> None:
    """Megabytes of zeros behind sixty voxels is not decompressed."""
    import tracemalloc

    plain = nifti(tmp_path / "a.nii").read_bytes()
    (tmp_path / "a.nii").unlink()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(plain + bytes(2**26), 1))
    tracemalloc.start()
    deidentify(tmp_path / "b.nii.gz", tmp_path / "out", KEY)
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.bz2.nrrd", "a.mha"])
def test_damaged_compression_is_refused_and_stops_nobody_else(tmp_path: Path, name: str) -> None:
    raw = voxels().tobytes(order="F")
    mha = (
        "NDims = 3\nBinaryData = True\nCompressedData = True\nDimSize = 5 4 3\nElementType = MET_SHORT\n"
        "ElementDataFile = LOCAL\n"
    )
    content = {
        "a.nii.gz": lambda: nifti(tmp_path / "a.nii.gz").read_bytes(),
        "a.nrrd": lambda: nrrd(tmp_path / "a.nrrd").read_bytes(),
        "a.bz2.nrrd": lambda: (
            nrrd(tmp_path / "a.nrrd", encoding="raw")
            .read_bytes()
            .split(b"\n\n")[0]
            .replace(b"encoding: raw", b"encoding: bz2")
            + b"\n\n"
            + bz2.compress(raw)
        ),
        "a.mha": lambda: mha.encode() + zlib.compress(raw),
    }[name]()
    source = tmp_path / "in"
    source.mkdir()
    nifti(source / "whole.nii")
    (source / name).write_bytes(content[:-6] + b"\x55" * 6)
    report = deidentify(source, tmp_path / "out", KEY)
    assert [one.source.name for one in report.refused] == [name]
    assert "damaged" in report.refused[0].reason
    assert len(report.written) == 1


@pytest.mark.parametrize("sizes", ["5\xb94 4 3", "5 4", "5 4 3 x", "", "5 4 -3", "0 4 3"])
def test_sizes_that_are_none_are_refused(tmp_path: Path, sizes: str) -> None:
    path = nrrd(tmp_path / "a.nrrd")
    path.write_bytes(path.read_bytes().replace(b"sizes: 5 4 3", b"sizes: " + sizes.encode("latin-1")))
    report = deidentify(path, tmp_path / "out", KEY)
    assert (len(report.refused), report.written) == (1, ())


@pytest.mark.parametrize(
    ("field", "value"),
    [("space origin", "(1,-2,Mueller)"), ("space", "Mueller"), ("endian", "Mueller"), ("type", "Mueller")],
)
def test_geometry_that_is_not_understood_is_not_left_out(tmp_path: Path, field: str, value: str) -> None:
    path = nrrd(tmp_path / "a.nrrd")
    content = path.read_bytes()
    path.write_bytes(re.sub(rf"\n{field}: [^\n]*".encode(), f"\n{field}: {value}".encode(), content, count=1))
    report = deidentify(path, tmp_path / "out", KEY)
    assert (len(report.refused), report.written) == (1, ())
    assert "Mueller" not in report.refused[0].reason


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_numbers_that_say_nothing_of_place_or_hu_are_emptied(tmp_path: Path, kind: type) -> None:
    image = kind(voxels(), AFFINE)
    names = ("intent_p1", "intent_p3", "cal_max", "cal_min", "slice_duration", "toffset", "slice_start", "slice_end")
    for name in names:
        image.header[name] = 7
    image.header["scl_slope"], image.header["scl_inter"] = 2, -5
    nib.save(image, tmp_path / "a.nii")
    _, _, path = strip(tmp_path / "a.nii", tmp_path / "out")
    old, new = nib.load(tmp_path / "a.nii"), nib.load(path)
    assert [float(new.header[name]) for name in names] == [0] * len(names)
    assert np.array_equal(new.get_fdata(), old.get_fdata())
    assert np.array_equal(new.header["pixdim"], old.header["pixdim"])
