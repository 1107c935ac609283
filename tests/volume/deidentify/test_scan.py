"""One scan of one patient: whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ctatlas.errors import CtatlasError, OutputError, ScanError
from ctatlas.volume import read
from ctatlas.volume.deidentify import Key, deidentify_scan
from tests.volume.formats.dicom.phantom import Phantom

if TYPE_CHECKING:
    from pydicom import Dataset

KEY = Key(b"one scan" * 4)


def named(_: int, dataset: Dataset) -> None:
    dataset.PatientName, dataset.PatientID = "Mueller^Hans", "4711"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return Phantom(n_slices=4, change=named).write(tmp_path / "Mueller_Hans")


def report_of_dose() -> Dataset:
    dataset = Phantom(n_slices=1, change=named).slice(0)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.67"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.99"
    return dataset


def test_a_scan_comes_whole_with_its_record(source: Path, tmp_path: Path) -> None:
    report_of_dose().save_as(source / "dose", enforce_file_format=True)
    (source / "note.txt").write_text("Mueller")
    record = deidentify_scan(source, tmp_path / "atlas" / "source", KEY)
    assert record.patient == KEY.patient("4711")
    assert record.objects == {"ct": 4}
    assert sum(record.left_aside.values()) == record.n_passed_over == 1
    assert record.key == KEY.name != Key(bytes(32)).name
    kept = json.dumps(record.as_json())
    assert "Mueller" not in kept
    assert "4711" not in kept
    assert KEY.secret.decode() not in kept
    old, new = (read(place) for place in (source, tmp_path / "atlas" / "source"))
    assert np.array_equal(new.array, old.array)
    assert np.array_equal(new.grid.affine, old.grid.affine)
    assert sorted(path.name for path in (tmp_path / "atlas").iterdir()) == ["source"]


def test_again_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    for out in ("one", "two"):
        deidentify_scan(source, tmp_path / out, KEY)
    one, two = (
        {path.relative_to(tmp_path / out): path.read_bytes() for path in (tmp_path / out).rglob("*") if path.is_file()}
        for out in ("one", "two")
    )
    assert one == two


def check_refused(source: Path, out: Path, says: str, error: type[CtatlasError] = ScanError) -> None:
    before = sorted(out.parent.rglob("*"))
    with pytest.raises(error, match=says) as raised:
        deidentify_scan(source, out, KEY)
    assert "\n" not in str(raised.value)
    assert sorted(out.parent.rglob("*")) == before


def test_a_scan_without_one_of_its_slices_is_not_the_scan(source: Path, tmp_path: Path) -> None:
    last = source / "003.dcm"
    last.write_bytes(last.read_bytes()[:-20])
    check_refused(source, tmp_path / "out", "file 4 has fewer pixels")


def test_a_damaged_header_stops_it_too(source: Path, tmp_path: Path) -> None:
    (source / "003.dcm").write_bytes(bytes(500))
    check_refused(source, tmp_path / "out", "file 4 is damaged")


def test_two_patients_are_refused(source: Path, tmp_path: Path) -> None:
    Phantom(n_slices=1, series_uid="1.2.3").write(source / "other")
    check_refused(source, tmp_path / "out", "2 patients")


def test_reports_alone_are_no_scan(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    report_of_dose().save_as(tmp_path / "in" / "dose", enforce_file_format=True)
    check_refused(tmp_path / "in", tmp_path / "out", "but no scan")


def test_an_output_that_holds_something_stays_as_it_is(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    check_refused(source, tmp_path / "out", "name a new folder", OutputError)
    check_refused(source, source / "out", "inside the input", OutputError)
