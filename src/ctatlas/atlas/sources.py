"""Whose mask each structure of a case gets: decided from the records alone, before any voxel is read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from ctatlas.anatomy import label_set, made_of
from ctatlas.atlas.config import Assembly, AtlasConfig, LabelKind
from ctatlas.atlas.consensus import AT_MOST_ANNOTATORS
from ctatlas.atlas.layout import CasePlace, member_of
from ctatlas.atlas.members import names_called
from ctatlas.atlas.records import CaseRecord, OriginalRecord, RevisionRecord, read_record
from ctatlas.atlas.resolve import Claim, chosen
from ctatlas.atlas.revise.store import RULES, revision_records
from ctatlas.errors import AtlasError, ScanError
from ctatlas.execution import whole_record
from ctatlas.volume import Grid


@dataclass(frozen=True, slots=True)
class Revised:
    """Which revisions a structure's mask comes from.

    Attributes
    ----------
    used : tuple of int
        One, or those that are made into one.
    people : tuple of int
        The last revision of everybody who revised it, for the figures of agreement.
    """

    used: tuple[int, ...]
    people: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """What a model left: its name, its folder, and the structures it knows by their ids in its label map."""

    name: str
    folder: Path
    known: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Sources:
    """Whose mask each structure of one case gets.

    Attributes
    ----------
    ids : mapping of str to int
        Of the atlas's label set.
    claims : mapping of str to Claim
        Of the structures that somebody annotated, revised or predicted.
    parts : mapping of str to tuple of str
        Of structures with original masks: the files that make them up; mostly itself alone.
    absent : frozenset of str
        Structures that the source annotated and did not find.
    revised : mapping of str to Revised
    members : tuple of Member
    upstream : mapping
        The hashes of everything that decides the result, in words of JSON.
    remedy : str
        Where there is no mask: what to do.
    """

    place: CasePlace
    grid: Grid
    label_set: str
    annotators: str
    ids: Mapping[str, int]
    claims: Mapping[str, Claim]
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    revised: Mapping[str, Revised] = field(default_factory=dict)
    members: tuple[Member, ...] = ()
    origin: str = ""
    upstream: Mapping[str, object] = field(default_factory=dict)
    remedy: str = ""

    def refuse_nothing(self) -> None:
        """Raise `AtlasError` when there is no mask at all."""
        if not self.claims:
            why = f"has no masks of {self.label_set}"
            raise AtlasError(f"{self.place.case}: {why}; {self.remedy}")

    def of_kind(self, kind: LabelKind) -> list[str]:
        """Return the structures whose masks are of a kind."""
        return [name for name, claim in self.claims.items() if claim.kind == kind]


def sources_of(place: CasePlace, config: AtlasConfig) -> Sources:
    """Decide whose mask each structure of a case gets.

    A structure that the source dataset annotated has an original mask, also when that is empty: annotated and absent
    stays absent. What is a union there or here (a lung of lobes) is put together where all parts are annotated.

    Raises
    ------
    AtlasError
        When a record is missing or is not what it should be.
    """
    case = read_record(CaseRecord, place.record)
    ids = {name: number for number, name in sorted(label_set(config.label_set).labels.items())}
    there = _There.of(place, config, tuple(ids))
    claims = {name: claim for name in ids if (claim := _claim(name, there, config.assembly))}
    original = [name for name, claim in claims.items() if claim.kind == "original"]
    return Sources(
        place=place,
        grid=case.grid.grid(),
        label_set=config.label_set,
        annotators=config.assembly.annotators,
        ids=ids,
        claims=claims,
        parts={name: there.parts[name] for name in original},
        absent=frozenset(name for name in original if there.says_absent(name)),
        revised={name: there.revised[name] for name, claim in claims.items() if claim.kind == "revised"},
        members=there.members,
        origin=(there.original.label_set or case.dataset) if there.original else "",
        upstream={"ct": case.ct_sha256, **there.hashes(claims)},
        remedy="" if claims else unheard(place, config),
    )


@dataclass(frozen=True, slots=True)
class _There:
    """What the records of a case say that there is."""

    original: OriginalRecord | None
    parts: Mapping[str, tuple[str, ...]]
    revisions: Mapping[int, RevisionRecord]
    revised: Mapping[str, Revised]
    members: tuple[Member, ...]

    @classmethod
    def of(cls, place: CasePlace, config: AtlasConfig, names: Sequence[str]) -> _There:
        original, revisions = _original(place), revision_records(place)
        return cls(
            original=original,
            parts={name: parts for name in names if (parts := made_of(name, original.annotated if original else ()))},
            revisions=revisions,
            revised={name: _revised(name, revisions, config.assembly.annotators) for name in names},
            members=_members(place, config),
        )

    def kinds(self, name: str) -> Iterator[LabelKind]:
        """Yield the kinds of masks that there are of a structure."""
        if name in self.parts:
            yield "original"
        if self.revised[name].used:
            yield "revised"
        if any(name in member.known.values() for member in self.members):
            yield "pseudo"

    def says_absent(self, name: str) -> bool:
        """Tell whether the source annotated a structure and did not find it."""
        return self.original is not None and not any(self.original.masks[part].n_voxels for part in self.parts[name])

    def hashes(self, claims: Mapping[str, Claim]) -> dict[str, object]:
        """Return the hashes of the masks that are used: what else is there does not matter."""
        of_kind = {kind: [n for n, claim in claims.items() if claim.kind == kind] for kind in get_args(LabelKind)}
        masks = self.original.masks if self.original else {}
        used = {name: sorted({*self.revised[name].used, *self.revised[name].people}) for name in of_kind["revised"]}
        keys = {member.name: (whole_record(member.folder) or {}).get("key") for member in self.members}
        return {
            "original": {name: [masks[part].sha256 for part in self.parts[name]] for name in of_kind["original"]},
            "revised": {
                name: {str(number): self.revisions[number].masks[name].sha256 for number in numbers}
                for name, numbers in used.items()
            },
            "members": keys if of_kind["pseudo"] else {},
        }


def unheard(place: CasePlace, config: AtlasConfig) -> str:
    """Say whose predictions a case has that `atlas.toml` does not ask for, and what to do; else to predict."""
    names = sorted(member_of(folder) for folder in place.predictions())
    if strangers := [name for name in names if name not in names_called(config.members)]:
        return f"add {', '.join(strangers)}, whose predictions it has, to the members in atlas.toml"
    return "'ctatlas predict' makes some"


def _claim(name: str, there: _There, assembly: Assembly) -> Claim | None:
    kind = chosen(assembly.kinds_for(name), there.kinds(name))
    if kind is None:
        return None
    rank = assembly.priorities.index(kind) if kind in assembly.priorities else len(assembly.priorities)
    return Claim(kind, rank, max(there.revised[name].used) if kind == "revised" else 0)


def _original(place: CasePlace) -> OriginalRecord | None:
    path = place.original / "labels.json"
    return read_record(OriginalRecord, path) if path.is_file() else None


def _revised(name: str, records: Mapping[int, RevisionRecord], policy: str) -> Revised:
    """Return whose revisions count: everybody's last, but a rule that came after all people corrects what they did."""
    of_it = {number: record.author for number, record in records.items() if name in record.masks}
    people = sorted({author: number for number, author in of_it.items() if author != RULES}.values())
    last = max(of_it, default=0)
    voters = tuple(people[-AT_MOST_ANNOTATORS:]) if len(people) > 1 else ()
    if policy == "latest" or not voters or of_it[last] == RULES:
        return Revised((last,) if last else (), voters)
    return Revised(voters, voters)


def _members(place: CasePlace, config: AtlasConfig) -> tuple[Member, ...]:
    there = [(name, place.prediction(name)) for name in names_called(config.members)]
    return tuple(Member(name, folder, _known(folder)) for name, folder in there if whole_record(folder) is not None)


def _known(folder: Path) -> dict[int, str]:
    path = folder / "labels.json"
    try:
        table = {int(number): str(name) for number, name in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        raise ScanError(f"{path}: is no table of ids and names; predict the case again") from None
    if not all(0 < number < 2**8 for number in table):
        raise ScanError(f"{path}: has an id outside of 1..255; predict the case again")
    return table
