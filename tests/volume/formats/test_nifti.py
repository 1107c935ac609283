from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctatlas.errors import OutputError, ScanError
from ctatlas.volume import (
    Choices,
    Grid,
    Segmentation,
    Volume,
    read,
    read_labels,
    write,
    write_array_uint8,
    write_labels,
    write_mask,
    write_volume,
)
from tests.volume.strategies import CODES, counted, grids, oblique_grid

ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def nifti(path: Path, array: np.ndarray, affine: np.ndarray, **fields: Any) -> Path:
    """Write with nibabel, then change header fields in the bytes, as damaged and odd files have them."""
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    data = image.to_bytes()
    header = type(image.header)(data[: image.header.sizeof_hdr], check=False)
    for name, value in fields.items():
        header[name] = value
    data = header.binaryblock + data[image.header.sizeof_hdr :]
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    grid = oblique_grid()
    return nifti(tmp_path / "ct.nii", counted(grid), grid.affine)


def changed(folder: Path, **fields: Any) -> Path:
    grid = oblique_grid()
    return nifti(folder / "ct.nii", counted(grid), grid.affine, **fields)


# reading what is right


@pytest.mark.parametrize("code", CODES)
def test_voxels_and_geometry_of_every_order(tmp_path: Path, code: str) -> None:
    grid = oblique_grid(code)
    scan = read(nifti(tmp_path / "ct.nii.gz", counted(grid), grid.affine))
    assert np.array_equal(scan.array, counted(grid))
    assert scan.grid.same_place(grid, 1e-4)
    assert scan.grid.orientation == code
    assert scan.array.dtype == np.int16
    assert scan.array.flags.f_contiguous


@given(grids())
@ONE_FOLDER
def test_what_was_written_comes_back(tmp_path: Path, grid: Grid) -> None:
    scan = Volume(counted(grid), grid)
    write_volume(scan, tmp_path / "ct.nii.gz")
    back = nibabel.load(tmp_path / "ct.nii.gz")
    assert np.array_equal(np.asanyarray(back.dataobj), scan.array)
    assert np.allclose(back.affine, grid.affine, atol=1e-4)
    assert np.allclose(back.header.get_zooms(), grid.spacing_mm, atol=1e-5)


@pytest.mark.parametrize("start", ["LPS", "RAS", "PIL"])
def test_a_mark_on_the_left_stays_left(tmp_path: Path, start: str) -> None:
    grid = oblique_grid(start)
    left_mm = grid.world((np.array(grid.shape) - 1) / 2) - (0.8, 0, 0)
    voxel = tuple(np.rint(grid.voxel(left_mm)).astype(int))
    array = np.zeros(grid.shape, np.int16)
    array[voxel] = 700
    scan = read(nifti(tmp_path / "ct.nii", array, grid.affine)).reoriented("RAS")
    mark = scan.grid.world(np.argwhere(scan.array == 700)[0])
    assert mark == pytest.approx(grid.world(voxel), abs=1e-4)
    assert mark[0] < scan.grid.world((np.array(scan.grid.shape) - 1) / 2)[0]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u4", "f4", "f8", "i8", "u8"])
