"""Archives of scans are read like folders; whatever an archive could do to the disk it does not do."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from ctatlas.errors import CtatlasError, OutputError, ScanError
from ctatlas.volume import Volume, read, scans_in, write_volume
from ctatlas.volume.opening import opened
from tests.volume.formats.dicom.phantom import Phantom
from tests.volume.strategies import counted, oblique_grid


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep temporary files where the test can see that none are left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(members: Mapping[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


PACKERS: dict[str, Callable[[Mapping[str, bytes]], bytes]] = {
    "zip": zipped,
    "tar": tarred,
    "tar.gz": lambda members: gzip.compress(tarred(members), mtime=0),
    "tar.bz2": lambda members: bz2.compress(tarred(members)),
    "tar.xz": lambda members: lzma.compress(tarred(members)),
}


def nifti_bytes(folder: Path, first: int = 0) -> bytes:
    grid = oblique_grid()
    write_volume(Volume(counted(grid) + np.int16(first), grid), folder / "ct.nii.gz")
    return (folder / "ct.nii.gz").read_bytes()


def members_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("packer", PACKERS)
def test_a_dicom_series_is_read_out_of_an_archive(tmp_path: Path, temporary: Path, packer: str) -> None:
    folder = tmp_path / "series"
    Phantom().write(folder)
    archive = tmp_path / "scan.bin"
    archive.write_bytes(PACKERS[packer](members_of(tmp_path)))
    scan, plain = read(archive), read(folder)
    assert np.array_equal(scan.array, plain.array)
    assert scan.grid == plain.grid
    assert scan.facts.series_uid == plain.facts.series_uid
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("packer", PACKERS)
def test_one_of_several_scans_is_read(tmp_path: Path, temporary: Path, packer: str) -> None:
    one, other = nifti_bytes(tmp_path), nifti_bytes(tmp_path, 1000)
    archive = tmp_path / f"study.{packer}"
    archive.write_bytes(PACKERS[packer]({"a/x.nii.gz": one, "b/x.nii.gz": other, "__MACOSX/a/._x.nii.gz": b"junk"}))
    sources = scans_in(archive)
    assert [source.case for source in sources] == ["a_x", "b_x"]
    assert [int(source.read().array.min()) for source in sources] == [-60, 940]
    with pytest.raises(ScanError, match=r"holds 2 scans \(a/x.nii.gz, b/x.nii.gz\)"):
        read(archive)
    assert list(temporary.iterdir()) == []


def test_one_scan_bears_the_name_of_its_archive(tmp_path: Path) -> None:
    archive = tmp_path / "patient 4.zip"
    archive.write_bytes(zipped({"deep/below/x.nii.gz": nifti_bytes(tmp_path)}))
    (source,) = scans_in(archive)
    assert source.case == "patient_4"
    assert source.read().facts.source == "x.nii.gz"


def test_the_folder_is_called_like_the_archive(tmp_path: Path) -> None:
    Phantom().write(tmp_path / "series")
    archive = tmp_path / "scan.zip"
    archive.write_bytes(zipped(members_of(tmp_path / "series")))
    assert read(archive).facts.source == "scan.zip"


def test_what_is_no_archive_is_given_as_it_is(tmp_path: Path) -> None:
    nifti_bytes(tmp_path)
    for path in (tmp_path, tmp_path / "ct.nii.gz"):
        with opened(path) as given:
            assert given == path


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="no such file or folder"), opened(tmp_path / "nowhere"):
        pass


def test_archives_inside_become_folders(tmp_path: Path, temporary: Path) -> None:
    inner = zipped({"x.nii.gz": nifti_bytes(tmp_path)})
    archive = tmp_path / "outer.zip"
    archive.write_bytes(zipped({"a/one.zip": inner, "b/two.tar": tarred({"y.nii.gz": nifti_bytes(tmp_path, 500)})}))
    sources = scans_in(archive)
    assert [source.inside for source in sources] == ["a/one.zip/x.nii.gz", "b/two.tar/y.nii.gz"]
    assert [int(source.read().array.min()) for source in sources] == [-60, 440]
    assert list(temporary.iterdir()) == []


def test_archives_in_archives_in_archives_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "outer.zip"
    archive.write_bytes(zipped({"a.zip": zipped({"b.zip": zipped({"c": b"d"})})}))
    with pytest.raises(ScanError, match=r"outer\.zip: a\.zip holds another archive"):
        read(archive)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)
        archive.addfile(tarfile.TarInfo("x"))
    return buffer.getvalue()


def zip_link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("a")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped({"a": b"secret"}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(mark) + offset] |= 1
    return bytes(data)


def claimed_size(claim: int) -> bytes:
    """Return a zip whose member says it is as long as that."""
    data = bytearray(zipped({"a": b"short"}))
    data[data.find(b"PK\x01\x02") + 24 :][:4] = struct.pack("<I", claim)
    at = data.find(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", claim)
    return bytes(data)


def extra_field_cut_off() -> bytes:
    """Return a zip whose directory claims a zip64 size and has no room for it."""
    data = bytearray(zipped({"a": b"b"}))
    at = data.rfind(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 2**32 - 1)  # size: in the extra field
    struct.pack_into("<H", data, at + 30, 4)  # length of the extra field
    data[at + 47 : at + 47] = struct.pack("<HH", 1, 0)
    end = data.rfind(b"PK\x05\x06")
    struct.pack_into("<I", data, end + 12, end - at)
    return bytes(data)


HOSTILE = {
    "leads out of its folder": [
        *(
            pack({name: b"x"})
            for pack in (zipped, tarred)
            for name in ("../a", "a/../../b", "/etc/a", "..\\a", "C:\\a")
        ),
    ],
    "link or a device": [
        link("a", "/etc"),
        link("a", "b", tarfile.LNKTYPE),
        link("a", "", tarfile.CHRTYPE),
        link("a", "", tarfile.FIFOTYPE),
        zip_link(),
    ],
    "two files called": [
        zipped({"a/X": b"1", "A/x": b"2"}),
        tarred({"a\u0308": b"1", "\u00e4": b"2"}),
        tarred({"a/./x": b"1", "a/x": b"2"}),
    ],
    "a file and a folder of one name": [zipped({"a": b"1", "a/b": b"2"}), tarred({"a/b": b"1", "a": b"2"})],
    "is encrypted": [encrypted()],
    "not as long as the archive says": [claimed_size(4000)],
    "damaged": [
        zipped({"a": bytes(range(256)) * 9})[:-40],
        gzip.compress(tarred({"a": bytes(4000)}), mtime=0)[:-30],
        tarred({"a": bytes(4000)})[:3000],
        extra_field_cut_off(),
    ],
}


@pytest.mark.parametrize(
    ("message", "archive"), [(message, each) for message, archives in HOSTILE.items() for each in archives]
)
def test_hostile_and_broken_archives_are_one_line(
    tmp_path: Path, temporary: Path, message: str, archive: bytes
) -> None:
    (tmp_path / "scan.zip").write_bytes(archive)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ScanError, match=message) as caught:
        read(tmp_path / "scan.zip")
    assert str(caught.value).startswith("scan.zip: ")
    assert sorted(tmp_path.rglob("*")) == before
    assert list(temporary.iterdir()) == []


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctatlas.volume.archives.AT_MOST_ARCHIVE_MEMBERS", 3)
    (tmp_path / "scan.zip").write_bytes(zipped(dict.fromkeys("abcd", b"")))
    with pytest.raises(ScanError, match="holds more than 3 files"):
        read(tmp_path / "scan.zip")


def test_archives_inside_share_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctatlas.volume.archives.AT_MOST_UNPACKED_BYTES", 100_000)
    inner = {f"{n}.zip": zipped({"a": bytes(40_000)}) for n in range(3)}
    (tmp_path / "scan.zip").write_bytes(zipped(inner))
    with pytest.raises(ScanError, match="unpacks to more than"):
        read(tmp_path / "scan.zip")


def test_a_disk_without_room_is_said_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctatlas.volume.archives.FREE_AFTER_UNPACKING_BYTES", 2**60)
    (tmp_path / "scan.zip").write_bytes(zipped({"a": b"b"}))
    with pytest.raises(OutputError, match="no room to unpack it"):
        read(tmp_path / "scan.zip")


def test_a_tar_with_an_endless_name_takes_no_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 256 * 2**20
    (tmp_path / "scan.tar.gz").write_bytes(gzip.compress(info.tobuf() + b"a" * info.size, 1))
    tracemalloc.start()
    try:
        with pytest.raises(ScanError, match="too long a header"):
            read(tmp_path / "scan.tar.gz")
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


def test_a_zip_with_an_endless_table_of_contents_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": b"b"}))
    at = data.rfind(b"PK\x05\x06") + 12
    data[at : at + 4] = struct.pack("<I", 2**31)
    (tmp_path / "scan.zip").write_bytes(data)
    with pytest.raises(ScanError, match="table of contents is too long"):
        read(tmp_path / "scan.zip")


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("seed", range(12))
def test_damaged_archives_give_a_scan_or_one_line(tmp_path: Path, temporary: Path, packer: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(PACKERS[packer]({"a/x.nii.gz": nifti_bytes(tmp_path), "b": bytes(3000)}))
    for at in rng.integers(6, len(data), 1 + seed % 4):
        data[at] = rng.integers(256)
    (tmp_path / "scan").write_bytes(data[: len(data) - seed * (seed % 3)])
    try:
        assert read(tmp_path / "scan").grid.n_voxels
    except CtatlasError as refusal:
        assert str(refusal).isprintable()  # noqa: PT017  either is right; any other exception is not
    assert list(temporary.iterdir()) == []
