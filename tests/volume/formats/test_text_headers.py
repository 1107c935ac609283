"""NRRD and MetaImage, in and out, with pynrrd's and SimpleITK's writers and readers as oracles."""

from __future__ import annotations

import bz2
import errno
import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctatlas.errors import OutputError, ScanError
from ctatlas.volume import Choices, Grid, Volume, files_of, read, scans_in, write
from ctatlas.volume.formats import metaimage, nrrd
from tests.volume.strategies import CODES, counted, grids, oblique_grid

ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
ENDINGS = (".nrrd", ".mha")
DETACHED = (".nhdr", ".mhd")


def image_of(array: np.ndarray, grid: Grid) -> Any:
    """Return SimpleITK's image of an (i, j, k) array."""
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
    lps = grid.affine[:3] * [[-1], [-1], [1]]
    image.SetSpacing(grid.spacing_mm)
    image.SetDirection((lps[:, :3] / grid.spacing_mm).ravel())
    image.SetOrigin(lps[:, 3])
    return image


def header_of(ending: str, grid: Grid, **changes: str) -> bytes:
    """Return the header that another program would write, with some of its fields changed, or left out when empty."""
    lps = grid.affine[:3] * [[-1], [-1], [1]]
    if ending in (".nrrd", ".nhdr"):
        columns = [f"({','.join(map(repr, lps[:, axis].tolist()))})" for axis in range(4)]
        fields = {
            "type": "short",
            "dimension": "3",
            "space": "left-posterior-superior",
            "sizes": " ".join(map(str, grid.shape)),
            "space directions": " ".join(columns[:3]),
            "space origin": columns[3],
            "endian": "little",
            "encoding": "raw",
        }
        lines = [f"{key}: {value}" for key, value in (fields | changes).items() if value]
        return "\n".join(["NRRD0005", "# a remark", *lines, "", ""]).encode()
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "TransformMatrix": " ".join(map(repr, (lps[:, :3] / grid.spacing_mm).T.ravel().tolist())),
        "Offset": " ".join(map(repr, lps[:, 3].tolist())),
        "ElementSpacing": " ".join(map(repr, grid.spacing_mm)),
        "DimSize": " ".join(map(str, grid.shape)),
        "ElementType": "MET_SHORT",
        "ElementDataFile": "LOCAL",
    }
    fields.update(changes)
    last = fields.pop("ElementDataFile")
    lines = [f"{key} = {value}" for key, value in fields.items() if value]
    return "\n".join([*lines, f"ElementDataFile = {last}", ""]).encode()


def bytes_of(array: np.ndarray) -> bytes:
    return array.ravel(order="F").tobytes()


def made(folder: Path, ending: str, data: bytes | None = None, **changes: str) -> Path:
    """Write a file with a header of another program's and the counted voxels behind it."""
    grid = oblique_grid()
    path = folder / f"ct{ending}"
    path.write_bytes(header_of(ending, grid, **changes) + (bytes_of(counted(grid)) if data is None else data))
    return path


# what others write is read, what we write others read


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("packed", [True, False])
def test_what_simpleitk_writes(tmp_path: Path, ending: str, code: str, packed: bool) -> None:  # noqa: FBT001
    grid = oblique_grid(code)
    SimpleITK.WriteImage(image_of(counted(grid), grid), tmp_path / f"ct{ending}", packed)
    scan = read(tmp_path / f"ct{ending}")
    assert np.array_equal(scan.array, counted(grid))
    assert scan.grid.same_place(grid, 1e-4)
    assert scan.grid.orientation == code


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("ending", [*ENDINGS, *DETACHED])
def test_simpleitk_reads_what_we_write(tmp_path: Path, ending: str, code: str) -> None:
    grid = oblique_grid(code)
    write(Volume(counted(grid), grid), tmp_path / f"ct{ending}")
    image = SimpleITK.ReadImage(tmp_path / f"ct{ending}")
    corner = image.TransformIndexToPhysicalPoint([n - 1 for n in grid.shape])
    assert np.array_equal(SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), counted(grid))
    assert image.GetSpacing() == pytest.approx(grid.spacing_mm, abs=1e-9)
    assert image.GetOrigin() == pytest.approx(grid.world((0, 0, 0)) * (-1, -1, 1), abs=1e-9)
    assert corner == pytest.approx(grid.world(np.array(grid.shape) - 1) * (-1, -1, 1), abs=1e-9)


