"""What every DICOM object made of a series has in common: its patient and study, its maker, its time, its UIDs.

Nothing is taken from the clock or by chance, so that the same masks of the same series give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom.files import quietly
from ctatlas.volume.formats.dicom.originals import MOMENTS, MUST_BE_THERE, TAKEN_ALONG

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import DataElement, Dataset

    from ctatlas.volume.choices import MaskChoices
    from ctatlas.volume.scan import ScanFacts, Volume

MANUFACTURER = "ctatlas"
_NO_MOMENT = ("19000101", "000000")
_WHO = ("PatientName", "PatientID")  # kept as they are, valid or not: an object must not lose its patient
_SEXES = ("M", "F", "O")
_HOW_REMOVED = ("DeidentificationMethod", "DeidentificationMethodCodeSequence")


@dataclass(frozen=True, slots=True)
class Algorithm:
    """Who drew the masks: a model's name and version, and whether a person drew or mended what it gave."""

    name: str
    version: str
    by: str = "AUTOMATIC"  # or SEMIAUTOMATIC, MANUAL


UNKNOWN = Algorithm("unknown", "unknown", "SEMIAUTOMATIC")  # of masks that came from elsewhere


def on_images_of(choices: MaskChoices, path: Path) -> tuple[Volume, Path]:
    """Return the scan that a DICOM object shall refer to and where it was read from, or refuse when there is none."""
    if choices.scan is None or choices.source is None:
        raise ScanError(f"{path.name}: a DICOM object refers to the CT it was drawn on; give that too (--reference).")
    return choices.scan, choices.source


def derived_uid(*facts: str) -> str:
    """Return a UID that follows from facts: the same ones always give the same.

    Source: DICOM PS3.5 B.2, UIDs from a UUID: "2.25." and a number of 128 bits.
    """
    digest = hashlib.sha256("\0".join(facts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def patient_and_study(original: Dataset, facts: ScanFacts) -> Dataset:
    """Return patient and study of the source; what is missing there, or no valid value, is empty or left out."""
    from pydicom import Dataset

    taken = Dataset()
    taken.SpecificCharacterSet = "ISO_IR 192"
    taken.StudyInstanceUID = facts.study_uid or derived_uid("study", facts.series_uid or "")
    for keyword in (*MUST_BE_THERE, *TAKEN_ALONG):
        element = _valid(original, keyword)
        if element is not None:
            taken.add(element)
        elif keyword in MUST_BE_THERE:
            setattr(taken, keyword, "")
    if taken.get("PatientIdentityRemoved") == "YES" and not any(keyword in taken for keyword in _HOW_REMOVED):
        taken.DeidentificationMethod = "not stated"  # which of both is there must be. Source: DICOM PS3.3 C.7.1.1
    return taken


def _valid(original: Dataset, keyword: str) -> DataElement | None:
    """Return an element of the source under its proper kind of value; None where it has none that is valid."""
    from pydicom import DataElement
    from pydicom.config import IGNORE, RAISE
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    with quietly():
        value = original[keyword].value if keyword in original else None
    if not value or (keyword == "PatientSex" and value not in _SEXES):
        return None
    tag, mode = tag_for_keyword(keyword) or 0, IGNORE if keyword in _WHO else RAISE
    try:
        return DataElement(tag, dictionary_VR(tag), value, validation_mode=mode)
    except (TypeError, ValueError):
        return None


def frame_of_reference(facts: ScanFacts) -> str:
    """Return the space of the series; where it names none, one that follows from the series."""
    return facts.frame_of_reference_uid or derived_uid("frame of reference", facts.series_uid or "")


def moment(original: Dataset) -> tuple[str, str]:
    """Return date and time of the series, as the best there is: an object made of it has no better ones."""
    for event in MOMENTS:
        date = _digits(original, f"{event}Date", 8)
        if len(date) == 8:
            return date, _digits(original, f"{event}Time", 6) or _NO_MOMENT[1]
    return _NO_MOMENT


def series_number(facts: ScanFacts, offset: int) -> int:
    """Return a number that tells a derived series from the scanner's own."""
    return abs(facts.series_number or 0) % 100_000 + offset


def name_of_content(facts: ScanFacts, parts: Sequence[str]) -> str:
    """Return what UIDs of an object follow from: the images, and all that was made of them."""
    digest = hashlib.sha256()
    for part in (facts.series_uid or "", *(f"{one.instance_uid} {one.frame}" for one in facts.slices), *parts):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def save(dataset: Dataset, path: Path) -> None:
    """Write a DICOM file, whole or not at all."""
    from ctatlas.atomic import whole_file

    with whole_file(path) as file, quietly():
        dataset.save_as(file, enforce_file_format=True)


def _digits(original: Dataset, keyword: str, n: int) -> str:
    text = str(original.get(keyword) or "")[:n]
    return text if text.isdigit() and len(text) == n else ""
