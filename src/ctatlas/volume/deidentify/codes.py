"""Coded concepts: a code stays when a public dictionary has it, and its words are then the dictionary's."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from ctatlas.anatomy import structures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydicom import Dataset

_PRIVATE_SCHEME = "99CTATLAS"
_OLD_SNOMED = ("SRT", "SNM3", "99SDM")
_DEPTH = 3  # of modifiers of codes
# What a code sequence that must not be empty says when its code is not known.
_FALLBACKS = {
    "SegmentedPropertyCategoryCodeSequence": ("91723000", "SCT"),  # anatomical structure
    "SegmentedPropertyTypeCodeSequence": ("85756007", "SCT"),  # tissue
}


def known_code(item: Dataset) -> Dataset | None:
    """Return an item with its code and the codes that modify it, None when no dictionary has the code."""
    return _known(item, _DEPTH)


def fallback_codes(keyword: str, kind: str) -> list[Dataset]:
    """Return what a sequence says whose codes are not known: little where it must have one, else nothing."""
    if not kind.startswith("1") or keyword not in _FALLBACKS:
        return []
    value, scheme = _FALLBACKS[keyword]
    return [_item(value, scheme, meanings(scheme)[value])]


def structure_of(item: Dataset) -> str | None:
    """Return the structure that a segment's property type code and its modifier stand for."""
    types = item.get("SegmentedPropertyTypeCodeSequence") or []
    if len(types) != 1:
        return None
    modifiers = types[0].get("SegmentedPropertyTypeModifierCodeSequence") or []
    value, modifier = (_as_snomed(*_value_of(one)) for one in (types[0], modifiers[0] if len(modifiers) == 1 else None))
    return _structures_by_code().get((value, modifier))


@cache
def meanings(scheme: str) -> Mapping[str, str]:
    """Map code to meaning for one coding scheme; empty for a scheme that is not known."""
    from pydicom.sr.codedict import codes

    if scheme == _PRIVATE_SCHEME:
        return {name: row.display_name for name, row in structures().items()}
    if scheme in _OLD_SNOMED:
        new = meanings("SCT")
        return {old: new[value] for old, value in _snomed_from_old().items() if value in new}
    if scheme not in codes.schemes():
        return {}
    ours = {row.code_value: row.code_meaning for row in structures().values() if row.code_scheme == scheme}
    return {code.value: code.meaning for code in getattr(codes, scheme).concepts.values()} | ours


def _known(item: Dataset, depth: int) -> Dataset | None:
    value, scheme = _value_of(item)
    meaning = meanings(scheme).get(value)
    if meaning is None:
        return None
    code = _item(value, scheme, meaning)
    for element in item if depth else ():
        if element.VR == "SQ" and element.keyword.endswith(("CodeSequence", "ModifierSequence")):
            modifiers = [one for one in (_known(each, depth - 1) for each in element.value) if one is not None]
            if modifiers:
                setattr(code, element.keyword, modifiers)
    return code


def _item(value: str, scheme: str, meaning: str) -> Dataset:
    from pydicom import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = value, scheme
    code.CodeMeaning = meaning.encode("ascii", "ignore").decode()[:64]
    return code


def _value_of(item: Dataset | None) -> tuple[str, str]:
    if item is None:
        return "", ""
    return str(item.get("CodeValue", "") or "").strip(), str(item.get("CodingSchemeDesignator", "") or "").strip()


def _as_snomed(value: str, scheme: str) -> str:
    if scheme in _OLD_SNOMED:
        return _snomed_from_old().get(value, "?")
    return value if scheme in ("SCT", "") else "?"


@cache
def _snomed_from_old() -> Mapping[str, str]:
    mapping: Mapping[str, Mapping[str, str]] = import_module("pydicom.sr._snomed_dict").mapping
    return mapping["SRT"]


@cache
def _structures_by_code() -> dict[tuple[str, str], str]:
    """Map code and side to structure, where only one structure has them."""
    names: dict[tuple[str, str], list[str]] = {}
    for name, row in structures().items():
        if row.code_scheme == "SCT":
            names.setdefault((row.code_value, row.modifier_value), []).append(name)
    return {code: found[0] for code, found in names.items() if len(found) == 1}
