from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest

from ctatlas.errors import ScanError
from ctatlas.volume import read
from ctatlas.volume.reading import READERS, reader


def archive(kind: str) -> bytes:
    """Return a small file of a kind that is not read."""
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as packed:
            packed.writestr("ct.dcm", b"x")
    elif kind == "tar":
        with tarfile.open(fileobj=buffer, mode="w") as packed:
            packed.addfile(tarfile.TarInfo("ct.dcm"))
    return (
        buffer.getvalue()
        or {
            "bz2": bz2.compress(b"x"),
            "xz": lzma.compress(b"x"),
            "gz": gzip.compress(b"not a scan"),
            "half": gzip.compress(bytes(5000))[:20],
            "nrrd": b"NRRD0004\ntype: short\n",
            "mha": b"ObjectType = Image\n",
            "text": b"Dear colleague,\n" * 40,
            "png": b"\x89PNG\r\n\x1a\n" + bytes(400),
            "zeros": bytes(4000),
            "7z": b"7z\xbc\xaf\x27\x1c",
            "pdf": b"%PDF-1.4",
            "one": b"\x5c",
        }[kind]
    )


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("zip", "holds no CT scan"),
        ("tar", "holds no CT scan"),
        ("7z", "is a 7z archive"),
        ("bz2", "bzip2"),
        ("xz", "with xz"),
        ("gz", "holds no NIfTI"),
        ("half", "cut off or damaged"),
        ("nrrd", "NRRD header is broken"),
        ("mha", "MetaImage header lacks"),
        ("png", "picture"),
        ("pdf", "PDF"),
        ("text", "is neither DICOM, NIfTI"),
        ("zeros", "is neither DICOM, NIfTI"),
        ("one", "is neither DICOM, NIfTI"),
    ],
)
@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.dcm", "scan"])
def test_the_content_decides_and_what_is_not_read_is_said(tmp_path: Path, kind: str, message: str, name: str) -> None:
    (tmp_path / name).write_bytes(archive(kind))
    with pytest.raises(ScanError, match=f"^{name}: .*{message}"):
        read(tmp_path / name)


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match=r"nowhere: there is no such file or folder"):
        read(tmp_path / "nowhere")


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "ct.nii.gz").write_bytes(b"")
    with pytest.raises(ScanError, match=r"ct\.nii\.gz: is empty"):
        read(tmp_path / "ct.nii.gz")


def test_a_broken_link_is_named(tmp_path: Path) -> None:
    (tmp_path / "ct.nii.gz").symlink_to(tmp_path / "gone")
    with pytest.raises(ScanError, match="no such file"):
        read(tmp_path / "ct.nii.gz")


def test_an_unreadable_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(b"x")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(ScanError, match=r"ct\.nii\.gz: cannot be read: Permission denied"):
        read(path)


@pytest.mark.parametrize("kind", READERS)
def test_every_reader_is_there(kind: str) -> None:
    assert callable(reader(kind))