@pytest.mark.parametrize("version", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_every_type_and_byte_order(tmp_path: Path, order: str, kind: str, version: type) -> None:
    grid = oblique_grid()
    array = np.arange(grid.n_voxels).reshape(grid.shape).astype(kind if kind not in ("u1", "i1") else "i8") % 100
    header = version.header_class(endianness=order)
    header.set_data_dtype(np.dtype(kind))
    image = version(array.astype(kind), grid.affine, header)
    image.to_filename(tmp_path / "ct.nii")
    scan = read(tmp_path / "ct.nii")
    assert scan.array.dtype == np.int16
    assert np.array_equal(scan.array, array)
    assert np.allclose(scan.grid.affine, grid.affine, atol=1e-4)


def test_fractions_stay_float32(tmp_path: Path) -> None:
    grid = oblique_grid()
    array = (counted(grid) + 0.25).astype(np.float64)
    scan = read(nifti(tmp_path / "ct.nii", array, grid.affine))
    assert scan.array.dtype == np.float32
    assert np.array_equal(scan.array, array)


def test_the_name_does_not_matter(tmp_path: Path, plain: Path) -> None:
    packed = tmp_path / "scan.bin"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert np.array_equal(read(packed).array, read(plain).array)


@pytest.mark.parametrize(
    ("slope", "inter", "expected"),
    [
        (2.0, -1024.0, 2 * 7 - 1024),
        (0.0, 100.0, 7),
        (np.nan, 5.0, 7),
        (np.inf, 5.0, 7),
        (0.5, 0.0, 3.5),
    ],
)
def test_rescale(tmp_path: Path, slope: float, inter: float, expected: float) -> None:
    scan = read(changed(tmp_path, scl_slope=slope, scl_inter=inter))
    assert scan.array[tuple(np.argwhere(counted(oblique_grid()) == 7)[0])] == expected


def test_a_slope_that_is_no_number_is_noted(tmp_path: Path) -> None:
    grid = oblique_grid()
    array = counted(grid)
    assert "scl_slope" in read(nifti(tmp_path / "a.nii", array, grid.affine, scl_slope=np.nan)).facts.notes[0]
    assert read(nifti(tmp_path / "b.nii", array, grid.affine, scl_slope=0)).facts.notes == ()


def test_trailing_axes_of_length_1_are_dropped(tmp_path: Path) -> None:
    grid = oblique_grid()
    scan = read(nifti(tmp_path / "ct.nii", counted(grid)[..., None, None], grid.affine))
    assert np.array_equal(scan.array, counted(grid))


def test_qform_alone_is_enough(tmp_path: Path) -> None:
    scan = read(changed(tmp_path, sform_code=0, srow_x=0, srow_y=0, srow_z=0))
    assert scan.grid.same_place(oblique_grid(), 1e-3)


def test_left_handed_qform(tmp_path: Path) -> None:
    grid = oblique_grid("LAS")
    scan = read(nifti(tmp_path / "ct.nii", counted(grid), grid.affine, sform_code=0))
    assert scan.grid.same_place(grid, 1e-3)


def test_sform_goes_before_qform_and_their_difference_is_noted(tmp_path: Path) -> None:
    scan = read(changed(tmp_path, qoffset_x=10.0))
    assert scan.grid.same_place(oblique_grid(), 1e-3)
    assert "disagree" in scan.facts.notes[0]


def test_agreeing_forms_are_not_noted(plain: Path) -> None:
    assert read(plain).facts.notes == ()


@pytest.mark.parametrize(("units", "factor"), [(1, 1000.0), (3, 0.001), (0, 1.0), (2, 1.0), (2 + 8, 1.0)])
def test_lengths_become_mm(tmp_path: Path, units: int, factor: float) -> None:
    grid = Grid((5, 7, 4), np.diag([0.7, 0.9, 2.5, 1.0]) * [[1], [1], [1], [1]])
    written = grid.affine.copy()
    written[:3] /= factor
    scan = read(nifti(tmp_path / "ct.nii", counted(grid), written, xyzt_units=units))
    assert scan.grid.spacing_mm == pytest.approx(grid.spacing_mm, rel=1e-5)
    assert bool(scan.facts.notes) == (factor != 1)


def test_what_is_no_number_becomes_padding_and_is_noted(tmp_path: Path) -> None:
    grid = oblique_grid()
    array = counted(grid).astype(np.float32)
    array[0, 0, :3] = np.nan, np.inf, -np.inf
    scan = read(nifti(tmp_path / "ct.nii", array, grid.affine))
    assert scan.array[0, 0, :3].tolist() == [-1024] * 3
    assert scan.array.dtype == np.int16
    assert "3 voxels" in scan.facts.notes[0]


# refusing what is wrong: one header change each


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sform_code": 0, "qform_code": 0}, "left and right are unknown"),
        ({"pixdim": [1, 0, 1, 1, 1, 1, 1, 1]}, "voxel size"),
        ({"pixdim": [1, 1, -1, 1, 1, 1, 1, 1]}, "voxel size"),
        ({"pixdim": [1, 1, 1, np.nan, 1, 1, 1, 1]}, "voxel size"),
        ({"scl_slope": 1, "scl_inter": np.nan}, "scl_inter"),
        ({"vox_offset": 0}, "begin at byte 0"),
        ({"vox_offset": 100}, "begin at byte 100"),
        ({"vox_offset": np.nan}, "begin at byte nan"),
        ({"vox_offset": 1e12}, "begin at byte 1e\\+12"),
        ({"vox_offset": 353.5}, "begin at byte 353.5"),
        ({"dim": [3, 5, -7, 4, 1, 1, 1, 1]}, "5 x -7 x 4"),
        ({"dim": [3, 5, 0, 4, 1, 1, 1, 1]}, "5 x 0 x 4"),
        ({"dim": [0, 5, 7, 4, 1, 1, 1, 1]}, "claims 0 axes"),
        ({"dim": [9, 5, 7, 4, 1, 1, 1, 1]}, "claims 9 axes"),
        ({"dim": [2, 5, 28, 1, 1, 1, 1, 1]}, "2-D image"),
        ({"dim": [3, 5, 28, 1, 1, 1, 1, 1]}, "one voxel thick"),
        ({"dim": [4, 5, 7, 2, 2, 1, 1, 1]}, r"4-D image \(i 5, j 7, k 2, time 2\)"),
        ({"dim": [3, 32767, 32767, 32767, 1, 1, 1, 1]}, "32767 x 32767 x 32767"),
        ({"dim": [3, 1000, 1000, 100, 1, 1, 1, 1]}, "cut off"),
        ({"datatype": 128}, "RGB"),
        ({"datatype": 32}, "complex"),
        ({"datatype": 1}, "1-bit"),
        ({"datatype": 77}, "unknown type 77"),
        ({"xyzt_units": 5}, "unknown code 5"),
        ({"srow_x": [0, 0, 0, 0]}, "singular"),
        ({"srow_x": [np.nan, 0, 0, 0]}, "affine"),
        ({"srow_x": [1e-38, 0, 0, 0], "srow_y": [0, 1e-38, 0, 0], "srow_z": [0, 0, 1e-38, 0]}, "spacing is 1e-38"),
        ({"srow_x": [np.inf, 0, 0, 0], "qform_code": 1}, "affine"),
        ({"srow_x": [60, 0, 0, 0], "srow_y": [0, 1, 0, 0], "srow_z": [0, 0, 1, 0]}, "spacing is 60"),
        ({"srow_x": [1, 0, 0, 2e4], "srow_y": [0, 1, 0, 0], "srow_z": [0, 0, 1, 0]}, "from the origin"),
        ({"srow_x": [1, 0, 0, 0], "srow_y": [0, 1, 0.3, 0], "srow_z": [0, 0, 1, 0]}, "right angles"),
        ({"sform_code": 0, "quatern_b": 3.0}, "quaternion"),
        ({"magic": b"ni1"}, "header without its voxels"),
        ({"magic": b""}, "Analyze"),
    ],
)
def test_a_wrong_header_is_one_line(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ScanError, match=message) as caught:
        read(changed(tmp_path, **fields))
    assert str(caught.value).startswith("ct.nii: ")
    assert "\n" not in str(caught.value)


