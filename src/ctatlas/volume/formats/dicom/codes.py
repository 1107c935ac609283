"""Structures as DICOM codes, and codes and labels of strangers as structures.

A side is a modifier of the code; a lesion is a kind of change in the region of its parent. What has no published code
gets one of a private scheme, never a wrong SNOMED code.
Source: reference/volumes.md §6; DICOM PS3.16 CID 7150 for the categories.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ctatlas.anatomy import canonical_name, structures
from ctatlas.errors import ModelError

if TYPE_CHECKING:
    from pydicom import Dataset

PRIVATE_SCHEME = "99CTATLAS"
_CODE_VALUE_HOLDS = 16  # characters of VR SH
_CODE_MEANING_HOLDS = 64


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: scheme, value, and what it means to people (which does not count when codes are compared)."""

    scheme: str
    value: str
    meaning: str

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same code."""
        return self.scheme, self.value

    def item(self) -> Dataset:
        """Return it as an item of a code sequence."""
        from pydicom import Dataset

        item = Dataset()
        item.CodeValue = self.value[:_CODE_VALUE_HOLDS]
        item.CodingSchemeDesignator = self.scheme
        item.CodeMeaning = self.meaning[:_CODE_MEANING_HOLDS]
        return item


@dataclass(frozen=True, slots=True)
class StructureCode:
    """What a segment is of: category, type and side; for a lesion also where it is."""

    category: Code
    type: Code
    modifier: Code | None = None
    region: Code | None = None
    region_modifier: Code | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two segments the same structure; the category is left to taste by many writers."""
        parts = (self.type, self.modifier, self.region, self.region_modifier)
        return tuple(part.key if part else None for part in parts)


ANATOMICAL_STRUCTURE = Code("SCT", "123037004", "Anatomical Structure")
ALTERED_STRUCTURE = Code("SCT", "49755003", "Morphologically Altered Structure")


def code_of(name: str) -> StructureCode:
    """Return the code of a structure by any of its names; a private one where it is not known or has none."""
    try:
        structure = structures()[canonical_name(name)]
    except ModelError:
        return StructureCode(ANATOMICAL_STRUCTURE, _private(name, name))
    category = ALTERED_STRUCTURE if structure.group == "lesion" else ANATOMICAL_STRUCTURE
    if not structure.code_value:
        return StructureCode(category, _private(structure.name, structure.display_name))
    kind = Code(structure.code_scheme, structure.code_value, structure.code_meaning)
    if structure.group == "lesion" and structure.parent:
        region = code_of(structure.parent)
        return StructureCode(category, kind, region=region.type, region_modifier=region.modifier)
    side = structure.modifier_value
    return StructureCode(
        category, kind, Code(structure.code_scheme, side, structure.modifier_meaning) if side else None
    )


def color_of(name: str) -> tuple[int, int, int]:
    """Return a structure's colour, red, green, blue; one that follows from the name where it is not known."""
    try:
        return structures()[canonical_name(name)].color
    except ModelError:
        red, green, blue = (64 + byte // 2 for byte in hashlib.sha256(name.encode()).digest()[:3])
        return red, green, blue


def structure_of(code: StructureCode | None, label: str) -> str | None:
    """Return the structure that a code means, or else its label; None when neither is known.

    Where several structures share a code (lesions of one region) the label decides among them.
    """
    try:
        by_label = canonical_name(label)
    except ModelError:
        by_label = None
    names = _names_of().get(code.key, ()) if code else ()
    if by_label in names or len(names) != 1:
        return by_label
    return names[0]


def code_from(item: Dataset) -> Code | None:
    """Return the code of a sequence's item, in SNOMED CT's numbers where it is an older SNOMED RT code."""
    from pydicom.sr.coding import Code as AnyScheme

    value = str(item.get("CodeValue") or item.get("LongCodeValue") or "").strip()
    scheme = str(item.get("CodingSchemeDesignator") or "").strip()
    if not value or not scheme:
        return None
    if scheme in ("SRT", "SNM3", "99SDM"):
        told = AnyScheme(value, scheme, "")
        same = next((code for code in _snomed() if told == AnyScheme(code.value, code.scheme, "")), None)
        if same is not None:
            return same
    return Code(scheme, value, str(item.get("CodeMeaning") or ""))


def first_code(dataset: Dataset, sequence: str) -> tuple[Code | None, Dataset | None]:
    """Return the code in the first item of a sequence, and the item."""
    items: Any = dataset.get(sequence)
    return (code_from(items[0]), items[0]) if items else (None, None)


def _private(name: str, meaning: str) -> Code:
    return Code(PRIVATE_SCHEME, hashlib.sha256(name.encode()).hexdigest()[:12], meaning)


@cache
def _names_of() -> Mapping[tuple[object, ...], tuple[str, ...]]:
    names: dict[tuple[object, ...], tuple[str, ...]] = {}
    for name in structures():
        key = code_of(name).key
        names[key] = (*names.get(key, ()), name)
    return names


@cache
def _snomed() -> tuple[Code, ...]:
    """Return every SNOMED CT code that our structures use."""
    found = [code_of(name) for name in structures()]
    return tuple(
        {
            part.key: part for code in found for part in (code.type, code.modifier, code.region) if part is not None
        }.values()
    )
