from __future__ import annotations

import errno
import json
import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from ctatlas.errors import InstallError, ModelError, OutputError
from ctatlas.models.fetch import Expected, connection, resolve
from ctatlas.models.fetch import downloads as module
from ctatlas.models.fetch.downloads import Got, download
from tests.support.file_server import Site

WEIGHTS = b"\x80\x02" + np.random.default_rng(0).bytes(3_000_001)
HASH = sha256(WEIGHTS).hexdigest()


def fetch(site: Site, folder: Path, path: str = "/w.pth", **known: object) -> Got:
    return download(resolve(f"{site.url}{path}"), folder, expected=Expected(**known) if known else None)  # type: ignore[arg-type]


def assert_nothing_left(folder: Path) -> None:
    assert sorted(folder.iterdir()) == []


def test_a_file_comes_whole_with_its_hash(site: Site, tmp_path: Path) -> None:
    site.show("/w.pth", WEIGHTS)
    got = fetch(site, tmp_path)
    assert (got.path, got.sha256, got.bytes) == (tmp_path / "w.pth", HASH, len(WEIGHTS))
    assert got.path.read_bytes() == WEIGHTS
    assert [each.name for each in tmp_path.iterdir()] == ["w.pth"]


def test_a_cut_connection_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    site.show("/w.pth", WEIGHTS, cuts=[1_200_000, 1_000_000, 500])
    assert fetch(site, tmp_path).path.read_bytes() == WEIGHTS
    assert [each.headers.get("Range") for each in site.asked] == [
        None,
        "bytes=1200000-",
        "bytes=2200000-",
        "bytes=2200500-",
    ]
    assert {each.headers.get("If-Range") for each in site.asked[1:]} == {'"one"'}


def test_a_later_call_goes_on_where_the_earlier_one_gave_up(site: Site, tmp_path: Path) -> None:
    shown = site.show("/w.pth", WEIGHTS, cuts=[2_000_000, *[0] * 6])
    with pytest.raises(ModelError, match=r"2,000,000 bytes are kept, call again to go on"):
        fetch(site, tmp_path)
    assert (tmp_path / "w.pth.part").read_bytes() == WEIGHTS[:2_000_000]
    shown.cuts.clear()
    site.asked.clear()
    assert fetch(site, tmp_path).sha256 == HASH
    assert [each.headers.get("Range") for each in site.asked] == ["bytes=2000000-"]


def test_a_server_without_ranges_is_asked_from_the_beginning(site: Site, tmp_path: Path) -> None:
    site.show("/w.pth", WEIGHTS, ranges=False, cuts=[2_500_000])
    assert fetch(site, tmp_path).path.read_bytes() == WEIGHTS
    assert len(site.asked) == 2


def test_a_server_that_says_no_length_gives_all_it_has(site: Site, tmp_path: Path) -> None:
    site.show("/w.pth", WEIGHTS, says_length=-1)
    assert fetch(site, tmp_path).sha256 == HASH


def test_a_file_that_changed_meanwhile_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    shown = site.show("/w.pth", WEIGHTS, cuts=[2_000_000, *[0] * 6])
    with pytest.raises(ModelError):
        fetch(site, tmp_path)
    shown.cuts.clear()
    shown.content, shown.etag = WEIGHTS[::-1], '"two"'
    assert fetch(site, tmp_path).path.read_bytes() == WEIGHTS[::-1]


def test_without_a_stamp_or_a_hash_nothing_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    site.show("/w.pth", WEIGHTS, etag="", cuts=[2_500_000])
    assert fetch(site, tmp_path).sha256 == HASH
    assert site.asked[1].headers.get("Range") is None


def test_a_known_hash_lets_it_go_on_without_a_stamp(site: Site, tmp_path: Path) -> None:
    site.show("/w.pth", WEIGHTS, etag='W/"weak"', cuts=[2_500_000])
    assert fetch(site, tmp_path, sha256=HASH).sha256 == HASH
    assert site.asked[1].headers.get("Range") == "bytes=2500000-"
    assert "If-Range" not in site.asked[1].headers