def test_a_series_cannot_be_chosen(plain: Path) -> None:
    with pytest.raises(ScanError, match="holds no series"):
        read(plain, Choices(series="2"))


@pytest.mark.parametrize("cut", [1, 100, 279, 280 + 4, 280 + 200])
def test_a_file_that_is_cut_off(plain: Path, cut: int) -> None:
    plain.write_bytes(plain.read_bytes()[:-cut])
    with pytest.raises(ScanError, match=r"ends|neither"):
        read(plain)


@pytest.mark.parametrize("kept", [30, 60, 100, -9, -8, -1])
def test_a_gzip_file_that_is_cut_off(tmp_path: Path, plain: Path, kept: int) -> None:
    packed = tmp_path / "ct.nii.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes())[:kept])
    with pytest.raises(ScanError, match=r"ct\.nii\.gz: "):
        read(packed)


def test_a_gzip_file_with_a_wrong_byte(tmp_path: Path, plain: Path) -> None:
    data = bytearray(gzip.compress(plain.read_bytes()))
    data[-6] ^= 0xFF
    (tmp_path / "ct.nii.gz").write_bytes(data)
    with pytest.raises(ScanError, match="damaged"):
        read(tmp_path / "ct.nii.gz")


def test_a_file_that_goes_on(plain: Path) -> None:
    plain.write_bytes(plain.read_bytes() + bytes(2**20 + 1))
    with pytest.raises(ScanError, match="goes on"):
        read(plain)