@given(grids().filter(lambda grid: min(grid.shape) > 1), st.sampled_from([np.int16, np.float32]))
@pytest.mark.parametrize("ending", [*ENDINGS, *DETACHED, ".nii", ".nii.gz"])
@ONE_FOLDER
def test_what_was_written_comes_back(tmp_path: Path, ending: str, grid: Grid, dtype: type) -> None:
    array = counted(grid).astype(dtype) + (dtype(0.25) if dtype is np.float32 else dtype(0))
    write(Volume(array, grid), tmp_path / f"ct{ending}")
    back = read(tmp_path / f"ct{ending}")
    assert back.array.dtype == dtype
    assert np.array_equal(back.array, array)
    assert back.grid.same_place(grid, 1e-4)


@pytest.mark.parametrize("start", ["LPS", "RAS", "PIL", "LPI", "RAI"])
@pytest.mark.parametrize("ending", [*ENDINGS, ".nii.gz"])
@pytest.mark.parametrize("by_others", [True, False])
def test_a_mark_on_the_left_stays_left(
    tmp_path: Path,
    ending: str,
    start: str,
    by_others: bool,  # noqa: FBT001
) -> None:
    grid = oblique_grid(start)  # LPI runs to the feet, as feet-first scans do; RAI as prone ones
    voxel = tuple(np.rint(grid.voxel(grid.world((np.array(grid.shape) - 1) / 2) - (1.4, 0, 0))).astype(int))
    array = np.zeros(grid.shape, np.int16)
    array[voxel] = 700
    path = tmp_path / f"ct{ending}"
    SimpleITK.WriteImage(image_of(array, grid), path) if by_others else write(Volume(array, grid), path)
    scan = read(path).reoriented("RAS")
    mark = scan.grid.world(np.argwhere(scan.array == 700)[0])
    assert mark == pytest.approx(grid.world(voxel), abs=1e-3)
    assert mark[0] < scan.grid.world((np.array(scan.grid.shape) - 1) / 2)[0]


@pytest.mark.parametrize("ending", ENDINGS)
def test_equal_content_gives_equal_bytes(tmp_path: Path, ending: str) -> None:
    grid = oblique_grid()
    write(Volume(counted(grid), grid), tmp_path / f"a{ending}")
    write(Volume(np.ascontiguousarray(counted(grid)), grid), tmp_path / f"another-name{ending}")
    assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"another-name{ending}").read_bytes()


@pytest.mark.parametrize("ending", [*ENDINGS, *DETACHED])
def test_a_sheared_grid_is_not_written(tmp_path: Path, ending: str) -> None:
    affine = np.eye(4)
    affine[1, 2] = 0.3
    with pytest.raises(OutputError, match="sheared"):
        write(Volume(np.ones((3, 4, 5), np.int16), Grid((3, 4, 5), affine)), tmp_path / f"ct{ending}")
    assert list(tmp_path.iterdir()) == []


def test_metaimage_keeps_the_size_of_its_data(tmp_path: Path) -> None:
    grid = oblique_grid()
    write(Volume(counted(grid), grid), tmp_path / "ct.mha")
    text, _, data = (tmp_path / "ct.mha").read_bytes().partition(b"ElementDataFile = LOCAL\n")
    assert f"CompressedDataSize = {len(data):012d}".encode() in text
    assert zlib.decompress(data) == bytes_of(counted(grid))


