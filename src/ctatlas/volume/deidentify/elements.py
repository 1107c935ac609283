"""The walk over a data set: each element is kept, changed or left out, and nothing is copied that was not looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ctatlas.errors import ScanError
from ctatlas.volume.deidentify.codes import fallback_codes, known_code
from ctatlas.volume.deidentify.dates import is_time, shifted_date, shifted_datetime
from ctatlas.volume.deidentify.key import Key
from ctatlas.volume.deidentify.labels import rename
from ctatlas.volume.deidentify.markers import identity_of, mark
from ctatlas.volume.deidentify.profile import Attribute, definition, objects
from ctatlas.volume.deidentify.record import Deeds
from ctatlas.volume.deidentify.refusals import looks_like_head, pixel_bytes, refuse, refuse_content
from ctatlas.volume.deidentify.vocabulary import is_known, is_numbers
from ctatlas.volume.formats.dicom.files import parser_errors, quietly

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset
    from pydicom.dataelem import RawDataElement

_BYTES = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "UV": 8, "SV": 8, "AT": 4}
_NUMBERS = frozenset({"DS", "IS"})
_MOMENTS = frozenset({"DA", "DT", "TM"})
# They say who somebody is, not when something was done.
_NOT_MOVED = frozenset({"PatientBirthDate", "PatientBirthTime"})
_PIXELS = frozenset({"PixelData", "FloatPixelData", "DoubleFloatPixelData"})
_KEPT_BYTES = _PIXELS | {
    "BluePaletteColorLookupTableData",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "GreenPaletteColorLookupTableData",
    "LUTData",
    "RedPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
}
_CLASS_OF_OBJECTS = re.compile(r"1\.2\.840\.10008\.5\.1\.4(\.\d{1,3}){1,6}")
_WITH_OTHER = frozenset({"FrameType", "ImageType"})  # their values have places, so an unknown one is replaced
# What stands where a value must be and the old one may not. Source: PS3.15 E.1.1, "D".
_DUMMIES = {"AS": "000Y", "CS": "UNKNOWN", "DA": "19000101", "DT": "19000101000000", "TM": "000000"}
_DUMMIES |= dict.fromkeys(("AE", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), "REMOVED")
_DUMMY_OF = {"ContentLabel": "SEGMENTATION", "Modality": "OT", "StructureSetLabel": "STRUCTURES"}


@dataclass(frozen=True, slots=True)
class _Walk:
    """What the walk needs at every element."""

    key: Key
    days: int
    deeds: Deeds
    path: tuple[int, ...] = ()

    def note(self, deed: str, tag: int) -> None:
        self.deeds.note(deed, (*self.path, tag))


def deidentify_dataset(dataset: Dataset, key: Key, *, allow_head: bool = False) -> Dataset:
    """Make a new DICOM data set out of one that says who it is of.

    Parameters
    ----------
    dataset : pydicom.Dataset
        A CT, MR or PET image, a segmentation or a structure set, as read with its pixels; it stays as it is.
    key : Key
    allow_head : bool
        Also do a head, whose face can be recognised.

    Returns
    -------
    pydicom.Dataset
        With its file meta information; pixels byte by byte as they were.

    Raises
    ------
    ScanError
        When the object is of a kind, or looks in a way, that can't be made safe; the message has no values.

    Notes
    -----
    Source: DICOM PS3.15 annex E, Basic Application Level Confidentiality Profile with the options Clean Descriptors,
    Retain Longitudinal Temporal Information with Modified Dates and, for masks and contours, Clean Structured Content.
    """
    return deidentified(dataset, key, allow_head=allow_head)[0]


def deidentified(dataset: Dataset, key: Key, *, allow_head: bool = False) -> tuple[Dataset, Deeds]:
    """Do what `deidentify_dataset` does, and tell what was done."""
    deeds = Deeds()
    with quietly():
        try:
            refuse(dataset, allow_head=allow_head)
            refuse_content(dataset)
            name, _ = objects()[_word(dataset, "SOPClassUID")]
            identity = identity_of(dataset)
            walk = _Walk(key, key.days(identity), deeds)
            new = _cleaned(dataset, definition(name), walk)
            _cut_to_size(new, pixel_bytes(dataset), walk)
            mark(new, dataset, key.patient(identity), is_head=looks_like_head(dataset))
        except ScanError:
            raise
        except parser_errors() as error:
            raise ScanError(f"is damaged or no valid DICOM ({type(error).__name__})") from None
    for keyword in ("PatientName", "PatientID"):
        deeds.note("replaced", (int(new[keyword].tag),))
    return new, deeds


def _cleaned(source: Dataset, attributes: Mapping[int, Attribute], walk: _Walk) -> Dataset:
    from pydicom import Dataset
    from pydicom.charset import default_encoding

    new = Dataset()
    is_implicit, is_little_endian = source.original_encoding
    new.set_original_encoding(is_implicit, is_little_endian, default_encoding)  # elements that stay are not taken apart
    for tag in sorted(source.keys()):
        attribute = attributes.get(int(tag))
        if attribute is None:
            walk.note("private" if tag.is_private else "removed", int(tag))
            continue
        try:
            element = _cleaned_element(source, attribute, walk)
        except ScanError:
            raise
        except parser_errors():
            element = _unsaid(attribute, walk)
        if element is not None:
            new[tag] = element
    return new


def _cleaned_element(source: Dataset, attribute: Attribute, walk: _Walk) -> DataElement | RawDataElement | None:
    """Choose the rule by what the dictionary says of the attribute, never by what the file says."""
    raw = source.get_item(attribute.tag)
    vr = getattr(raw, "VR", None) or next(iter(attribute.vrs))
    if vr == "UN":  # pydicom has tried the dictionary's
        raw = source[attribute.tag]
        vr = raw.VR
    for kinds, rule in _RULES:
        if attribute.vrs & kinds and not (attribute.keyword in _NOT_MOVED and kinds is _MOMENTS):
            element: DataElement | RawDataElement | None = rule(source, raw, vr, attribute, walk)
            return element
    if attribute.action:
        return _unsaid(attribute, walk)
    if attribute.vrs & {"CS"}:
        return _code_string(source, attribute, walk)
    if attribute.keyword in _KEPT_BYTES:
        return raw if vr in {"OB", "OW", "OF", "OD", "OV", "US", "UN"} | attribute.vrs else _unsaid(attribute, walk)
    return _text(source, attribute, walk)


def _sequence(source: Dataset, _raw: object, _vr: str, attribute: Attribute, walk: _Walk) -> DataElement | None:
    if attribute.action and "U" not in attribute.action:
        return _unsaid(attribute, walk)
    items = list(source[attribute.tag].value or [])
    below = _Walk(walk.key, walk.days, walk.deeds, (*walk.path, attribute.tag))
    if attribute.is_coded:
        return _codes(items, attribute, walk, below)
    if not attribute.inside and attribute.kind != "1":
        return _unsaid(attribute, walk)
    cleaned = [_cleaned(item, attribute.inside, below) for item in items]
    if rename(attribute.keyword, items, cleaned):
        walk.note("cleaned", attribute.tag)
    return _new(attribute, cleaned)


def _codes(items: list[Dataset], attribute: Attribute, walk: _Walk, below: _Walk) -> DataElement | None:
    """Keep known codes, and what else the definition puts beside them."""
    codes = [known_code(item) for item in items]
    for item, code in zip(items, codes, strict=True):
        if code is not None and attribute.inside:
            beside = _cleaned(item, attribute.inside, below)
            code.update({element.tag: element for element in beside.elements()})
    walk.note("cleaned", attribute.tag)
    known = [code for code in codes if code is not None] or fallback_codes(attribute.keyword, attribute.kind)
    return _new(attribute, known) if known else _unsaid(attribute, walk)


def _uid(source: Dataset, _raw: object, _vr: str, attribute: Attribute, walk: _Walk) -> DataElement | None:
    old = [text.strip("\0 ") for text in _texts(source, attribute)]
    new = [text if not text or _is_public(text, attribute.keyword) else walk.key.uid(text) for text in old]
    if new != old:
        walk.note("uid", attribute.tag)
    return _new(attribute, new)


def _moment(source: Dataset, _raw: object, _vr: str, attribute: Attribute, walk: _Walk) -> DataElement | None:
    (vr,) = attribute.vrs
    old = [text for text in _texts(source, attribute) if text.strip("\0 ")]
    if vr == "TM":
        new: list[str | None] = [text.strip("\0 ") if is_time(text) else None for text in old]
    else:
        shift = shifted_date if vr == "DA" else shifted_datetime
        new = [shift(text, walk.days) for text in old]
    if None in new:
        return _unsaid(attribute, walk)
    if vr != "TM" and new:
        walk.note("date", attribute.tag)
    return _new(attribute, new)


def _number(source: Dataset, raw: Any, vr: str, attribute: Attribute, walk: _Walk) -> Any:
    if attribute.action:
        return _unsaid(attribute, walk)
    value = getattr(raw, "value", None)
    text = value if isinstance(value, bytes) else "\\".join(_texts(source, attribute)).encode("ascii", "replace")
    if not is_numbers(text):
        return _unsaid(attribute, walk)
    if vr in attribute.vrs:
        return raw  # to the digit as it was
    return _new(attribute, [part.strip("\0 ") for part in text.decode().split("\\")])


def _binary(source: Dataset, raw: Any, vr: str, attribute: Attribute, walk: _Walk) -> Any:
    if attribute.action or vr not in _BYTES:
        return _unsaid(attribute, walk)
    value = raw.value if isinstance(raw.value, bytes) else None
    if value is not None:
        n_values = len(value) / _BYTES[vr]
    else:
        held = source[attribute.tag].value
        n_values = len(held) if hasattr(held, "__len__") else int(held is not None)
    if n_values and attribute.n_values not in (None, n_values):
        return _unsaid(attribute, walk)
    return raw


def _code_string(source: Dataset, attribute: Attribute, walk: _Walk) -> DataElement | None:
    values = _texts(source, attribute)
    new = [value if not value or is_known("CS", value) else None for value in values]
    if attribute.keyword in _WITH_OTHER and None not in new[:2]:
        if None in new:
            walk.note("cleaned", attribute.tag)
        return _new(attribute, [value if value is not None else "OTHER" for value in new])
    return _unsaid(attribute, walk) if None in new else _new(attribute, new)


def _text(source: Dataset, attribute: Attribute, walk: _Walk) -> DataElement | None:
    values = _texts(source, attribute)
    is_kept = _names_an_attribute if attribute.keyword == "DimensionDescriptionLabel" else is_known
    if all(not value or is_kept(attribute.keyword, value) for value in values):
        return _new(attribute, values)
    return _unsaid(attribute, walk)


def _names_an_attribute(_: str, text: str) -> bool:
    from pydicom.datadict import tag_for_keyword

    return tag_for_keyword(text.replace(" ", "").replace("-", "")) is not None


def _cut_to_size(new: Dataset, n_bytes: int | None, walk: _Walk) -> None:
    """Leave out what follows the last pixel, but for the byte that makes their number even."""
    if n_bytes is not None and "PixelData" in new and len(new.PixelData) > n_bytes + n_bytes % 2:
        new["PixelData"].value = new.PixelData[:n_bytes] + bytes(n_bytes % 2)
        walk.note("cleaned", int(new["PixelData"].tag))


def _unsaid(attribute: Attribute, walk: _Walk) -> DataElement | None:
    """Leave out, empty or replace, whichever is the most that the object's definition allows."""
    if attribute.kind == "3" or (attribute.is_sequence and attribute.kind == "1C"):
        walk.note("removed", attribute.tag)
        return None
    if attribute.kind.startswith("2") or attribute.is_sequence:
        walk.note("emptied", attribute.tag)
        return _new(attribute, [])
    (vr, *_) = sorted(attribute.vrs)
    dummy = _DUMMY_OF.get(attribute.keyword, _DUMMIES.get(vr))
    if dummy is None:
        raise ScanError(f"{attribute.keyword} can't be understood, and the object is nothing without it")
    walk.note("replaced", attribute.tag)
    return _new(attribute, [dummy])


def _new(attribute: Attribute, values: list[Any]) -> DataElement:
    from pydicom import DataElement, Sequence

    (vr, *_) = sorted(attribute.vrs)
    if attribute.is_sequence:
        return DataElement(attribute.tag, "SQ", Sequence(values))
    return DataElement(attribute.tag, vr, values[0] if len(values) == 1 else values or None)


def _texts(source: Dataset, attribute: Attribute) -> list[str]:
    value = source[attribute.tag].value
    values = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    return [_plain(one) for one in values if one is not None]


def _plain(value: object) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return text.strip("\0 ")


def _word(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword, "") or "").strip("\0 ")


def _is_public(uid: str, keyword: str) -> bool:
    """Tell whether a UID is one of the standard's: listed, or a class of objects that is too new to be listed."""
    from pydicom.uid import UID

    return UID(uid).name != uid or (keyword.endswith("ClassUID") and _CLASS_OF_OBJECTS.fullmatch(uid) is not None)


_RULES: tuple[tuple[frozenset[str], Callable[..., Any]], ...] = (
    (frozenset({"SQ"}), _sequence),
    (frozenset({"UI"}), _uid),
    (_MOMENTS, _moment),
    (_NUMBERS, _number),
    (frozenset(_BYTES), _binary),
)