def test_a_little_more_is_allowed(plain: Path) -> None:
    expected = read(plain).array
    plain.write_bytes(plain.read_bytes() + bytes(1000))
    assert np.array_equal(read(plain).array, expected)


def peak_mib(path: Path) -> float:
    """Refuse a file and return the memory that took."""
    tracemalloc.start()
    try:
        with pytest.raises(ScanError):
            read(path)
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def test_a_small_file_with_large_claims_takes_no_memory(tmp_path: Path, plain: Path) -> None:
    header = nibabel.Nifti1Header(plain.read_bytes()[:348], check=False)
    header["dim"] = [3, 1000, 1000, 1500, 1, 1, 1, 1]
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(4)))
    assert peak_mib(tmp_path / "ct.nii.gz") < 2


def test_a_gzip_bomb_behind_a_small_image_takes_no_memory(tmp_path: Path, plain: Path) -> None:
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(plain.read_bytes() + bytes(64 * 2**20), 9))
    assert peak_mib(tmp_path / "ct.nii.gz") < 8


def test_a_gzip_bomb_that_ends_early_takes_what_really_comes(tmp_path: Path, plain: Path) -> None:
    header = nibabel.Nifti1Header(plain.read_bytes()[:348], check=False)
    header["dim"] = [3, 512, 512, 100, 1, 1, 1, 1]
    header["datatype"] = 64
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(4 + 60 * 2**20), 9))
    assert peak_mib(tmp_path / "ct.nii.gz") < 512 * 512 * 100 * 2 / 2**20 + 80


def test_reading_takes_the_array_and_one_piece_more(tmp_path: Path) -> None:
    grid = Grid((300, 200, 150), np.diag([1, 1, 1.5, 1]))
    path = nifti(tmp_path / "ct.nii.gz", np.zeros(grid.shape, np.float64), grid.affine)
    tracemalloc.start()
    read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < grid.n_voxels * 2 + 2**22 * 8 * 4  # int16 array, a few float64 pieces; a float64 copy is 72 MB


# label maps


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64, np.int32])
def test_labels_of_any_type_come_back_small(tmp_path: Path, dtype: type) -> None:
    grid = oblique_grid()
    labels = (counted(grid) + 60) % 26
    found = read_labels(nifti(tmp_path / "labels.nii.gz", labels.astype(dtype), grid.affine))
    assert found.labels.dtype == np.uint8
    assert np.array_equal(found.labels, labels)
    assert found.grid.same_place(grid, 1e-4)


