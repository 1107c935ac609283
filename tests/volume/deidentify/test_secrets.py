"""No secret that was planted anywhere is in the bytes that come out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydicom import dcmread

from ctatlas.volume.deidentify import Key, deidentify
from ctatlas.volume.deidentify.profile import objects
from tests.volume.deidentify.planted import CT, SEG, WORD, Garden, left, write_planted

KEY = Key(bytes(range(32)))


def everything_in(folder: Path) -> bytes:
    """Return all names and all bytes below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return b"".join(str(path.relative_to(folder)).encode() + path.read_bytes() for path in files)


def check_none_is_left(tmp_path: Path, sop_class: str, *, at_least: int, **how: bool) -> None:
    source = tmp_path / "in"
    source.mkdir()
    garden = write_planted(source, sop_class, **how)
    planted = set(re.findall(rb"(?i)sekret[^ ]?\w*|3680043\.9\.7777\.\d+", everything_in(source)))
    assert len(planted) > at_least  # they are there; tests below say that they are found
    report = deidentify(source, tmp_path / "out", KEY)
    assert (len(report.written), report.refused) == (1, ())
    assert left(everything_in(tmp_path / "out"), garden) == []


@pytest.mark.parametrize(("sop_class", "is_implicit"), [(CT, False), (SEG, True)])
def test_no_secret_is_left_of_the_whole_dictionary(tmp_path: Path, sop_class: str, *, is_implicit: bool) -> None:
    check_none_is_left(tmp_path, sop_class, at_least=6_500, is_implicit=is_implicit, all_attributes=True)


@pytest.mark.parametrize("sop_class", objects(), ids=[name for name, _ in objects().values()])
def test_no_secret_is_left_of_what_an_object_consists_of(tmp_path: Path, sop_class: str) -> None:
    is_implicit = list(objects()).index(sop_class) % 2 == 0
    check_none_is_left(tmp_path, sop_class, at_least=200, is_implicit=is_implicit)


def test_the_planted_object_is_one_that_matters(tmp_path: Path) -> None:
    """The test above could pass because nothing is left at all."""
    write_planted(tmp_path, CT)
    report = deidentify(tmp_path, tmp_path.parent / "out", KEY)
    new = dcmread(tmp_path.parent / "out" / report.written[0].file)
    assert [new.Rows, new.Columns, new.BitsStored] == [3, 5, 12]
    assert new.ImagePositionPatient == [-10.5, 3.25, 7.0]
    assert len(new.PixelData) == 30
    assert new.AnatomicRegionSequence[0].CodeMeaning == "Liver"
    assert new.preamble == bytes(128)
    assert len(list(new.iterall())) > 100


def test_secrets_are_found_where_they_are(tmp_path: Path) -> None:
    garden = write_planted(tmp_path, CT)
    found = left(everything_in(tmp_path), garden)
    assert len(found) > 300
    for secret in (
        b"#preamble",
        b"#private",
        b"#curve",
        b"#overly",
        b"#after-the-end",
        b"#meta",
        b"#pixels",
        b"^Anna^",
    ):
        assert WORD.encode() + secret in everything_in(tmp_path)
    assert left("SEKRET1000".encode("utf-16"), Garden(secrets=[b"Sekret1000"])) == [b"Sekret", b"Sekret1000"]


@pytest.mark.parametrize("position", [0, 100, 127])
def test_the_preamble_is_empty(tmp_path: Path, position: int) -> None:
    write_planted(tmp_path, CT)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[position] = 0x53
    path.write_bytes(content)
    report = deidentify(path, tmp_path.parent / "out", KEY)
    assert (tmp_path.parent / "out" / report.written[0].file).read_bytes()[:132] == bytes(128) + b"DICM"


def test_the_markers_say_what_was_done(tmp_path: Path) -> None:
    write_planted(tmp_path, SEG)
    report = deidentify(tmp_path, tmp_path.parent / "out", KEY)
    new = dcmread(tmp_path.parent / "out" / report.written[0].file)
    assert new.PatientIdentityRemoved == "YES"
    assert new.DeidentificationMethod.startswith("ctatlas ")
    assert [item.CodeValue for item in new.DeidentificationMethodCodeSequence] == [
        "113100",
        "113104",
        "113105",
        "113107",
    ]
    assert {item.CodingSchemeDesignator for item in new.DeidentificationMethodCodeSequence} == {"DCM"}
    assert new.LongitudinalTemporalInformationModified == "MODIFIED"
    assert new.PatientID == new.PatientName == report.patients[0]
    assert new.file_meta.MediaStorageSOPInstanceUID == new.SOPInstanceUID
    assert {element.keyword for element in new.file_meta} == {
        "FileMetaInformationGroupLength",
        "FileMetaInformationVersion",
        "ImplementationClassUID",
        "ImplementationVersionName",
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
    }


def test_the_log_names_tags_and_no_values(tmp_path: Path) -> None:
    garden = write_planted(tmp_path, CT)
    deidentify(tmp_path, tmp_path.parent / "out", KEY)
    log = (tmp_path.parent / "out" / "deidentification.csv").read_bytes()
    assert left(log, garden) == []
    for tag in (b"00081030", b"00080020", b"0008103E"):  # study description, date, series description
        assert tag in log
