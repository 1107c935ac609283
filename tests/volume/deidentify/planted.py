"""DICOM objects in which every text, name, date and UID is a secret: at the top, in sequences, in private elements."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from pathlib import Path

import numpy as np
from pydicom import DataElement, Dataset, Sequence, dcmwrite
from pydicom.datadict import DicomDictionary, dictionary_VM, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ctatlas.volume.deidentify.profile import Attribute, definition, objects
from ctatlas.volume.formats.dicom.files import quietly

WORD = "Sekret"  # in every planted text, whatever its case
UID_ROOT = "1.2.826.0.1.3680043.9.7777"
FIRST_DAY = date(2140, 1, 1)  # and the four weeks after it, so that no date becomes another planted one
CT, SEG, RTSTRUCT = (f"1.2.840.10008.5.1.4.1.1.{rest}" for rest in ("2", "66.4", "481.3"))
TEXTS = ("AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
# Without these as they should be there is no object to de-identify.
REAL = {
    "BurnedInAnnotation": "NO",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "PhotometricInterpretation": "MONOCHROME2",
}
SIZES = {
    "BitsAllocated": 16,
    "BitsStored": 12,
    "Columns": 5,
    "HighBit": 11,
    "NumberOfFrames": "1",
    "PixelRepresentation": 0,
    "Rows": 3,
    "SamplesPerPixel": 1,
}
PLACE = {
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "ImagePositionPatient": ["-10.5", "3.25", "7.0"],
    "PixelSpacing": ["0.75", "0.5"],
}


@dataclass
class Garden:
    """Grow secrets, and remember them."""

    secrets: list[bytes] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(1000))

    def secret(self, vr: str) -> object:
        """Return a new secret that is a legal value of its kind."""
        number = next(self.numbers)
        text = {
            "CS": f"{WORD.upper()}{number}",
            "PN": f"{WORD}^Anna^{number}",
            "UR": f"https://{WORD}.example/{number}",
            "DA": self.day(number),
            "DT": f"{self.day(number)}093000.{number}",
            "TM": f"{WORD}{number}",
            "AS": f"{number % 90 + 10:03d}Y",
            "UI": f"{UID_ROOT}.{number}",
            "IS": f"{WORD}{number}",
            "DS": f"{WORD}{number}",
        }.get(vr, f"{WORD}{number}")
        if vr not in ("AS", "TM"):
            self.secrets.append(text.encode())
        return text

    def day(self, number: int) -> str:
        return f"{FIRST_DAY + timedelta(number % 28):%Y%m%d}"

    def plant(self, dataset: Dataset, tag: int, vr: str) -> None:
        """Put a secret under a tag."""
        value = self.secret(vr)
        multiplicity = dictionary_VM(tag) if not tag >> 16 & 1 else "1"
        if multiplicity in ("1-n", "2-n", "1-2") and vr not in ("LT", "ST", "UR", "UT"):
            value = [value, self.secret(vr)]
        if vr in ("DS", "IS"):  # as bytes, which pydicom takes as they are
            put_bytes(dataset, tag, vr, f"{value}".encode())
            return
        dataset[tag] = DataElement(tag, vr, value, validation_mode=0)

    def item(self) -> Dataset:
        """Return an item of secrets, with another one and a private element inside."""
        item = Dataset()
        for tag, vr in ((0x00100010, "PN"), (0x0020000D, "UI"), (0x00080104, "LO"), (0x00091001, "UT")):
            self.plant(item, tag, vr)
        item[0x0040A730] = DataElement(0x0040A730, "SQ", Sequence([self.coded()]))
        return item

    def coded(self) -> Dataset:
        """Return a code that exists, with words that are not its own."""
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator = "10200004", "SCT"
        self.plant(item, 0x00080104, "LO")
        return item


def put_bytes(dataset: Dataset, tag: int, vr: str, content: bytes) -> None:
    """Put bytes under a tag as if they had been read from a file."""
    even = content + b" " * (len(content) % 2)
    dataset[tag] = RawDataElement(BaseTag(tag), vr, len(even), even, 0, is_implicit_VR=False, is_little_endian=True)


def planted_object(sop_class: str, garden: Garden, *, all_attributes: bool = True) -> Dataset:
    """Return an object of a kind with a secret in every attribute that can hold one.

    Without `all_attributes`, only of the object's definition, not of the whole dictionary.
    """
    name, _ = objects()[sop_class]
    dataset = Dataset()
    for tag in sorted(DicomDictionary) if all_attributes else definition(name):
        vr = dictionary_VR(tag)
        if tag < 0x00080000 or tag in (0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD):
            continue
        if vr in (*TEXTS, "AS", "CS", "DA", "DT", "TM", "UI"):
            garden.plant(dataset, tag, vr)
        elif vr == "SQ":
            dataset[tag] = DataElement(tag, "SQ", Sequence([garden.item()]))
    _grow(dataset, definition(name), garden)
    _plant_around(dataset, garden)
    dataset.SOPClassUID = sop_class
    for keyword, value in (REAL | SIZES | PLACE).items():
        setattr(dataset, keyword, value)
    dataset.PixelData = np.arange(15, dtype="<u2").tobytes() + f"{WORD}#pixels".encode()
    dataset["PixelData"].VR = "OW"
    dataset.SpecificCharacterSet = "ISO_IR 192"
    _plant_meta(dataset, garden)
    return dataset


def as_bytes(dataset: Dataset) -> bytes:
    """Return a data set as the bytes of a file, with secrets before and behind it."""
    _as_if_read(dataset, is_implicit=dataset.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian)
    file = io.BytesIO()
    with quietly():
        dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue() + f"{WORD}#after-the-end".encode()


def _as_if_read(dataset: Dataset, *, is_implicit: bool) -> None:
    """Let bytes be written as they are, which pydicom does only with what it has read."""
    dataset.set_original_encoding(is_implicit, is_little_endian=True, character_encoding=dataset._character_set)
    for element in dataset.elements():
        if element.VR == "SQ":
            for item in element.value:
                _as_if_read(item, is_implicit=is_implicit)


def _grow(dataset: Dataset, attributes: Mapping[int, Attribute], garden: Garden) -> None:
    """Put secrets into every sequence that the definition keeps, all the way down."""
    for attribute in attributes.values():
        if attribute.is_sequence:
            item = garden.coded() if attribute.is_coded else Dataset()
            for tag in attribute.inside:
                (vr, *_) = sorted(attribute.inside[tag].vrs)
                if vr in (*TEXTS, "AS", "CS", "DA", "DT", "TM", "UI") or (
                    vr in ("DS", "IS") and _may_lack(attribute, tag)
                ):
                    garden.plant(item, tag, vr)
            garden.plant(item, 0x00091001, "UT")
            garden.plant(item, 0x00104000, "LT")
            _grow(item, attribute.inside, garden)
            dataset[attribute.tag] = DataElement(attribute.tag, "SQ", Sequence([item, garden.coded()]))


def _may_lack(attribute: Attribute, tag: int) -> bool:
    return not attribute.inside[tag].kind.startswith("1")


def _plant_around(dataset: Dataset, garden: Garden) -> None:
    """Put secrets where nobody looks: private blocks, overlays, curves, padding, unknown elements, wrong kinds."""
    for group in (0x0009, 0x0019, 0x00E1, 0x7FE1):
        garden.plant(dataset, group << 16 | 0x0010, "LO")
        garden.plant(dataset, group << 16 | 0x1001, "UT")
        dataset[group << 16 | 0x1002] = DataElement(group << 16 | 0x1002, "OB", f"{WORD}#private".encode())
        nested = Dataset()
        nested[group << 16 | 0x1003] = DataElement(group << 16 | 0x1003, "SQ", Sequence([garden.item()]))
        dataset[group << 16 | 0x1003] = DataElement(group << 16 | 0x1003, "SQ", Sequence([nested]))
    for group in (0x5000, 0x5002):
        dataset[group << 16 | 0x3000] = DataElement(group << 16 | 0x3000, "OW", f"{WORD}#curve!".encode())
    for group in (0x6000, 0x6002):
        garden.plant(dataset, group << 16 | 0x4000, "LT")
        garden.plant(dataset, group << 16 | 0x0022, "LO")
        dataset[group << 16 | 0x3000] = DataElement(group << 16 | 0x3000, "OW", f"{WORD}#overly".encode())
    for tag in (0xFFFCFFFC, 0x00282000, 0x00420011, 0x00081155 + 0x9000):  # padding, profile, document, of no standard
        dataset[tag] = DataElement(tag, "OB", f"{WORD}#bytes!".encode())
    for tag in (0x00189318, 0x0018115E, 0x00201208, 0x00280106):  # numbers, said to be something else
        put_bytes(dataset, tag, "UN", f"{WORD}#unknown".encode())


def _plant_meta(dataset: Dataset, garden: Garden) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = garden.secret("UI")
    for keyword in ("SourceApplicationEntityTitle", "SendingApplicationEntityTitle", "ReceivingApplicationEntityTitle"):
        setattr(meta, keyword, garden.secret("AE"))
    meta.ImplementationVersionName = garden.secret("SH")
    meta.PrivateInformationCreatorUID = garden.secret("UI")
    meta.PrivateInformation = f"{WORD}#meta".encode()
    dataset.file_meta = meta
    dataset.preamble = (f"{WORD}#preamble".encode() * 8).ljust(128, b"!")[:128]


def implicit(dataset: Dataset) -> Dataset:
    """Let a data set be written without value representations."""
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return dataset


def write_planted(folder: Path, sop_class: str, *, is_implicit: bool = False, all_attributes: bool = False) -> Garden:
    garden = Garden()
    with quietly():
        dataset = planted_object(sop_class, garden, all_attributes=all_attributes)
        (folder / f"{WORD}.dcm").write_bytes(as_bytes(implicit(dataset) if is_implicit else dataset))
    return garden


def left(content: bytes, garden: Garden) -> list[bytes]:
    """Return the secrets that are in some bytes, in any case of letters, also in UTF-16."""
    known = {*garden.secrets, WORD.encode(), UID_ROOT.encode()}
    narrow = content.lower().replace(b"\0", b"")
    return sorted(secret for secret in known if secret.lower() in narrow)
