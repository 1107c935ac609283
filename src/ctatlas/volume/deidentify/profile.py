"""What DICOM objects consist of, and what the confidentiality profile demands of each attribute.

Tables in `data/`: `objects.csv` (kinds of objects that are de-identified), `attributes.csv` (their attributes and
types), `profile.csv` (actions of PS3.15 E.1). `scripts/transcribe_dicom_tables.py` makes the last two.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data"
_CODE = "CodeValue"
_GROUPS = "FunctionalGroupsSequence"  # in the table: for all frames and for each


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute at one place of an object.

    Attributes
    ----------
    tag : int
    keyword : str
    vrs : frozenset of str
        Value representations that the dictionary allows.
    n_values : int or None
        How many values it has, None when that is open.
    kind : str
        "1" must have a value, "2" must be there, "3" may be absent; "1C" and "2C" under conditions.
    action : str
        Of the profile, such as "X/Z"; empty when the profile does not name it.
    is_coded : bool
        Whether it is a sequence of codes, which have a rule of their own.
    inside : mapping
        Attributes of the items, by tag, when it is a sequence; beside their codes, when they have.
    """

    tag: int
    keyword: str
    vrs: frozenset[str]
    n_values: int | None
    kind: str
    action: str
    is_coded: bool
    inside: Mapping[int, Attribute]

    @property
    def is_sequence(self) -> bool:
        """Whether it holds items."""
        return "SQ" in self.vrs


def rows(name: str) -> list[dict[str, str]]:
    """Read one table, a dict of text a row."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


@cache
def objects() -> Mapping[str, tuple[str, str]]:
    """Map SOP class to the name of the object ("ct") and its kind ("image", "masks", "contours")."""
    return {row["sop_class"]: (row["object"], row["kind"]) for row in rows("objects.csv")}


@cache
def definition(name: str) -> Mapping[int, Attribute]:
    """Return the attributes of an object's data set by tag."""
    kinds = {
        (row["path"], row["keyword"]): row["type"]
        for row in rows("attributes.csv")
        if name in row["objects"].split(";")
    }
    return _level("", kinds)


@cache
def _actions() -> dict[int, str]:
    return {int(row["tag"], 16): row["action"] for row in rows("profile.csv")}


def _level(path: str, kinds: Mapping[tuple[str, str], str]) -> dict[int, Attribute]:
    from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword

    found = {}
    for (where, keyword), kind in kinds.items():
        if where != path or (path and keyword == _CODE):
            continue
        inside = _level(f"{path}.{keyword}".lstrip("."), kinds)
        names = [f"Shared{keyword}", f"PerFrame{keyword}"] if keyword == _GROUPS else [keyword]
        for name in names:
            tag = tag_for_keyword(name)
            if tag is None:
                continue
            multiplicity = dictionary_VM(tag)
            found[int(tag)] = Attribute(
                tag=int(tag),
                keyword=name,
                vrs=frozenset(dictionary_VR(tag).split(" or ")),
                n_values=int(multiplicity) if multiplicity.isdigit() else None,
                kind=kind,
                is_coded=(f"{path}.{keyword}".lstrip("."), _CODE) in kinds,
                action=_actions().get(int(tag), ""),
                inside=inside,
            )
    return found