@pytest.mark.parametrize(("ending", "voxels"), [(".mhd", "ct 1.zraw"), (".nhdr", "ct 1.raw.gz")])
def test_a_header_and_its_voxels_are_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, voxels: str
) -> None:
    path, grid = tmp_path / f"ct 1{ending}", oblique_grid()
    write(Volume(counted(grid), grid), path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert before.keys() == {path.name, voxels}
    for n_done in range(2):
        fails_after(n_done, monkeypatch)
        with pytest.raises(OutputError, match="the disk is full"):
            write(Volume(counted(grid) + np.int16(1), grid), path)
        assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    monkeypatch.undo()
    write(Volume(counted(grid) + np.int16(1), grid), path)
    assert np.array_equal(read(path).array, counted(grid) + 1)
    assert len(list(tmp_path.iterdir())) == 2


def fails_after(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full when bytes of the n-th file and of all later ones are flushed to it."""
    done: list[int] = []

    def fsync(_: int) -> None:
        done.append(n)
        if len(done) > n:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)


@pytest.mark.parametrize("ending", DETACHED)
def test_an_old_header_never_stands_beside_new_voxels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    path, grid = tmp_path / f"ct{ending}", oblique_grid()
    write(Volume(counted(grid), grid), path)
    stood = []

    def replace(self: Path, target: Path) -> Path:
        stood.append((target.name, path.exists()))
        return real(self, target)

    real = Path.replace
    monkeypatch.setattr(Path, "replace", replace)
    write(Volume(counted(grid), grid), path)
    assert [there for _, there in stood] == [False, False]
    assert stood[1][0] == path.name


@pytest.mark.parametrize("name", ["50%", " a", "List of mine", "local", "a\\b", "a\nb", "C:", ".x"])
@pytest.mark.parametrize("ending", DETACHED)
def test_a_name_that_means_something_in_a_header_is_not_written(tmp_path: Path, ending: str, name: str) -> None:
    grid = oblique_grid()
    with pytest.raises(OutputError, match="no header can name"):
        write(Volume(counted(grid), grid), tmp_path / f"{name}{ending}")
    assert list(tmp_path.iterdir()) == []


# types, orders, encodings


NRRD_TYPES = {"i1": "int8", "u1": "uchar", "i2": "short", "u2": "uint16", "i4": "int", "u4": "unsigned int"} | {
    "i8": "long long",
    "f4": "float",
    "f8": "double",
}
META_TYPES = {code: name for name, code in metaimage.TYPES.items()}


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("code", NRRD_TYPES)
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_type_and_byte_order(tmp_path: Path, ending: str, code: str, order: str) -> None:
    values = counted(oblique_grid()) % 100
    data = bytes_of(values.astype(code).astype(np.dtype(code).newbyteorder("<" if order == "little" else ">")))
    if ending == ".mha":
        path = made(tmp_path, ending, data, ElementType=META_TYPES[code], BinaryDataByteOrderMSB=str(order == "big"))
    else:
        path = made(tmp_path, ending, data, type=NRRD_TYPES[code], endian=order)
    assert np.array_equal(read(path).array, values)
    assert read(path).array.dtype == np.int16


def text(array: np.ndarray) -> bytes:
    words = [str(value) for value in array.ravel(order="F").tolist()]
    return "\n".join(" ".join(words[start : start + 9]) for start in range(0, len(words), 9)).encode() + b"\n"


@pytest.mark.parametrize(
    ("changes", "encode"),
    [
        ({"encoding": "gzip"}, lambda a: gzip.compress(bytes_of(a))),
        ({"encoding": "bz2"}, lambda a: bz2.compress(bytes_of(a))),
        ({"encoding": "ascii", "endian": ""}, text),
        ({"encoding": "text", "endian": ""}, lambda a: text(a).replace(b" ", b", ")),
        ({"encoding": "hex"}, lambda a: bytes_of(a).hex().encode()),
        ({"encoding": "hex"}, lambda a: bytes_of(a).hex(" ", 3).encode() + b"\n"),
        ({"line skip": "2"}, lambda a: b"one\ntwo\n" + bytes_of(a)),
        ({"byte skip": "5"}, lambda a: b"12345" + bytes_of(a)),
        ({"byteskip": "-1"}, lambda a: b"12345" + bytes_of(a)),
        ({"byte skip": "5", "encoding": "gzip"}, lambda a: gzip.compress(b"12345" + bytes_of(a))),
        ({"byte skip": "-1", "encoding": "gzip"}, lambda a: gzip.compress(b"12345" + bytes_of(a))),
        (
            {"line skip": "1", "byte skip": "1", "encoding": "bzip2"},
            lambda a: b"x\n" + bz2.compress(b"1" + bytes_of(a)),
        ),
        ({"space units": '"mm" "mm" "mm"'}, bytes_of),
        ({"sizes": "5 7 4 1", "dimension": "4", "space directions": "DIRECTIONS none"}, bytes_of),
        ({"sizes": "1 5 7 4", "dimension": "4", "space directions": "none DIRECTIONS"}, bytes_of),
    ],
)
def test_encodings_of_nrrd(tmp_path: Path, changes: dict[str, str], encode: Callable[[np.ndarray], bytes]) -> None:
    grid = oblique_grid()
    plain = header_of(".nrrd", grid).decode()
    directions = next(line for line in plain.splitlines() if line.startswith("space directions")).partition(": ")[2]
    changes = {key: value.replace("DIRECTIONS", directions) for key, value in changes.items()}
    scan = read(made(tmp_path, ".nrrd", encode(counted(grid)), **changes))
    assert np.array_equal(scan.array, counted(grid))
    assert scan.grid.same_place(grid, 1e-9)


@pytest.mark.parametrize(
    ("changes", "encode"),
    [
        ({"CompressedData": "True"}, lambda a: zlib.compress(bytes_of(a))),
        ({"BinaryData": "False"}, text),
        ({"HeaderSize": "5"}, lambda a: b"12345" + bytes_of(a)),
        ({"HeaderSize": "-1"}, lambda a: b"12345" + bytes_of(a)),
        ({"AnatomicalOrientation": "RAI", "CenterOfRotation": "0 0 0", "Comment": "a = b"}, bytes_of),
    ],
)
def test_encodings_of_metaimage(tmp_path: Path, changes: dict[str, str], encode: Callable[[np.ndarray], bytes]) -> None:
    scan = read(made(tmp_path, ".mha", encode(counted(oblique_grid())), **changes))
    assert np.array_equal(scan.array, counted(oblique_grid()))


def test_text_longer_than_a_block_is_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1, 2, 3, 7):
        monkeypatch.setattr("ctatlas.volume.formats.encodings._BLOCK_BYTES", size)
        for encoding, encode in (("text", text), ("hex", lambda a: bytes_of(a).hex().encode())):
            path = made(tmp_path, ".nrrd", encode(counted(oblique_grid())), encoding=encoding)
            assert np.array_equal(read(path).array, counted(oblique_grid()))


@pytest.mark.parametrize(
    ("space", "signs"), [("RAS", (1, 1, 1)), ("left-anterior-superior", (-1, 1, 1)), ("LPS", (-1, -1, 1))]
)
def test_spaces_of_nrrd(tmp_path: Path, space: str, signs: tuple[int, int, int]) -> None:
    scan = read(made(tmp_path, ".nrrd", space=space))
    told = oblique_grid().affine[:3] * [[-1], [-1], [1]] * np.array(signs)[:, None]
    assert np.allclose(scan.grid.affine[:3], told)


def test_lengths_become_mm(tmp_path: Path) -> None:
    scan = read(made(tmp_path, ".nrrd", **{"space units": '"um" "um" "um"'}))
    assert scan.grid.spacing_mm == pytest.approx(np.array(oblique_grid().spacing_mm) / 1000)
    assert scan.facts.notes == ("lengths were converted to mm (times 0.001)",)


# voxels in other files


def detached(folder: Path, ending: str, name: str, **changes: str) -> Path:
    key = "data file" if ending == ".nhdr" else "ElementDataFile"
    path = folder / f"ct{ending}"
    path.write_bytes(header_of(ending, oblique_grid(), **{key: name}, **changes))
    return path


@pytest.mark.parametrize("ending", DETACHED)
def test_voxels_in_a_file_beside(tmp_path: Path, ending: str) -> None:
    path = detached(tmp_path, ending, "my voxels.raw")
    (tmp_path / "my voxels.raw").write_bytes(bytes_of(counted(oblique_grid())))
    assert np.array_equal(read(path).array, counted(oblique_grid()))
    assert [file.name for file in files_of(path)] == [path.name, "my voxels.raw"]
    assert [source.path.name for source in scans_in(tmp_path)] == [path.name]


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (".nhdr", "LIST\ns3\ns1\ns0\ns2"),
        (".nhdr", "s%d.raw 0 3 1 2"),
        (".mhd", "LIST\ns3\ns1\ns0\ns2"),
        (".mhd", "s%d.raw 0 3 1"),
        (".mhd", "s%d.raw 3 0 -1"),
    ],
)
def test_voxels_in_a_file_for_each_slice(tmp_path: Path, ending: str, said: str) -> None:
    order = [3, 1, 0, 2] if "LIST" in said else [3, 2, 1, 0] if "-1" in said else [0, 1, 2, 3]
    array = counted(oblique_grid())
    for k, number in enumerate(order):
        name = f"s{number}" if "LIST" in said else f"s{number}.raw"
        (tmp_path / name).write_bytes(bytes_of(array[:, :, k]))
    assert np.array_equal(read(detached(tmp_path, ending, said)).array, array)


@pytest.mark.parametrize("ending", DETACHED)
@pytest.mark.parametrize("name", ["../secret.raw", "/etc/passwd", "a/b.raw", "..", "..\\secret.raw", "C:secret"])
def test_voxels_elsewhere_are_refused(tmp_path: Path, ending: str, name: str) -> None:
    (tmp_path / "secret.raw").write_bytes(bytes_of(counted(oblique_grid())))
    (tmp_path / "inside").mkdir()
    with pytest.raises(ScanError, match=r"expected the name of a file in its own folder"):
        read(detached(tmp_path / "inside", ending, name))


@pytest.mark.parametrize("ending", DETACHED)
def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, ending: str) -> None:
    (tmp_path / "secret.raw").write_bytes(bytes_of(counted(oblique_grid())))
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "x.raw").symlink_to(tmp_path / "secret.raw")
    with pytest.raises(ScanError, match="a link that leads out of the folder"):
        read(detached(tmp_path / "inside", ending, "x.raw"))


@pytest.mark.parametrize("ending", DETACHED)
@pytest.mark.parametrize("name", ["gone.raw", "s%d%d.raw 0 3 1", "s%d.raw 0 3 0", "s%d.raw 0 9999999 1", "s%n 0 3 1"])
def test_files_that_are_not_there(tmp_path: Path, ending: str, name: str) -> None:
    with pytest.raises(ScanError, match=r"is missing|which is broken"):
        read(detached(tmp_path, ending, name))


# phases


@pytest.mark.parametrize(
    ("ending", "changes", "first"),
    [
        (".nrrd", {"sizes": "5 7 4 3", "dimension": "4", "kinds": "domain domain domain time"}, False),
        (".nrrd", {"sizes": "3 5 7 4", "dimension": "4", "kinds": "list domain domain domain"}, True),
        (".mha", {"NDims": "4", "DimSize": "5 7 4 3"}, False),
    ],
)
def test_one_phase_of_a_4d_image(
    tmp_path: Path,
    ending: str,
    changes: dict[str, str],
    first: bool,  # noqa: FBT001
) -> None:
    grid = oblique_grid()
    phases = [counted(grid) + np.int16(1000 * number) for number in range(3)]
    if ending == ".nrrd":
        told = next(line for line in header_of(ending, grid).decode().splitlines() if "directions" in line)
        vectors = told.partition(": ")[2]
        changes = {**changes, "space directions": f"none {vectors}" if first else f"{vectors} none"}
    else:
        lps = grid.affine[:3] * [[-1], [-1], [1]]
        matrix = np.eye(4)
        matrix[:3, :3] = (lps[:, :3] / grid.spacing_mm).T
        changes = {
            **changes,
            "TransformMatrix": " ".join(map(repr, matrix.ravel().tolist())),
            "Offset": " ".join(map(repr, [*lps[:, 3].tolist(), 0.0])),
            "ElementSpacing": " ".join(map(repr, [*grid.spacing_mm, 1.0])),
        }
    path = made(tmp_path, ending, bytes_of(np.stack(phases, axis=0 if first else 3)), **changes)
    with pytest.raises(
        ScanError, match=r"is a 4-D image \(.*3.*\); expected one 3-D CT scan\. Choose one with --phase"
    ):
        read(path)
    for number in range(3):
        scan = read(path, Choices(phase=number + 1))
        assert np.array_equal(scan.array, phases[number])
        assert scan.grid.same_place(grid, 1e-9)
        assert scan.facts.notes == (f"phase {number + 1} of 3 was read",)
    with pytest.raises(ScanError, match="--phase 1 to 3"):
        read(path, Choices(phase=4))


# what is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": "scanner-xyz"}, "does not say how it lies"),
        ({"space": "", "space directions": "", "spacings": "1 1 1"}, "does not say how it lies"),
        ({"space origin": ""}, "does not say where it lies"),
        ({"space directions": "(1,0,0) (0,1,0) (0,0,0)"}, "singular"),
        ({"space directions": "(1,0,0) (0,1,0) (0,0.3,1)"}, "right angles"),
        ({"space directions": "(1,0,0) (0,1,0) (0,0,99)"}, "expected 0.0001 to 50 mm"),
        ({"space directions": "(1,0,0) (0,1,0) none"}, "2 axes in space"),
        ({"space directions": "(1,0) (0,1) (0,0)"}, "not one vector of 3 numbers"),
        ({"space origin": "(0,0,99999)"}, "from the origin"),
        ({"space origin": "(0,0,nan)"}, "finite"),
        ({"space units": '"ft" "ft" "ft"'}, "expected mm"),
        ({"space units": '"mm" "mm'}, "header is broken"),
        ({"sizes": "5 7 0"}, "claims 5 x 7 x 0 voxels"),
        ({"sizes": "5 7 -4"}, "claims 5 x 7 x -4 voxels"),
        ({"sizes": "5 7"}, "claims 3 axes and gives 2 sizes"),
        ({"sizes": "30000 30000 30000"}, "claims 30000 x 30000 x 30000 voxels"),
        ({"sizes": "5 7 inf"}, "header is broken"),
        ({"sizes": "5 7 5"}, "ends before its"),
        ({"sizes": "5 7 3"}, "goes on after"),
        ({"type": "block"}, "voxels are block"),
        ({"endian": ""}, "order of its bytes"),
        ({"encoding": "zip"}, "encoding zip is not read"),
        ({"encoding": "gzip"}, "cut off or damaged"),
        ({"encoding": "bzip2"}, "cut off or damaged|cannot be read"),
        ({"encoding": "ascii"}, "cut off or damaged"),
        ({"encoding": "hex"}, "cut off or damaged"),
        ({"old min": "-1024", "old max": "3000"}, "quantised"),
        ({"byte skip": "-2"}, "passes over -2"),
        ({"line skip": "99"}, "ends before"),
        ({"type": ""}, "header is broken"),
    ],
)
def test_nrrd_that_is_no_scan(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(ScanError, match=message) as caught:
        read(made(tmp_path, ".nrrd", **changes))
    assert str(caught.value).startswith("ct.nrrd: ")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Offset": ""}, "does not say how it lies"),
        ({"Offset": "1 2 3 4"}, "offset of 4 numbers for 3 axes"),
        ({"ElementSpacing": "1 2"}, "gives 2 voxel sizes"),
        ({"TransformMatrix": ""}, "does not say how it lies"),
        ({"TransformMatrix": "1 0 0 0 1 0 0 0 0"}, "singular"),
        ({"TransformMatrix": "1 0 0 0 1 0 0 0.3 1"}, "right angles"),
        ({"TransformMatrix": "1 0 0 0 1 0 0 0"}, "header is broken"),
        ({"ElementSpacing": "1 1 0"}, "voxel size is 1 1 0 mm"),
        ({"ElementSpacing": "1 1 nan"}, "voxel size is"),
        ({"ElementSpacing": ""}, "lacks ElementSpacing"),
        ({"ElementSpacing": "1 1 99"}, "expected 0.0001 to 50 mm"),
        ({"DimSize": "5 7 0"}, "expected a 3-D CT scan"),
        ({"DimSize": "5 28", "NDims": "2"}, "is a 2-D image"),
        ({"DimSize": "5 7"}, "claims 3 axes and gives 2 sizes"),
        ({"DimSize": "30000 30000 30000"}, "claims 30000"),
        ({"DimSize": "5 7 5"}, "ends before its"),
        ({"DimSize": "5 7 3"}, "goes on after"),
        ({"ElementType": "MET_SHORT_ARRAY"}, "voxels are 1 x MET_SHORT_ARRAY"),
        ({"ElementNumberOfChannels": "3"}, "voxels are 3 x MET_SHORT"),
        ({"ElementToIntensityFunctionSlope": "2"}, "must be rescaled"),
        ({"CompressedData": "True"}, "cut off or damaged"),
        ({"HeaderSize": "-2"}, "passes over -2 bytes"),
        ({"NDims": "x"}, "header is broken"),
    ],
)
def test_metaimage_that_is_no_scan(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(ScanError, match=message) as caught:
        read(made(tmp_path, ".mha", **changes))
    assert str(caught.value).startswith("ct.mha: ")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_series_cannot_be_chosen(tmp_path: Path, ending: str) -> None:
    with pytest.raises(ScanError, match="holds no series"):
        read(made(tmp_path, ending), Choices(series="2"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_no_number_becomes_padding(tmp_path: Path, ending: str) -> None:
    values = counted(oblique_grid()).astype("<f4")
    values[1, 2, 3], values[0, 0, 0] = np.nan, np.inf
    kind = {"type": "float"} if ending == ".nrrd" else {"ElementType": "MET_FLOAT"}
    scan = read(made(tmp_path, ending, bytes_of(values), **kind))
    assert (scan.array[1, 2, 3], scan.array[0, 0, 0], scan.array[1, 0, 0]) == (
        -1024,
        -1024,
        counted(oblique_grid())[1, 0, 0],
    )
    assert scan.facts.notes == ("2 voxels were no number and became -1024 HU",)


@pytest.mark.parametrize(
    ("ending", "changes", "data"),
    [
        (".nrrd", {"sizes": "1000 1000 1500", "encoding": "gzip"}, gzip.compress(bytes(400), mtime=0)),
        (".nrrd", {"sizes": "512 512 40", "encoding": "bzip2"}, bz2.compress(bytes(40_000_000))),
        (".nrrd", {"encoding": "gzip"}, gzip.compress(bytes(40_000_000), mtime=0)),
        (".nrrd", {"encoding": "gzip", "byte skip": "-1"}, gzip.compress(bytes(100_000_000), mtime=0)),
        (".mha", {"DimSize": "1000 1000 1500", "CompressedData": "True"}, zlib.compress(bytes(400))),
        (".mha", {"CompressedData": "True"}, zlib.compress(bytes(40_000_000))),
        (".nrrd", {"content": "x" * 2_000_000}, b""),
        (".mha", {"Comment": "x" * 2_000_000}, b""),
    ],
    ids=["gzip early", "bzip2 early", "gzip on", "gzip before", "zlib early", "zlib on", "nrrd text", "meta text"],
)
def test_bombs_take_no_memory(tmp_path: Path, ending: str, changes: dict[str, str], data: bytes) -> None:
    path = made(tmp_path, ending, data, **changes)
    tracemalloc.start()
    try:
        with pytest.raises(ScanError):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("packed", [True, False])
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
@ONE_FOLDER
def test_damaged_files_give_a_scan_or_a_refusal(
    tmp_path: Path,
    ending: str,
    packed: bool,  # noqa: FBT001
    seed: int,
    n: int,
) -> None:
    if packed:
        write(Volume(counted(oblique_grid()), oblique_grid()), tmp_path / f"ct{ending}")
    else:
        made(tmp_path, ending)
    rng = np.random.default_rng(seed)
    data = bytearray((tmp_path / f"ct{ending}").read_bytes())
    for at in rng.integers(8, min(len(data), 500), n):
        data[at] = rng.choice([rng.integers(256), *b"\n :0-9.()%/"])
    (tmp_path / f"broken{ending}").write_bytes(data)
    try:
        assert read(tmp_path / f"broken{ending}").grid.n_voxels > 0
    except ScanError as refusal:
        assert str(refusal).isprintable()  # noqa: PT017  either is right; any other exception is not


def test_the_readers_of_one_format_agree_on_labels(tmp_path: Path) -> None:
    labels = (counted(oblique_grid()) + 60).astype(np.uint16) * 3
    for ending, kind, reader in (
        (".nrrd", {"type": "ushort"}, nrrd),
        (".mha", {"ElementType": "MET_USHORT"}, metaimage),
    ):
        found = reader.read_labels(made(tmp_path, ending, bytes_of(labels), **kind))
        assert np.array_equal(found.labels, labels)
        assert found.grid.same_place(oblique_grid(), 1e-9)
