"""The structures that ctatlas knows, and the one name each goes by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Literal, cast

from ctatlas.anatomy.tables import refuse_faults, rows, words
from ctatlas.errors import ModelError

Side = Literal["left", "right", ""]

_OPPOSITE = {"left": "right", "right": "left"}


@dataclass(frozen=True, slots=True)
class Structure:
    """An anatomical thing with a canonical name; a row of `data/structures.csv`."""

    name: str
    display_name: str
    aliases: tuple[str, ...]  # other spellings, lower case with underscores
    side: Side  # the patient's
    partner: str  # the same structure of the other side
    group: str  # liver → "digestive"
    parent: str  # what it is a part of, or lies in
    parts: tuple[str, ...]  # a union is the voxels of these, which may be unions themselves
    code_scheme: str  # "SCT" (SNOMED CT) or "" where no code was found
    code_value: str
    code_meaning: str
    modifier_value: str  # side, as a code of the same scheme
    modifier_meaning: str
    color: tuple[int, int, int]  # red, green, blue, 0 to 255
    at_least_ml: float | None  # plausible in an adult, for a structure wholly in view
    at_most_ml: float | None
    may_overlap: tuple[str, ...]  # may share voxels with these, besides its parts and parents
    source: str


@cache
def structures() -> Mapping[str, Structure]:
    """Map canonical name to structure, in the order of the table.

    Raises
    ------
    ModelError
        When the table contradicts itself; the message names every fault.
    """
    table = [_structure(row) for row in rows("structures.csv")]
    known = {structure.name: structure for structure in table}
    refuse_faults("structures.csv", _faults(table, known))
    return MappingProxyType(known)


def canonical_name(name: str) -> str:
    """Return the name that ctatlas uses for a structure, whatever the spelling asked for.

    Case, spaces and hyphens don't matter.

    Raises
    ------
    ModelError
        When no structure goes by that name; the message lists names that look like it.

    Examples
    --------
    >>> canonical_name("Gall Bladder"), canonical_name("postcava")
    ('gallbladder', 'inferior_vena_cava')
    """
    names = _name_by_spelling()
    spelling = _spelling(name)
    if spelling not in names:
        near = sorted({names[match] for match in get_close_matches(spelling, names, n=4, cutoff=0.6)})
        hint = f"near: {', '.join(near)}" if near else "'ctatlas models info MODEL' lists what a model finds"
        raise ModelError(f"no structure is called {name!r}; {hint}")
    return names[spelling]


def structure_called(name: str) -> str | None:
    """Return the name that ctatlas uses for a structure, None when no structure goes by that name.

    Examples
    --------
    >>> structure_called("LIVER"), structure_called("Tumor Bed")
    ('liver', None)
    """
    return _name_by_spelling().get(_spelling(name))


@cache
def smallest_parts(name: str) -> frozenset[str]:
    """Return the structures without parts that a structure consists of; itself where it has no parts.

    Examples
    --------
    >>> sorted(smallest_parts("pelvis"))
    ['hip_left', 'hip_right', 'sacrum']
    """
    parts = structures()[name].parts
    return frozenset().union(*map(smallest_parts, parts)) if parts else frozenset({name})


def made_of(name: str, available: Iterable[str]) -> tuple[str, ...]:
    """Return which of the available structures make one up: itself, or all of its parts; none where some are missing.

    Examples
    --------
    >>> made_of("kidneys", ["kidney_left", "liver", "kidney_right"])
    ('kidney_left', 'kidney_right')
    >>> made_of("kidneys", ["kidney_left", "liver"])
    ()
    """
    there = tuple(available)
    if name in there or not structures()[name].parts:
        return (name,) if name in there else ()
    union = smallest_parts(name)
    parts = tuple(part for part in there if smallest_parts(part) <= union)
    return parts if frozenset[str]().union(*map(smallest_parts, parts)) == union else ()


def _structure(row: dict[str, str]) -> Structure:
    red, green, blue = bytes.fromhex(row["color"].removeprefix("#"))
    return Structure(
        name=row["name"],
        display_name=row["display_name"],
        aliases=words(row["aliases"]),
        side=cast("Side", row["side"]),
        partner=row["partner"],
        group=row["group"],
        parent=row["parent"],
        parts=words(row["parts"]),
        code_scheme=row["code_scheme"],
        code_value=row["code_value"],
        code_meaning=row["code_meaning"],
        modifier_value=row["modifier_value"],
        modifier_meaning=row["modifier_meaning"],
        color=(red, green, blue),
        at_least_ml=float(row["at_least_ml"]) if row["at_least_ml"] else None,
        at_most_ml=float(row["at_most_ml"]) if row["at_most_ml"] else None,
        may_overlap=words(row["may_overlap"]),
        source=row["source"],
    )


def _faults(table: list[Structure], known: Mapping[str, Structure]) -> Iterator[str]:
    spellings = Counter(spelling for row in table for spelling in {_spelling(row.name), *row.aliases})
    yield from (f"{spelling!r} is given twice" for spelling, n in spellings.items() if n > 1)
    for row in table:
        mentioned = {row.partner, row.parent, *row.parts, *row.may_overlap} - {""}
        yield from (f"{row.name} mentions {name!r}, which has no row" for name in sorted(mentioned - known.keys()))
        if row.side not in ("left", "right", "") or not row.source or not row.group:
            yield f"{row.name} lacks a side of left, right or nothing, a group or a source"
        partner = known.get(row.partner)
        if partner and (partner.partner != row.name or partner.side != _OPPOSITE.get(row.side)):
            yield f"{row.name} and {partner.name} are not each other's partners of opposite sides"
        if row.at_least_ml is not None and row.at_most_ml is not None and row.at_least_ml >= row.at_most_ml:
            yield f"{row.name} is at least {row.at_least_ml} mL but at most {row.at_most_ml} mL"
        yield from (f"{row.name} contains itself through {kind}" for kind in _circles(row.name, known))


def _circles(name: str, known: Mapping[str, Structure]) -> Iterator[str]:
    for kind in ("parent", "parts"):
        seen: set[str] = set()
        ahead = {name}
        while ahead:
            neighbours = {link for one in ahead if one in known for link in _links(known[one], kind)}
            ahead = neighbours - seen
            seen |= neighbours
        if name in seen:
            yield kind


def _links(row: Structure, kind: str) -> tuple[str, ...]:
    return row.parts if kind == "parts" else (row.parent,) if row.parent else ()


@cache
def _name_by_spelling() -> Mapping[str, str]:
    return {spelling: row.name for row in structures().values() for spelling in (_spelling(row.name), *row.aliases)}


def _spelling(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip()).casefold()
