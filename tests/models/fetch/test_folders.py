from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from ctatlas.errors import ModelError
from ctatlas.models.fetch import download_folder
from ctatlas.models.fetch import folders as module
from tests.support.file_server import Site

FILES = {
    "net/plans.json": b'{"a": 1}',
    "net/fold_0/checkpoint_final.pth": b"\x80\x02weights" * 1000,
    "net/progress.png": b"png",
    "net/.gitattributes": b"x",
}
LIST = "/api/models/o/r/tree/main/net"


def listed(files: dict[str, bytes]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [{"type": "directory", "path": "net/fold_0", "size": 0}]
    for path, content in files.items():
        row: dict[str, object] = {"type": "file", "path": path, "size": len(content), "oid": "git"}
        if path.endswith(".pth"):
            row["lfs"] = {"oid": sha256(content).hexdigest(), "size": len(content)}
        rows.append(row)
    return rows


@pytest.fixture
def hub(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("CTATLAS_HF_MIRROR", site.url)
    site.show(LIST, json.dumps(listed(FILES)).encode())
    for path, content in FILES.items():
        site.show_on_the_hub(f"/o/r/resolve/main/{path}", content)
    return site


def test_what_a_model_needs_of_a_folder_is_fetched(hub: Site, tmp_path: Path) -> None:
    got = download_folder("hf://o/r/net/", tmp_path / "to")
    files = {str(each.relative_to(got.path)): each.read_bytes() for each in got.path.rglob("*") if each.is_file()}
    assert files == {name.removeprefix("net/"): FILES[name] for name in list(FILES)[:2]}
    assert got.revision == "a" * 40
    assert hub.asked


def test_what_came_whole_is_not_fetched_again(hub: Site, tmp_path: Path) -> None:
    download_folder("hf://o/r/net/", tmp_path / "to")
    hub.asked.clear()
    download_folder("hf://o/r/net/", tmp_path / "to")
    assert not [each for each in hub.asked if each.path.endswith(".pth")]


def test_what_is_left_of_another_folder_is_removed(hub: Site, tmp_path: Path) -> None:
    assert hub.url
    (tmp_path / "to" / "fold_1").mkdir(parents=True)
    (tmp_path / "to" / "fold_1" / "checkpoint_final.pth").write_bytes(b"old")
    download_folder("hf://o/r/net/", tmp_path / "to")
    assert sorted(each.parent.name for each in (tmp_path / "to").rglob("*.pth")) == ["fold_0"]


def test_a_file_other_than_the_list_says_is_removed(hub: Site, tmp_path: Path) -> None:
    rows = listed(FILES)
    rows[2]["lfs"] = {"oid": "0" * 64}
    hub.show(LIST, json.dumps(rows).encode())
    with pytest.raises(ModelError, match="the file was removed"):
        download_folder("hf://o/r/net/", tmp_path / "to")


@pytest.mark.parametrize(
    "path", ["net/../../evil.json", "net//evil.json", "elsewhere/evil.json", "net/a\\..\\evil.json"]
)
def test_a_name_that_leaves_the_folder_is_refused(hub: Site, tmp_path: Path, path: str) -> None:
    hub.show(LIST, json.dumps([{"type": "file", "path": path, "size": 2}]).encode())
    with pytest.raises(ModelError):
        download_folder("hf://o/r/net/", tmp_path / "a" / "b" / "to")
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize(
    ("content", "how", "said"),
    [
        (b"<html>", {}, "can't be read"),
        (b"{}", {}, "can't be read"),
        (b'[{"type": "file", "path": 3}]', {}, "can't be read"),
        (b"[]", {}, "holds nothing that a model is made of"),
        (b"[]", {"headers": {"Link": "<x>; rel=next"}}, "name a folder deeper in it"),
        (b"[" + b" " * 3000 + b"]", {}, "longer than"),
        (b"[]", {"status": [404]}, "there is no such file"),
        (b"[]", {"status": [503]}, "the server says 503 .*; call again"),
    ],
)
def test_a_list_that_can_not_be_used_is_one_line(
    hub: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, how: dict[str, object], said: str
) -> None:
    monkeypatch.setattr(module, "_AT_MOST_LIST_BYTES", 2000)
    hub.show(LIST, content, **how)
    with pytest.raises(ModelError, match=said):
        download_folder("hf://o/r/net/", tmp_path / "to")