def test_a_server_that_gives_another_part_than_asked_is_not_believed(site: Site, tmp_path: Path) -> None:
    shown = site.show("/w.pth", WEIGHTS, cuts=[2_000_000, *[0] * 6])
    with pytest.raises(ModelError):
        fetch(site, tmp_path)
    notes = json.loads((tmp_path / "w.pth.part.json").read_text())
    (tmp_path / "w.pth.part.json").write_text(json.dumps(notes | {"total": 7_000_000}))
    shown.cuts.clear()
    assert fetch(site, tmp_path).path.read_bytes() == WEIGHTS


def test_what_was_begun_from_elsewhere_is_not_gone_on_with(site: Site, tmp_path: Path) -> None:
    site.show("/a/w.pth", WEIGHTS, cuts=[2_000_000, *[0] * 6])
    site.show("/b/w.pth", WEIGHTS[::-1])
    with pytest.raises(ModelError):
        fetch(site, tmp_path, "/a/w.pth")
    assert fetch(site, tmp_path, "/b/w.pth").path.read_bytes() == WEIGHTS[::-1]


@pytest.mark.parametrize(
    "notes", [b"", b"{", b"[]", b'{"source": 3}', b'{"source": "URL", "total": []}', b'{"sauce": ""}', b"\xff"]
)
def test_broken_notes_mean_a_fresh_beginning(site: Site, tmp_path: Path, notes: bytes) -> None:
    (tmp_path / "w.pth.part").write_bytes(b"rubbish")
    (tmp_path / "w.pth.part.json").write_bytes(notes.replace(b"URL", f"{site.url}/w.pth".encode()))
    site.show("/w.pth", WEIGHTS)
    assert fetch(site, tmp_path).sha256 == HASH


def test_a_wrong_hash_removes_the_file(site: Site, tmp_path: Path) -> None:
    site.show("/w.pth", WEIGHTS)
    with pytest.raises(ModelError, match=r"sha256 is .*, its card says 000000000000…: .*the file was removed"):
        fetch(site, tmp_path, sha256="0" * 64)
    assert_nothing_left(tmp_path)


def test_a_wrong_length_is_refused_before_anything_is_written(site: Site, tmp_path: Path) -> None:
    site.show("/w.pth", WEIGHTS)
    with pytest.raises(ModelError, match=r"3,000,003 bytes, its card says 7: it is another file"):
        fetch(site, tmp_path, bytes=7)
    assert_nothing_left(tmp_path)


def test_a_length_that_comes_out_too_long_or_short_is_refused(site: Site, tmp_path: Path) -> None:
    site.show("/w.pth", WEIGHTS, says_length=-1)
    with pytest.raises(ModelError, match=r"gives more than the 70 bytes it said"):
        fetch(site, tmp_path, bytes=70)
    assert_nothing_left(tmp_path)
    with pytest.raises(ModelError, match=r"3,000,003 bytes, its card says 4,000,000; the file was removed"):
        fetch(site, tmp_path, bytes=4_000_000)


def test_a_server_that_promises_more_than_it_gives_is_given_up(site: Site, tmp_path: Path) -> None:
    site.show("/w.pth", WEIGHTS, says_length=len(WEIGHTS) + 5, ranges=False)
    with pytest.raises(ModelError, match=r"it ended at 3,000,003 of 3,000,008 bytes, 6 times in a row"):
        fetch(site, tmp_path)


