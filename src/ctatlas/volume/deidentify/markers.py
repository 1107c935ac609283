"""What a data set says of its own de-identification, and who it is of now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ctatlas
from ctatlas.volume.deidentify.profile import objects

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

# Source: DICOM PS3.16 CID 7050.
_BASIC = ("113100", "Basic Application Confidentiality Profile")
_STRUCTURED = ("113104", "Clean Structured Content Option")
_DESCRIPTORS = ("113105", "Clean Descriptors Option")
_DATES = ("113107", "Retain Longitudinal Temporal Information Modified Dates Option")


def identity_of(dataset: Dataset) -> str:
    """Return what tells a patient from others: the ID, else the name and birth date, else the study."""
    patient = _text(dataset, "PatientID")
    if patient:
        return patient
    name = _text(dataset, "PatientName")
    return f"{name}\0{_text(dataset, 'PatientBirthDate')}" if name else _text(dataset, "StudyInstanceUID")


def mark(new: Dataset, old: Dataset, patient: str, *, is_head: bool) -> None:
    """Put the pseudonym, the markers and fresh file meta information into a cleaned data set.

    Notes
    -----
    Source: DICOM PS3.15 E.1.1 and E.3, PS3.3 C.12.1.1 and C.7.6.1.
    """
    new.PatientName = new.PatientID = patient
    new.PatientBirthDate = new.PatientSex = ""
    new.PatientIdentityRemoved = "YES"
    new.DeidentificationMethod = f"ctatlas {ctatlas.__version__} deidentify"[:64]
    _, kind = objects()[str(new.SOPClassUID)]
    options = [_BASIC, *([] if kind == "image" else [_STRUCTURED]), _DESCRIPTORS, _DATES]
    new.DeidentificationMethodCodeSequence = [_code(value, meaning) for value, meaning in options]
    new.LongitudinalTemporalInformationModified = "MODIFIED"
    if is_head:
        new.RecognizableVisualFeatures = "YES"
    _refresh_meta(new, old)


def _refresh_meta(new: Dataset, old: Dataset) -> None:
    """Make file meta information from what is known; application titles, private and other text do not come along."""
    from pydicom.dataset import FileMetaDataset

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = new.SOPClassUID
    meta.MediaStorageSOPInstanceUID = new.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax(old)
    new.file_meta = meta
    new.preamble = bytes(128)


def transfer_syntax(dataset: Dataset) -> UID:
    """Return how a data set is stored; where its file does not say, by how its elements could be read."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    said: UID | None = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    if said:
        return said
    is_implicit, is_little_endian = dataset.original_encoding
    if is_implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRBigEndian if is_little_endian is False else ExplicitVRLittleEndian


def _code(value: str, meaning: str) -> Dataset:
    from pydicom import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning[:64]
    return code


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword, "") or "").strip("\0 ")
