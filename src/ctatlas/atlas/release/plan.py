"""What a release will hold: decided from the records alone, and refused before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from ctatlas.anatomy import LabelSet, label_set, made_of
from ctatlas.atlas.assemble import PROVENANCE, assemble_tasks
from ctatlas.atlas.atlas import Atlas
from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.records import CaseRecord, DatasetRecord, ProvenanceRecord, read_record
from ctatlas.atlas.release.choices import ReleaseChoices, check_version
from ctatlas.atlas.release.ids import numbers, released_id
from ctatlas.atlas.release.layouts import Layout, Place, layout_called
from ctatlas.errors import AtlasError, CtatlasError
from ctatlas.execution import done_before, whole_record
from ctatlas.volume.names import unique_names

Parts = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Planned:
    """One case of a release: no more of it than others must know; the rest is read when its turn comes.

    Attributes
    ----------
    id : str
    where : Place
        What decides where its files lie.
    patient, voxels_sha256 : str
        As in its record.
    parts : mapping of str to tuple of str
        Released structure -> the assembled masks that make it up, mostly itself alone; one object for all cases alike.
    """

    id: str
    where: Place
    place: CasePlace
    patient: str
    voxels_sha256: str
    parts: Parts

    def read_record(self) -> CaseRecord:
        """Read what is known of the scan."""
        return read_record(CaseRecord, self.place.record)

    def read_provenance(self) -> ProvenanceRecord:
        """Read where its masks are from."""
        return read_record(ProvenanceRecord, self.place.assembled / PROVENANCE)


@dataclass(frozen=True, slots=True)
class Plan:
    """A release before it is made.

    Attributes
    ----------
    ids : mapping of str to int
        Released structure -> its number in combined labels.
    names : mapping of str to str
        Released structure -> the label set's spelling.
    datasets : mapping of str to DatasetRecord
    numbers : mapping of str to int
        Case of the atlas -> the number of its id.
    left_out : tuple of str
        What a reader may look for in vain, a line each.
    """

    atlas: Atlas
    version: str
    choices: ReleaseChoices
    layout: Layout
    label_set: LabelSet
    ids: Mapping[str, int]
    names: Mapping[str, str]
    cases: tuple[Planned, ...]
    datasets: Mapping[str, DatasetRecord]
    numbers: Mapping[str, int]
    left_out: tuple[str, ...]

    @property
    def bytes_about(self) -> int:
        """Count what the files of the cases take in the atlas; shards are made of copies, so they take it twice."""
        wanted = [case.place.ct for case in self.cases] if self.choices.with_images else []
        masks = chain.from_iterable(case.place.assembled.rglob("*.nii.gz") for case in self.cases)
        total = sum(path.stat().st_size for path in chain(wanted, masks if self.choices.with_masks else []))
        return total * 2 if self.sharded else total

    @property
    def sharded(self) -> bool:
        """Whether cases are packed."""
        return self.cases_per_shard is not None or self.choices.shard_bytes is not None

    @property
    def cases_per_shard(self) -> int | None:
        """How many cases a shard holds at most."""
        asked = self.choices.cases_per_shard
        return asked if asked or self.choices.shard_bytes else self.layout.cases_per_shard


def plan_release(atlas: Atlas, version: str, choices: ReleaseChoices) -> Plan:
    """Decide what a release will hold.

    Raises
    ------
    AtlasError
        When the version is there already, a choice can't be, a case is not assembled or what it is assembled of has
        changed since, or a record is broken.
    """
    check_version(version)
    if (atlas.place.releases / version).exists():
        raise AtlasError(
            f"{atlas.place.root}: release {version} is there already and never changes; choose a new version"
        )
    layout = layout_called(choices.layout)
    wanted = label_set(choices.label_set or layout.label_set or atlas.config.label_set)
    ready, left_out = _ready(atlas, choices)
    given = numbers(
        atlas.place, atlas.config.release.prefix, {p.case: atlas.record(p.case).dataset_case for p in atlas.cases()}
    )
    cases = _planned(atlas, ready, layout, wanted, given)
    told = _told(cases, wanted, layout)
    if not told:
        raise AtlasError(f"{atlas.place.root}: has no mask of label set {wanted.name} in {_every(layout)} case")
    unsaid = [wanted.name_of(name) for name in wanted.labels.values() if name not in told]
    if unsaid and choices.with_masks:
        left_out.append(f"Structures of {wanted.name} not told about in {_every(layout)} case: {', '.join(unsaid)}.")
    return Plan(
        atlas=atlas,
        version=version,
        choices=choices,
        layout=layout,
        label_set=wanted,
        ids={name: n if layout.common_labels else wanted.id_of(name) for n, name in enumerate(told, start=1)},
        names={name: wanted.name_of(name) for name in told},
        cases=_telling(cases, told),
        datasets=_datasets(atlas),
        numbers=given,
        left_out=tuple(left_out),
    )


def _every(layout: Layout) -> str:
    return "every" if layout.common_labels else "any"


def _ready(atlas: Atlas, choices: ReleaseChoices) -> tuple[list[CasePlace], list[str]]:
    """Return the cases whose masks are assembled from what is there now."""
    cases = atlas.cases(choices.cases)
    if not cases:
        raise AtlasError(f"{atlas.place.root}: has no cases yet; 'ctatlas add {atlas.place.root} SOURCE' adds some")
    late = {place.case for place in cases if done_before(*assemble_tasks(atlas, [place])) is None}
    if late and not choices.only_ready:
        first = next(place for place in cases if place.case in late)
        what = "are older than what they are made of" if whole_record(first.assembled) else "are not assembled"
        more = f" (and {len(late) - 1} more cases)" if len(late) > 1 else ""
        raise AtlasError(
            f"{first.case}: its masks {what}{more}; run 'ctatlas assemble {atlas.place.root}', or leave such cases out "
            "with --only-ready"
        )
    ready = [place for place in cases if place.case not in late]
    if not ready:
        raise AtlasError(f"{atlas.place.root}: no case is assembled; 'ctatlas assemble {atlas.place.root}' does it")
    return ready, [f"Cases of the atlas without assembled masks: {len(late)}."] if late else []


def _planned(
    atlas: Atlas, places: Sequence[CasePlace], layout: Layout, wanted: LabelSet, given: Mapping[str, int]
) -> list[Planned]:
    ids = [released_id(atlas.config.release.prefix, given[place.case]) for place in places]
    named = (layout.name(atlas.record(place.case), identity) for place, identity in zip(places, ids, strict=True))
    names = unique_names(named)
    collection = layout.collection(atlas.config)
    parts_of: dict[tuple[str, ...], Parts] = {}
    planned = []
    for place, identity, name in zip(places, ids, names, strict=True):
        record, assembled = atlas.record(place.case), read_record(ProvenanceRecord, place.assembled / PROVENANCE).masks
        if (there := tuple(assembled)) not in parts_of:
            parts_of[there] = {one: found for one in wanted.labels.values() if (found := made_of(one, there))}
        where = Place(name, record.split or "", collection)
        planned.append(Planned(identity, where, place, record.patient, record.voxels_sha256, parts_of[there]))
    return sorted(planned, key=lambda case: (case.where.split, case.id))


def _told(cases: Sequence[Planned], wanted: LabelSet, layout: Layout) -> list[str]:
    """Return the structures that are released, in the order of their ids."""
    by_kind = [set(parts) for parts in {id(case.parts): case.parts for case in cases}.values()]
    known = set.intersection(*by_kind) if layout.common_labels else set.union(*by_kind)
    return [name for _, name in sorted(wanted.labels.items()) if name in known]


def _telling(cases: Sequence[Planned], told: Sequence[str]) -> tuple[Planned, ...]:
    """Let cases tell of no other structures, and of those in their order."""
    kinds = {id(case.parts): case.parts for case in cases}
    fewer = {kind: {name: parts[name] for name in told if name in parts} for kind, parts in kinds.items()}
    return tuple(replace(case, parts=fewer[id(case.parts)]) for case in cases)


def _datasets(atlas: Atlas) -> dict[str, DatasetRecord]:
    return {record.name: record for record in _dataset_records(atlas)}


def _dataset_records(atlas: Atlas) -> Iterator[DatasetRecord]:
    for path in sorted(atlas.place.datasets.glob("*.json")):
        try:
            yield read_record(DatasetRecord, path)
        except CtatlasError as error:
            raise AtlasError(str(error)) from None