def test_a_busy_server_is_asked_again(site: Site, tmp_path: Path) -> None:
    site.show("/w.pth", WEIGHTS, status=[503, 429])
    assert fetch(site, tmp_path).sha256 == HASH


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "asks who you are: set HF_TOKEN"),
        (403, "accept its terms on the model's page"),
        (404, "there is no such file"),
        (451, "get the file by hand and import it"),
    ],
)
def test_a_refusal_is_one_line_at_once(site: Site, tmp_path: Path, status: int, said: str) -> None:
    site.show("/w.pth", WEIGHTS, status=[status])
    with pytest.raises(ModelError, match=said):
        fetch(site, tmp_path)
    assert len(site.asked) == 1


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Connection refused, 3 times in a row$"):
        download(resolve("http://127.0.0.1:9/w.pth"), tmp_path)


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b"<!DOCTYPE html><html>log in</html>", "text/html; charset=utf-8", "a web page, not weights"),
        (b"\xef\xbb\xbf\n <html>log in</html>", "application/octet-stream", "a web page, not weights"),
        (b'{"error": "no access"}', "application/json", "an error told in JSON, not weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "text/plain", "a pointer of Git LFS"),
        (b"", "application/octet-stream", "the file is empty"),
    ],
)
def test_what_stands_in_for_weights_is_refused(
    site: Site, tmp_path: Path, content: bytes, kind: str, said: str
) -> None:
    site.show("/w.pth", content, kind=kind)
    with pytest.raises(ModelError, match=said):
        fetch(site, tmp_path)
    assert_nothing_left(tmp_path)


def test_a_packed_answer_is_refused(site: Site, tmp_path: Path) -> None:
    site.show("/w.pth", WEIGHTS, headers={"Content-Encoding": "gzip"})
    with pytest.raises(ModelError, match="comes packed as gzip"):
        fetch(site, tmp_path)


def test_a_server_that_trickles_is_taken_for_cut(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WITHIN_S", 0.2)
    site.show("/w.pth", WEIGHTS, bytes_a_second=2000)
    with pytest.raises(ModelError, match=r"bytes in 0 s, 6 times in a row; [\d,]+ bytes are kept"):
        fetch(site, tmp_path)


def test_a_server_that_falls_silent_is_taken_for_cut(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SILENCE_S", 0.1)
    site.show("/w.pth", WEIGHTS, cuts=[1_000_000, *[0] * 6], falls_silent=True)
    with pytest.raises(ModelError, match=r"the server says nothing, 6 times in a row; 1,000,000 bytes are kept"):
        fetch(site, tmp_path)


def test_no_room_is_said_before_it_begins(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.show("/w.pth", WEIGHTS)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _p: _Usage(65_000_000))
    with pytest.raises(OutputError, match=r"w.pth needs 3 MB more, 0 MB are free; make room, or set CTATLAS_HOME"):
        fetch(site, tmp_path)


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free


def test_a_disk_that_fills_up_keeps_what_came(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.show("/w.pth", WEIGHTS)

    def fill_up(_part: object, answer: connection.Answer, *_others: object) -> None:
        (tmp_path / "w.pth.part").write_bytes(answer.body.read1(1000))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as context:
        context.setattr(module, "_write", fill_up)
        with pytest.raises(OutputError, match="the disk is full; what came is kept, make room and call again"):
            fetch(site, tmp_path)
    assert fetch(site, tmp_path).sha256 == HASH
    assert site.asked[-1].headers.get("Range") == "bytes=1000-"


def test_a_folder_that_cannot_be_written_to_is_one_line(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="can't be written to"):
        fetch(site, tmp_path / "file" / "below")


def test_offline_asks_nobody(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.show("/w.pth", WEIGHTS)
    monkeypatch.setenv("CTATLAS_OFFLINE", "1")
    with pytest.raises(
        InstallError, match=r"no connection is opened while 'offline' is set .* 'ctatlas models import'"
    ):
        fetch(site, tmp_path)
    assert site.asked == []


def test_progress_counts_megabytes_once_each(site: Site, tmp_path: Path) -> None:
    heard: list[tuple[str, int]] = []

    class Ear:
        def stage(self, name: str, total: int) -> None:
            heard.append((name, total))

        def advance(self, steps: int = 1) -> None:
            heard.append(("", steps))

    site.show("/w.pth", WEIGHTS, cuts=[2_200_000])
    download(resolve(f"{site.url}/w.pth"), tmp_path, progress=Ear(), name="suprem/unet")
    assert heard.count(("suprem/unet (MB)", 4)) == 2
    second = len(heard) - 1 - heard[::-1].index(("suprem/unet (MB)", 4))
    assert sum(steps for _, steps in heard[second + 1 :]) == 3