def test_labels_above_255(tmp_path: Path) -> None:
    grid = oblique_grid()
    labels = (counted(grid) + 60).astype(np.uint16) * 3
    write_labels(labels, grid, tmp_path / "labels.nii.gz")
    found = read_labels(tmp_path / "labels.nii.gz")
    assert found.labels.dtype == np.uint16
    assert np.array_equal(found.labels, labels)


@pytest.mark.parametrize("value", [0.5, -1.0, 70000.0, np.nan, np.inf])
def test_what_is_no_label_is_refused(tmp_path: Path, value: float) -> None:
    grid = oblique_grid()
    array = np.zeros(grid.shape, np.float32)
    array[2, 3, 1] = value
    with pytest.raises(ScanError, match="expected labels"):
        read_labels(nifti(tmp_path / "labels.nii.gz", array, grid.affine))


# writing


def written(path: Path) -> Any:
    """Return the header as it stands in the file; nibabel forgets scaling and offset of a loaded image."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return nibabel.Nifti1Header(data[:348], check=False)


@pytest.mark.parametrize("code", CODES)
def test_masks_lie_where_nibabel_and_simpleitk_see_them(tmp_path: Path, code: str) -> None:
    grid = oblique_grid(code)
    mask = counted(grid) % 3 == 0
    write_mask(mask, grid, tmp_path / "liver.nii.gz")
    one = nibabel.load(tmp_path / "liver.nii.gz")
    other = SimpleITK.ReadImage(tmp_path / "liver.nii.gz")
    assert np.array_equal(np.asanyarray(one.dataobj), mask)
    assert np.array_equal(SimpleITK.GetArrayFromImage(other).transpose(2, 1, 0), mask)
    assert np.allclose(one.affine, grid.affine, atol=1e-4)
    assert np.allclose(one.header.get_qform(), grid.affine, atol=1e-4)
    corners = [
        other.TransformIndexToPhysicalPoint([int(n) for n in corner]) for corner in np.rint(grid.voxel(grid.corners_mm))
    ]
    assert np.allclose(np.array(corners) * (-1, -1, 1), grid.corners_mm, atol=1e-3)


def test_the_header_of_a_mask(tmp_path: Path) -> None:
    grid = oblique_grid()
    write_mask(counted(grid) > 0, grid, tmp_path / "liver.nii.gz")
    header = written(tmp_path / "liver.nii.gz")
    assert [int(header[name]) for name in ("sform_code", "qform_code", "intent_code", "datatype")] == [1, 1, 1002, 2]
    assert [float(header[name]) for name in ("scl_slope", "scl_inter", "vox_offset", "xyzt_units")] == [1, 0, 352, 2]
    assert header["pixdim"][1:4] == pytest.approx(grid.spacing_mm)
    assert bytes(header["magic"]) == b"n+1\0"
    assert not bytes(header["descrip"]).strip(b"\0")


def test_the_type_of_what_is_written(tmp_path: Path) -> None:
    grid = oblique_grid()
    write_volume(Volume(counted(grid), grid), tmp_path / "ct.nii.gz")
    write_volume(Volume(counted(grid).astype(np.float32), grid), tmp_path / "float.nii")
    write_array_uint8(counted(grid).astype(np.uint8), grid, tmp_path / "p.nii.gz")
    headers = [written(tmp_path / name) for name in ("ct.nii.gz", "float.nii", "p.nii.gz")]
    assert [int(header["datatype"]) for header in headers] == [4, 16, 2]
    assert [int(header["intent_code"]) for header in headers] == [0, 0, 0]


def test_an_affine_of_a_file_is_written_bit_for_bit(tmp_path: Path, plain: Path) -> None:
    scan = read(plain)
    write_mask(scan.array > 0, scan.grid, tmp_path / "liver.nii.gz")
    assert read_labels(tmp_path / "liver.nii.gz").grid == scan.grid


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    grid = oblique_grid()
    mask = counted(grid) > 0
    write_mask(mask, grid, tmp_path / "a.nii.gz")
    write_mask(np.ascontiguousarray(mask), grid, tmp_path / "another-name.nii.gz")
    data = (tmp_path / "a.nii.gz").read_bytes()
    assert data == (tmp_path / "another-name.nii.gz").read_bytes()
    assert data[3] == 0  # no name, no comment, no extra field
    assert data[4:8] == bytes(4)  # no time


def test_a_long_axis_takes_nifti_2(tmp_path: Path) -> None:
    grid = Grid((33000, 2, 3), np.diag([0.01, 1, 1, 1]))
    labels = np.arange(grid.n_voxels, dtype=np.uint16).reshape(grid.shape, order="F")
    write_labels(labels, grid, tmp_path / "long.nii.gz")
    assert np.array_equal(read_labels(tmp_path / "long.nii.gz").labels, labels)
    assert isinstance(nibabel.load(tmp_path / "long.nii.gz"), nibabel.Nifti2Image)


def test_a_sheared_grid_is_not_written(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[1, 2] = 0.3
    with pytest.raises(OutputError, match="sheared"):
        write_mask(np.ones((3, 4, 5), bool), Grid((3, 4, 5), affine), tmp_path / "liver.nii.gz")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="folder does not exist"):
        write_mask(np.ones((3, 4, 5), bool), Grid((3, 4, 5), np.eye(4)), tmp_path / "no" / "liver.nii.gz")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"liver\.dcm: unknown ending"):
        write_mask(np.ones((3, 4, 5), bool), Grid((3, 4, 5), np.eye(4)), tmp_path / "liver.dcm")


@pytest.mark.parametrize(
    "write_it",
    [
        lambda grid, path: write_mask(np.zeros(grid.shape, np.uint8), grid, path),
        lambda grid, path: write_labels(np.zeros(grid.shape, np.int64), grid, path),
        lambda grid, path: write_array_uint8(np.zeros(grid.shape), grid, path),
        lambda grid, path: write_mask(np.zeros((3, 3, 3), bool), grid, path),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, write_it: Any) -> None:
    with pytest.raises(ValueError, match=r"expected|on a grid"):
        write_it(oblique_grid(), tmp_path / "x.nii.gz")


def test_write_takes_a_scan_or_a_segmentation(tmp_path: Path) -> None:
    grid = oblique_grid()
    write(Volume(counted(grid), grid), tmp_path / "ct.nii.gz")
    write(Segmentation.from_masks(grid, {"liver": counted(grid) > 0, "spleen": counted(grid) > 999}), tmp_path / "a/b")
    assert sorted(path.name for path in (tmp_path / "a/b").iterdir()) == ["liver.nii.gz", "spleen.nii.gz"]
    assert np.array_equal(read_labels(tmp_path / "a/b/liver.nii.gz").labels, counted(grid) > 0)
    assert np.array_equal(read(tmp_path / "ct.nii.gz").array, counted(grid))


@given(st.binary(max_size=700))
@ONE_FOLDER
def test_no_header_bytes_give_anything_but_a_refusal(plain: Path, noise: bytes) -> None:
    data = plain.read_bytes()
    plain.with_name("noise.nii").write_bytes(data[:40] + noise + data[40 + len(noise) : 400])
    with pytest.raises(ScanError):
        read(plain.with_name("noise.nii"))


@given(st.integers(40, 347), st.integers(0, 255))
@settings(parent=ONE_FOLDER, max_examples=200)
def test_one_wrong_byte_gives_a_scan_or_a_refusal(plain: Path, at: int, value: int) -> None:
    data = bytearray(plain.read_bytes())
    data[at] = value
    broken = plain.with_name("broken.nii")
    broken.write_bytes(data)
    try:
        assert read(broken).grid.n_voxels > 0
    except ScanError as refusal:
        assert "\n" not in str(refusal)  # noqa: PT017  either is right; any other exception is not
