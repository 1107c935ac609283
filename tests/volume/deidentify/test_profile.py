"""The tables say what the standard says, and agree with each other."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from pydicom.datadict import keyword_for_tag, tag_for_keyword

from ctatlas.volume.deidentify.elements import _DUMMIES, _KEPT_BYTES
from ctatlas.volume.deidentify.profile import Attribute, definition, objects, rows
from ctatlas.volume.deidentify.vocabulary import is_known, is_numbers

NAMES = [name for name, _ in objects().values()]


def walk(attributes: dict[int, Attribute]) -> list[Attribute]:
    return [each for one in attributes.values() for each in (one, *walk(dict(one.inside)))]


def test_the_profile_has_the_counts_of_its_edition() -> None:
    """Source: reference/volumes.md §8, counted on PS3.15 2026c; three of its entries are groups, rules of the code."""
    counts = Counter(row["action"] for row in rows("profile.csv"))
    assert counts == {
        "D": 93, "Z": 42, "X": 412, "U": 55, "Z/D": 6, "X/Z": 11, "X/D": 23, "X/Z/D": 8, "X/Z/U*": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("keyword", "action"),
    [
        ("PatientName", "Z"),
        ("PatientID", "Z/D"),
        ("StudyDescription", "X"),
        ("SeriesDate", "X/D"),
        ("DeviceSerialNumber", "X/Z/D"),
        ("TrackingUID", "U"),
        ("StructureSetLabel", "D"),
        ("SourceImageSequence", "X/Z/U*"),
    ],
)
def test_actions_are_those_of_the_reference(keyword: str, action: str) -> None:
    (row,) = [row for row in rows("profile.csv") if row["keyword"] == keyword]
    assert (row["action"], int(row["tag"], 16)) == (action, tag_for_keyword(keyword))


@pytest.mark.parametrize("name", ["profile.csv", "attributes.csv", "objects.csv", "vocabulary.csv"])
def test_every_row_has_a_source(name: str) -> None:
    assert all(row["source"] for row in rows(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_object_has_what_a_patient_module_must_have(name: str) -> None:
    found = {one.keyword: one.kind for one in definition(name).values()}
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex"):
        assert found[keyword] == "2"
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID"):
        assert found[keyword] == "1"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_a_definition_is_private_or_a_repeating_group(name: str) -> None:
    for one in walk(dict(definition(name))):
        group = one.tag >> 16
        assert not group % 2
        assert group not in range(0x5000, 0x5100, 2)
        assert group not in range(0x6000, 0x6100, 2)
        assert keyword_for_tag(one.tag) == one.keyword


@pytest.mark.parametrize("name", NAMES)
def test_every_required_text_has_something_to_stand_for_it(name: str) -> None:
    texts = [one for one in walk(dict(definition(name))) if one.kind.startswith("1") and one.vrs & _DUMMIES.keys()]
    assert len(texts) > 5
    assert all(len(one.vrs) == 1 for one in texts)


def test_bytes_that_stay_are_attributes_that_exist() -> None:
    assert all(tag_for_keyword(keyword) for keyword in _KEPT_BYTES)


def test_patterns_of_the_vocabulary_are_of_attributes_and_keep_no_loose_text() -> None:
    for row in rows("vocabulary.csv"):
        assert row["attribute"] == "CS" or tag_for_keyword(row["attribute"])
        assert not re.search(r"\.\*|\.\+|\\w[*+]|\\d[*+]|\[[^\]]*\][*+]", row["pattern"]), row


@pytest.mark.parametrize("attribute", sorted({row["attribute"] for row in rows("vocabulary.csv")}))
@pytest.mark.parametrize("text", ["MUELLER", "Hans", "4711-12", "19560412", "ZX81234567", "St. Mary", "A B C", "JD56"])
def test_names_and_numbers_of_people_are_in_no_vocabulary(attribute: str, text: str) -> None:
    assert not is_known(attribute, text)


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ("CS", "ORIGINAL"),
        ("CS", "CT_SOM5 SPI"),
        ("Manufacturer", "GE MEDICAL SYSTEMS"),
        ("ManufacturerModelName", "SOMATOM Definition AS+"),
        ("ConvolutionKernel", "B30f"),
        ("ConvolutionKernel", "Br40"),
        ("ConvolutionKernel", "UB"),
        ("ConvolutionKernel", "STANDARD"),
        ("RescaleType", "HU"),
        ("PositionReferenceIndicator", "SN"),
    ],
)
def test_words_of_scanners_stay(attribute: str, text: str) -> None:
    assert is_known(attribute, text)


@pytest.mark.parametrize(
    ("text", "are"),
    [
        (b"1", True),
        (b"-1.5e-3 \\ 2", True),
        (b"1\\\\2", True),
        (b"1\0", True),
        (b"1-2", False),
        (b"12A", False),
        (b"1 2", False),
        (b"nan", False),
        (b"0x10", False),
        (b"1" * 33, False),
        (b"\\".join([b"-123.456"] * 100_000), True),
    ],
)
def test_numbers_are_told_from_text(text: bytes, are: bool) -> None:  # noqa: FBT001
    assert is_numbers(text) is are
