"""Every file of a place is a job, a refusal, or counted: none is lost without a word."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctatlas.errors import ScanError
from ctatlas.volume.deidentify import Key, deidentify, plan
from tests.volume.formats.dicom.phantom import Phantom

KEY = Key(b"places!!" * 4)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return Phantom(n_slices=2).write(tmp_path / "in")


def check_the_only_refusal(place: Path, name: str, says: str) -> None:
    found = plan(place, KEY)
    assert len(found.jobs) == 2
    (refused,) = found.refused
    assert refused.source.name == name
    assert says in refused.reason
    assert not refused.is_aside


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("cut.nii.gz", b"\x1f\x8b\x08\0\0", "damaged"),
        ("empty.dcm", b"", "damaged"),
        ("noise.nii", b"nothing like it" * 100, "damaged"),
        ("NOISE.NRRD", b"nothing like it", "damaged"),
        ("more.zip", b"PK\x03\x04 and so on", "unpack it"),
    ],
)
def test_what_claims_to_be_a_scan_and_is_none_is_refused(place: Path, name: str, content: bytes, says: str) -> None:
    (place / name).write_bytes(content)
    check_the_only_refusal(place, name, says)


def test_a_broken_class_in_the_preamble_raises_no_warning(place: Path) -> None:
    content = (place / "000.dcm").read_bytes()
    (place / "odd.dcm").write_bytes(content.replace(b"1.2.840.10008.5.1.4.1.1.2", b"1.2.(40.10008.5.1.4.1.1.2", 1))
    assert len(plan(place, KEY).jobs) + len(plan(place, KEY).refused) + plan(place, KEY).n_copies == 3


def test_a_size_that_is_no_number_is_refused(place: Path) -> None:
    content = (place / "001.dcm").read_bytes()
    at = content.index(b"\x28\0\x10\0US")
    two = b"\x28\0\x10\0US\4\0\1\0\2\0"
    (place / "odd.dcm").write_bytes(content[:at] + two + content[at + 10 :])
    (refused,) = deidentify(place, place.parent / "out", KEY).refused
    assert refused.source.name == "odd.dcm"


def test_a_link_that_leads_nowhere_is_refused(place: Path) -> None:
    (place / "gone.dcm").symlink_to(place / "nowhere.dcm")
    check_the_only_refusal(place, "gone.dcm", "leads nowhere")


def test_a_link_to_a_folder_is_not_followed(place: Path, tmp_path: Path) -> None:
    other = Phantom(n_slices=3, series_uid="1.2.3").write(tmp_path / "other")
    (place / "linked").symlink_to(other)
    check_the_only_refusal(place, "linked", "not followed")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(place: Path) -> None:
    os.mkfifo(place / "pipe")
    check_the_only_refusal(place, "pipe", "no plain file")


def test_a_closed_folder_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Phantom(n_slices=3, series_uid="1.2.3").write(place / "closed")
    look = os.scandir

    def scandir(folder: str) -> Iterator[os.DirEntry[str]]:
        if os.path.basename(folder) == "closed":  # noqa: PTH119 - as os.walk gives it
            raise PermissionError(13, "Permission denied", folder)
        return look(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    check_the_only_refusal(place, "closed", "Permission denied")


def test_a_file_closed_to_us_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opening = Path.open

    def open_other(path: Path, *how: str) -> object:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return opening(path, *how)

    (place / "closed").write_bytes(b"Mueller")
    monkeypatch.setattr(Path, "open", open_other)
    check_the_only_refusal(place, "closed", "can't be read")


def test_what_is_no_scan_and_what_comes_twice_is_counted(place: Path, tmp_path: Path) -> None:
    for name in ("report.txt", ".hidden", "Thumbs.db"):
        (place / name).write_text("Mueller")
    shutil.copy(place / "000.dcm", place / "again")
    report = deidentify(place, tmp_path / "out", KEY)
    assert (len(report.written), report.n_passed_over, report.n_copies, report.refused) == (2, 3, 1, ())


def test_a_place_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="no such file or folder"):
        deidentify(tmp_path / "missing", tmp_path / "out", KEY)
