"""The walk through ordinary headers finds what pydicom finds, and leaves to it whatever is not ordinary."""

from __future__ import annotations

import io
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from unittest.mock import patch

import pydicom
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    RLELossless,
)

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom import headers
from ctatlas.volume.formats.dicom.headers import Contents, contents_of
from ctatlas.volume.formats.dicom.walk import walked
from tests.volume.formats.dicom.phantom import Phantom
from tests.volume.mutations.mutate import mutation
from tests.volume.mutations.seeds import Seed, dicom, stored

NAMES = ("SOPClassUID", "Rows", "ImagePositionPatient")
Change = Callable[[Dataset], None]


def outcome(path: Path) -> Contents | str:
    try:
        return contents_of(path)
    except ScanError as refusal:
        return str(refusal)


def by_pydicom(path: Path) -> Contents | str:
    with patch.object(headers, "walked", lambda *_: None):
        return outcome(path)


def nested(dataset: Dataset) -> None:
    """Add what scanners write besides: sequences of either length in each other, private blocks, empty values."""
    innermost, inner = Dataset(), Dataset()
    innermost.CodeValue, innermost.CodeMeaning = "1", "Liver"
    inner.PurposeOfReferenceCodeSequence = Items([innermost, Dataset()])
    inner.ReferencedSOPInstanceUID = "1.2.3"
    for name, items in (
        ("ReferencedImageSequence", [inner, innermost]),
        ("ReferencedStudySequence", []),
        ("RequestAttributesSequence", [inner]),
    ):
        setattr(dataset, name, Items(items))
    for of_any_length in (dataset["ReferencedImageSequence"], inner["PurposeOfReferenceCodeSequence"]):
        of_any_length.is_undefined_length = True
    innermost.is_undefined_length_sequence_item = True
    dataset.add_new(0x00090010, "LO", "SCANNER")
    dataset.add_new(0x00091001, "UN", b"\1\2\3\4")
    dataset.add_new(0x00091002, "SQ", Items([inner]))
    dataset[0x00091002].is_undefined_length = True
    dataset.SpecificCharacterSet = ["ISO 2022 IR 6", "ISO 2022 IR 87"]
    dataset.PatientName, dataset.ImageComments, dataset.ContrastBolusAgent = "A^B", "", None


def slice_with(change: Change = lambda _: None, syntax: str = ExplicitVRLittleEndian) -> bytes:
    dataset = Phantom().slice(2)
    change(dataset)
    if syntax == RLELossless:
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    return stored(dataset)


def large_header(dataset: Dataset) -> None:
    dataset.add_new(0x00091001, "OB", bytes(40_000))


@pytest.mark.parametrize("change", [lambda _: None, nested, large_header], ids=["plain", "nested", "large"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless])
def test_what_scanners_write_is_walked(tmp_path: Path, change: Change, syntax: str) -> None:
    path = tmp_path / "ct"
    path.write_bytes(slice_with(change, syntax))
    assert walked(path, NAMES) is not None
    (frame,) = contents_of(path).frames
    assert frame.position_mm == tuple(Phantom().place(2))
    assert by_pydicom(path) == contents_of(path)


def without_preamble(data: bytes) -> bytes:
    return data[132:]


def of_a_directory(data: bytes) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.SOPClassUID = MediaStorageDirectoryStorage
    return stored(dataset)


def with_functional_groups(data: bytes) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.SharedFunctionalGroupsSequence = Items([Dataset()])
    return stored(dataset)


def deep(data: bytes) -> bytes:
    dataset, within = pydicom.dcmread(io.BytesIO(data)), Dataset()
    for _ in range(50):
        within, inner = Dataset(), within
        within.ReferencedImageSequence = Items([inner])
        within["ReferencedImageSequence"].is_undefined_length = True
    dataset.ReferencedImageSequence = Items([within])
    dataset["ReferencedImageSequence"].is_undefined_length = True
    return stored(dataset)


def without_pixels(data: bytes) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(data))
    del dataset.PixelData
    return stored(dataset)


def with_element(tag: int, kind: bytes, value: bytes) -> Callable[[bytes], bytes]:
    """Put an element in front of the pixels."""

    def change(data: bytes) -> bytes:
        pixels = data.index(b"\xe0\x7f\x10\x00OW")
        element = struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, kind, len(value)) + value
        return data[:pixels] + element + data[pixels:]

    return change


@pytest.mark.parametrize(
    "change",
    [
        without_preamble,
        of_a_directory,
        with_functional_groups,
        deep,
        without_pixels,
        lambda data: data[:300],
        with_element(0x00091003, b"??", b"ab"),  # no representation that anybody knows
        with_element(0x00080005, b"CS", b"iso-ir-1\0\0"),
        with_element(0x00080005, b"US", b"\1\2"),
        with_element(0xFFFEE00D, b"\0\0", b""),  # the end of an item that never began
        with_element(0x00091003, b"UN", b"\0\0\xff\xff\xff\xff"),  # 65 kB and more that are not there
        with_element(0x7FE00008, b"LO", b""),
    ],
)
def test_the_unusual_is_left_to_pydicom(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "ct"
    path.write_bytes(change(slice_with()))
    assert walked(path, (*NAMES, "SharedFunctionalGroupsSequence")) is None
    assert by_pydicom(path) == outcome(path)


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_other_orders_of_bytes_are_left_to_pydicom(tmp_path: Path, syntax: str) -> None:
    path = tmp_path / "ct"
    path.write_bytes(slice_with(syntax=syntax))
    assert walked(path, NAMES) is None


def test_every_fixture_says_the_same(shared_data: Path) -> None:
    paths = [path for path in sorted((shared_data / "fixtures" / "dicom").rglob("*")) if path.is_file()]
    differing = [path.name for path in paths if by_pydicom(path) != outcome(path)]
    assert differing == []
    assert sum(walked(path, NAMES) is not None for path in paths) > len(paths) / 2


@cache
def known() -> tuple[Seed, ...]:
    files = {
        f"{n}": slice_with(nested, syntax) for n, syntax in enumerate((ExplicitVRLittleEndian, ImplicitVRLittleEndian))
    }
    return (*dicom(), *(Seed(f"nested-{name}", "dicom", {name: data}) for name, data in files.items()))


@given(st.integers(0, 2**32 - 1))
def test_damaged_files_say_the_same(number: int) -> None:
    damaged = mutation(number, known())
    with tempfile.TemporaryDirectory() as place:
        for name, data in damaged.files.items():
            path = Path(place) / name
            path.write_bytes(data)
            assert by_pydicom(path) == outcome(path), damaged.what
            event("walked" if walked(path, NAMES) else "left to pydicom")
