"""What can't be made safe by changing its header: writing in the picture, faces, objects that are all text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctatlas.errors import ScanError
from ctatlas.volume.deidentify.profile import objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset
    from pydicom.tag import BaseTag
    from pydicom.uid import UID


class AsideError(ScanError):
    """Refuse an object that is no part of a scan: a report, a picture of a screen."""


_MUST_HAVE = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_DONE = "only CT, MR and PET images, SEG and RTSTRUCT are de-identified"
_BURNED_IN = "has text burned into its pixels (BurnedInAnnotation is YES); pixels are not cleaned"
_MULTI_FRAME = ("enhanced-ct", "legacy-enhanced-ct")
_WHO = ("PatientName", "PatientID", "OtherPatientNames", "AccessionNumber", "PatientBirthDate")
_LONG_WORD = re.compile(r"[\w.-]{5,}")  # so many given bytes come by chance in one of a million images
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_LOOKED_AT = (
    "BitsAllocated",
    "BurnedInAnnotation",
    "Columns",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "PatientBirthDate",
    "PatientID",
    "PatientName",
    "PhotometricInterpretation",
    "Rows",
    "SamplesPerPixel",
    "SOPClassUID",
    "SpecificCharacterSet",
)
_SCREEN_WORDS = re.compile(r"SCREEN|DOSE|PATIENT_INFO|PROTOCOL|SUMMARY|REPORT|CAPTURE|PASTED")  # in image types
_DESCRIPTIONS = (
    "BodyPartExamined",
    "PerformedProcedureStepDescription",
    "ProtocolName",
    "RequestedProcedureDescription",
    "SeriesDescription",
    "StudyDescription",
)
_CODED = ("AnatomicRegionSequence", "ProcedureCodeSequence", "RequestedProcedureCodeSequence")
# Words of English, German, French, Spanish, Italian and Portuguese for the parts by which a person is known.
_HEAD_WORDS = re.compile(
    r"(?<![a-z])(head|brain|skull|crani\w*|cereb\w*|enceph\w*|neuro\w*|face|facial|maxill\w*|mandib\w*|jaw|dental|"
    r"dent\w*scan|sinus\w*|orbit\w*|eyes?|ears?|nose|zygoma|tmj|parotid\w*|pituitary|tongue|temporal bones?|"
    r"neck|headneck|hnc?|neckchest\w*|c-?spine|cervical spine|carot\w*|wholebody|whole body|"
    r"kopf|schaedel|schädel|sch.del|gehirn|gesicht|nnh|hals|hws|felsenbein\w*|ganzk.rper|"
    r"t[eê]te|cr[aâ]ne|cerveau|visage|cou|cabeza|cr[aá]neo|cerebro|cara|cuello|"
    r"testa|cranio|encefalo|volto|collo|cabe[cç]a|pesco[cç]o)(?![a-z])",
    re.IGNORECASE,
)


def refuse(dataset: Dataset, *, allow_head: bool = False) -> None:
    """Raise for an object that de-identification can't make safe, as far as its header without pixels tells.

    Raises
    ------
    ScanError
        With the first reason; no value of the data set is in it. `AsideError` when no scan misses the object.
    """
    for reason in _reasons_to_leave_aside(dataset):
        raise AsideError(reason)
    for reason in _reasons(dataset, allow_head=allow_head):
        raise ScanError(reason)


def refuse_content(dataset: Dataset) -> None:
    """Raise for an object whose pixels or contours are not there, or not all of them.

    Raises
    ------
    ScanError
        With the first reason; no value of the data set is in it.
    """
    _, kind = objects()[_text(dataset, "SOPClassUID")]
    for reason in _reasons_of_contours(dataset) if kind == "contours" else _reasons_of_pixels(dataset):
        raise ScanError(reason)


def pixel_bytes(dataset: Dataset) -> int | None:
    """Return how many bytes of pixels a header promises; None when they are compressed."""
    syntax = _transfer_syntax(dataset)
    if "PixelData" not in dataset or (syntax and syntax.is_encapsulated):
        return None
    numbers = ("Rows", "Columns", "BitsAllocated")
    rows, columns, bits = (int(_text(dataset, keyword) or 0) for keyword in numbers)
    frames = int(_text(dataset, "NumberOfFrames") or 1)
    samples = int(_text(dataset, "SamplesPerPixel") or 1)
    return (rows * columns * bits * frames * samples + 7) // 8


def looks_like_head(dataset: Dataset) -> bool:
    """Tell whether what a data set says of itself has a word for head, face or neck; pixels are not looked at."""
    codes = [item for keyword in _CODED for item in dataset.get(keyword) or []]
    texts = [_text(dataset, keyword) for keyword in _DESCRIPTIONS] + [_text(item, "CodeMeaning") for item in codes]
    return any(_HEAD_WORDS.search(text.replace("_", " ")) for text in texts)


def is_secondary(dataset: Dataset) -> bool:
    """Tell whether an image says that it was made from others."""
    return _text(dataset, "ImageType").upper().startswith("DERIVED\\SECONDARY")


def header_tags() -> list[int]:
    """Return the tags that `refuse` and the plan look at."""
    from pydicom.datadict import tag_for_keyword

    tags = [tag_for_keyword(keyword) for keyword in (*_MUST_HAVE, *_DESCRIPTIONS, *_CODED, *_LOOKED_AT)]
    return [*(tag for tag in tags if tag is not None), *range(0x60000102, 0x60200102, 0x20000)]


def _reasons_to_leave_aside(dataset: Dataset) -> Iterator[str]:
    sop_class = _text(dataset, "SOPClassUID")
    if sop_class not in objects():
        if name := _name_of_class(sop_class):
            yield f"is an object of class {name}; {_DONE}"
        return
    name, kind = objects()[sop_class]
    for sign in _signs_of_a_screen(dataset, name) if kind == "image" else ():
        yield _BURNED_IN if _is_burned_in(dataset) else sign


def _signs_of_a_screen(dataset: Dataset, name: str) -> Iterator[str]:
    if _text(dataset, "SamplesPerPixel") not in ("", "1") or not _text(
        dataset, "PhotometricInterpretation"
    ).upper().startswith("MONOCHROME"):
        yield "is a colour picture, which scanners make of screens"
    if _text(dataset, "BitsAllocated") == "8":
        yield "is a picture of 8 bits, which scanners make of screens"
    if _SCREEN_WORDS.search(_text(dataset, "ImageType").upper()):
        yield "is a screen copy or dose report by its image type"
    if name not in _MULTI_FRAME and not all(
        _text(dataset, keyword) for keyword in ("ImagePositionPatient", "ImageOrientationPatient")
    ):
        yield "has no place in the patient, as a screen copy has none"


def _reasons(dataset: Dataset, *, allow_head: bool) -> Iterator[str]:
    if _text(dataset, "SOPClassUID") not in objects():
        yield f"is an object of unknown kind; {_DONE}"
    if lacking := [keyword for keyword in _MUST_HAVE if not _text(dataset, keyword)]:
        yield f"lacks {', '.join(lacking)}; the file is damaged"
    syntax = _transfer_syntax(dataset)
    if syntax and not syntax.is_transfer_syntax:
        yield "is stored in a way (transfer syntax) that is not known"
    if _is_burned_in(dataset):
        yield _BURNED_IN
    if any(_is_overlay_in_pixels(dataset, tag) for tag in sorted(dataset.keys())):
        yield "has graphics hidden in unused bits of its pixels (an old kind of overlay); pixels are not cleaned"
    if not allow_head and looks_like_head(dataset):
        yield "says it shows head, face or neck, where a person can be recognised; --allow-head takes it all the same"


def _reasons_of_pixels(dataset: Dataset) -> Iterator[str]:
    if not any(keyword in dataset for keyword in _PIXELS):
        yield "has no pixels; the file is damaged"
    elif len(dataset.get("PixelData") or b"") < (pixel_bytes(dataset) or 0):
        yield "has fewer pixels than its header says; the file is cut off"
    elif _tells_who_in_pixels(dataset):
        yield "has a name or number of the patient as text among its pixels; pixels are not cleaned"


def _tells_who_in_pixels(dataset: Dataset) -> bool:
    """Tell whether pixels hold a word of the header, as comments in compressed ones and damage bring it there."""
    pixels = bytes(dataset.get("PixelData") or b"")[: pixel_bytes(dataset)]
    words = {word for keyword in _WHO for word in _LONG_WORD.findall(str(dataset.get(keyword) or ""))}
    return any(word.encode("utf-8", "replace") in pixels for word in words)


def _reasons_of_contours(dataset: Dataset) -> Iterator[str]:
    if "ROIContourSequence" not in dataset:
        yield "has no contours; the file is damaged"


def _transfer_syntax(dataset: Dataset) -> UID | None:
    syntax: UID | None = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    return syntax


def _is_burned_in(dataset: Dataset) -> bool:
    return _text(dataset, "BurnedInAnnotation").upper() == "YES"


def _is_overlay_in_pixels(dataset: Dataset, tag: BaseTag) -> bool:
    is_bit_position = tag.group & 0xFF01 == 0x6000 and tag.element == 0x0102
    return is_bit_position and str(dataset[tag].value) not in ("0", "", "None")


def _name_of_class(sop_class: str) -> str:
    """Return what the standard calls a class of objects; empty for one that it does not have."""
    from pydicom.uid import UID

    name = UID(sop_class).name
    return name if name != sop_class else ""


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    if value is None:
        return ""
    values = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    return "\\".join(str(one).strip("\0 ") for one in values)
