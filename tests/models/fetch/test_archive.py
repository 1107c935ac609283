from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from ctatlas.errors import ModelError, OutputError
from ctatlas.models.fetch import archive as module
from ctatlas.models.fetch.archive import is_torch_file, names_in, unpack

FILES = {
    "Dataset001_X/T__P__3d_fullres/plans.json": b"{}",
    "Dataset001_X/T__P__3d_fullres/fold_0/checkpoint_final.pth": b"\x80\x02weights" * 100,
    "Dataset001_X/T__P__3d_fullres/fold_0/progress.png": b"png",
    "Dataset001_X/T__P__3d_fullres/postprocessing.pkl": b"code",
    "__MACOSX/Dataset001_X/plans.json": b"?",
    "Dataset001_X/.DS_Store.json": b"?",
}


def zipped(path: Path, files: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_what_a_model_needs_is_unpacked_and_nothing_else(tmp_path: Path) -> None:
    files = unpack(zipped(tmp_path / "a.zip", FILES), tmp_path / "to")
    assert {str(each.relative_to(tmp_path / "to")): each.read_bytes() for each in files} == {
        name: content for name, content in FILES.items() if name.endswith(("P__3d_fullres/plans.json", "final.pth"))
    }
    assert sorted(path for path in (tmp_path / "to").rglob("*") if path.is_file()) == sorted(files)


@pytest.mark.parametrize(
    "name",
    ["../plans.json", "a/../../plans.json", "/etc/plans.json", "a\\..\\plans.json", "C:plans.json", "a/b\x1b.json"],
)
def test_a_name_that_leaves_the_folder_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="refused"):
        unpack(zipped(tmp_path / "a.zip", {"plans.json": b"{}", name: b"{}"}), tmp_path / "to")
    assert not (tmp_path / "to").exists()
    assert not (tmp_path / "plans.json").exists()


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("fold_0/checkpoint_final.pth")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match="holds a link"):
        unpack(tmp_path / "a.zip", tmp_path / "to")


def test_a_bomb_is_refused_by_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SMALL_BYTES", 1_000_000)
    bomb = zipped(tmp_path / "a.zip", {"a.pth": b"\0" * 20_000_000})
    with pytest.raises(ModelError, match=r"bytes would become 20,000,000; weights don't shrink like that"):
        unpack(bomb, tmp_path / "to")


def test_a_bomb_that_lies_about_its_size_is_stopped(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "a.zip", {"a.pth": b"\0" * 5_000_000})
    content = bytearray(bomb.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(mark) + offset
        content[at : at + 4] = (1000).to_bytes(4, "little")
    bomb.write_bytes(bytes(content))
    with pytest.raises(ModelError, match="a damaged zip"):
        unpack(bomb, tmp_path / "to")
    assert sum(path.stat().st_size for path in (tmp_path / "to").rglob("*.pth")) <= 1_000_000


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_MOST_FILES", 3)
    with pytest.raises(ModelError, match="4 files; at most 3"):
        unpack(zipped(tmp_path / "a.zip", {f"{n}.json": b"{}" for n in range(4)}), tmp_path / "to")


def test_names_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds plans\.json twice"):
        unpack(zipped(tmp_path / "a.zip", {"plans.json": b"{}", "Plans.json": b"{}"}), tmp_path)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_zip_cut_short_is_one_line(tmp_path: Path, share: float) -> None:
    whole = zipped(tmp_path / "a.zip", FILES).read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match="whose end is missing; get it again"):
        names_in(tmp_path / "a.zip")


def test_a_damaged_entry_is_one_line(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.pth": b"weights" * 1000}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ModelError, match=r"a damaged zip \(Bad CRC-32"):
        unpack(path, tmp_path / "to")


def test_no_room_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 64 * 1024**2

    monkeypatch.setattr(module.shutil, "disk_usage", lambda _p: Usage)
    with pytest.raises(OutputError, match="make room"):
        unpack(zipped(tmp_path / "a.zip", FILES), tmp_path / "to")


def test_torch_files_are_told_from_archives(tmp_path: Path) -> None:
    assert is_torch_file(zipped(tmp_path / "w.pth", {"archive/data.pkl": b"", "archive/data/0": b""}))
    assert not is_torch_file(zipped(tmp_path / "a.zip", FILES))
    (tmp_path / "plain").write_bytes(b"\x80\x02")
    assert not is_torch_file(tmp_path / "plain")
