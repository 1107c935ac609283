"""Add many cases: what is new, read in several processes, put in place in the order of the source."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ctatlas.atlas.add.found import Fault, Found, Listing
from ctatlas.atlas.add.intake import Entry, Manners, take_in
from ctatlas.atlas.add.joining import STAGES, Added, join
from ctatlas.atlas.add.known import Known, origin_of, stamp_of
from ctatlas.atlas.atlas import Atlas
from ctatlas.atlas.records import CaseRecord, CopyRecord, DatasetRecord, read_record, write_record
from ctatlas.atlas.shards import Shard
from ctatlas.execution import Outcome, Patience, Task, perform_all, perform_in_place
from ctatlas.progress import SILENT, Progress
from ctatlas.volume import files_of, safe_name
from ctatlas.volume.deidentify import Key

STEP_VERSION = 1
_STAGE_LETTERS = 24


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done with a source.

    Attributes
    ----------
    entries : tuple of Entry
        To be read: new, or changed since.
    known : tuple of Added
        Read before, and unchanged.
    faults : tuple of Fault
    """

    listing: Listing
    entries: tuple[Entry, ...]
    known: tuple[Added, ...]
    faults: tuple[Fault, ...]

    @property
    def n_cases(self) -> int:
        """Count all that the source holds, as far as it is this job's."""
        return len(self.entries) + len(self.known) + len(self.faults)

    @property
    def n_bytes(self) -> int:
        """Bytes of the files to be read, which is about what they will take in the atlas."""
        return sum(
            path.stat().st_size for entry in self.entries for source in entry.found.paths for path in files_of(source)
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """How to add; `workers` and `patience` change no result. `licence` and `citation` are the source's, where said."""

    keep_duplicates: bool = False
    manners: Manners = field(default_factory=Manners)
    workers: int = 1
    patience: Patience = field(default_factory=Patience)
    licence: str | None = None
    citation: str | None = None


def plan(
    atlas: Atlas, listing: Listing, known: Known, key: Key, *, hide_names: bool = False, shard: Shard | None = None
) -> Plan:
    """Sort what was found into known and new, and give the new ones ids.

    All ids are given before a shard takes its part, so that they are the same in every job.
    """
    entries: list[Entry] = []
    there: list[Added] = []
    faults = list(listing.faults)
    ours = set(range(len(listing.found))) if shard is None else set(shard.part_of(range(len(listing.found))))
    for number, found in enumerate(listing.found):
        path = found.source.path.absolute()
        origin = origin_of(path, found.source.inside, key)
        called = _called(found, key, origin, hide_names=hide_names)
        try:
            stamp = stamp_of(found)
        except OSError as error:
            faults.append(Fault(called.name, f"can't be read ({error.strerror})"))
            continue
        before = known.origins.get(origin)
        if before is not None and before[1] == stamp:
            there.append(Added(called.name, before[0], "known"))
            continue
        case = before[0] if before is not None else known.free_id(called.case)
        if number in ours:
            entries.append(Entry(called, case, atlas.place.root / STAGES / origin[:_STAGE_LETTERS], origin, stamp))
    return Plan(listing, tuple(entries), tuple(there), tuple(faults))


def add_cases(
    atlas: Atlas, planned: Plan, known: Known, key: Key, *, wish: Wish, progress: Progress = SILENT
) -> Iterator[Added]:
    """Read what is new and put it among the cases, in the order of the source whatever the number of workers.

    The atlas must be held for writing. What is interrupted leaves whole cases only.

    Raises
    ------
    OutputError
        When the disk is full or read-only.
    """
    yield from (Added(fault.name, "", "failed", fault.reason, stage="look") for fault in planned.faults)
    yield from planned.known
    tasks = [_task(entry, key, wish.manners) for entry in planned.entries]
    entries = {entry.stage: entry for entry in planned.entries}
    doing = perform_all(tasks, workers=wish.workers, progress=progress, do=perform_in_place, patience=wish.patience)
    try:
        for outcome in _in_order([task.folder for task in tasks], doing):
            yield _joined(atlas, entries[outcome.folder], outcome, known, keep_duplicates=wish.keep_duplicates)
    finally:
        for entry in planned.entries:
            shutil.rmtree(entry.stage, ignore_errors=True)
        with suppress(OSError):
            (atlas.place.root / STAGES).rmdir()


def clear_stages(atlas: Atlas) -> None:
    """Remove what a killed run left half-read; only who holds the atlas alone may."""
    shutil.rmtree(atlas.place.root / STAGES, ignore_errors=True)


def write_datasets(atlas: Atlas, planned: Plan, added: Sequence[Added], wish: Wish) -> None:
    """Record what is known of each dataset, and which of its scans are copies of cases."""
    copies: dict[str, dict[str, CopyRecord]] = {}
    for one in added:
        entry = one.entry
        if entry is not None and one.case and one.case != entry.case:
            copy = CopyRecord(dataset_case=one.name, origin=entry.origin, origin_stamp=entry.stamp, copy_of=one.case)
            copies.setdefault(entry.found.dataset, {})[entry.origin] = copy
    listing = planned.listing
    for dataset in dict.fromkeys(found.dataset for found in listing.found):
        path = atlas.place.datasets / f"{safe_name(dataset)}.json"
        old = read_record(DatasetRecord, path) if path.is_file() else DatasetRecord(name=dataset)
        sets = {found.label_set for found in listing.found if found.dataset == dataset}
        all_copies = {copy.origin: copy for copy in old.copies} | copies.get(dataset, {})
        new = DatasetRecord(
            name=dataset,
            label_set=_one_name(sets) or old.label_set,
            licence=wish.licence or listing.licences.get(dataset) or old.licence,
            url=old.url,
            citation=wish.citation or listing.citations.get(dataset) or old.citation,
            layout=listing.layout,
            copies=tuple(all_copies[origin] for origin in sorted(all_copies)),
        )
        if new != old:
            path.parent.mkdir(exist_ok=True)
            write_record(new, path)


def _called(found: Found, key: Key, origin: str, *, hide_names: bool) -> Found:
    """Give a pseudonym to what may be called after a patient."""
    if not found.may_tell_who and not hide_names:
        return found
    return found.called(f"scan-{key.letters('case', origin).lower()}")


def _task(entry: Entry, key: Key, manners: Manners) -> Task:
    return Task(
        case=entry.case,
        folder=entry.stage,
        work=partial(take_in, entry=entry, key=key, manners=manners),
        step="add",
        version=STEP_VERSION,
    )


def _joined(atlas: Atlas, entry: Entry, outcome: Outcome, known: Known, *, keep_duplicates: bool) -> Added:
    if outcome.state == "failed":
        return Added(
            entry.found.name,
            "",
            "failed",
            outcome.reason,
            stage=outcome.stage,
            trace=outcome.trace,
            entry=entry,
        )
    record = CaseRecord.model_validate(outcome.summary["record"])
    one = join(atlas, entry, record, known, keep_duplicates=keep_duplicates)
    remarks = outcome.summary["remarks"]
    said = [one.reason, *(str(line) for line in remarks)] if isinstance(remarks, list) else [one.reason]
    return replace(one, reason="; ".join(line for line in said if line), entry=entry)


def _in_order(folders: Sequence[Path], outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    """Give outcomes in the order of their folders; those that come early wait."""
    waiting: dict[Path, Outcome] = {}
    ahead = iter(folders)
    wanted = next(ahead, None)
    for outcome in outcomes:
        waiting[outcome.folder] = outcome
        while wanted in waiting:
            yield waiting.pop(wanted)
            wanted = next(ahead, None)


def _one_name(label_sets: set[str | None]) -> str | None:
    """Return the one label set of a dataset's cases, without the folders of a file; None where they have several."""
    names = {re.sub(r"^.*[/\\]", "", name) for name in label_sets if name}
    return names.pop() if len(names) == 1 else None
