"""Make a release: prepare its cases, lay them out, describe and prove them, and only then give it its name.

All is done in `releases/.<version>.partial`. Its cases are results like those of every step: an interrupted release
goes on where it was. What is laid out shares the files with what was prepared, so nothing is copied twice.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctatlas
from ctatlas.atlas.records import write_record
from ctatlas.atlas.release.card import CARD, card
from ctatlas.atlas.release.case import case_task
from ctatlas.atlas.release.croissant import CROISSANT, croissant, described_files
from ctatlas.atlas.release.datasheet import DATASHEET, datasheet
from ctatlas.atlas.release.facts import SOURCES, Facts, Tally
from ctatlas.atlas.release.ids import remember
from ctatlas.atlas.release.layouts import UNSPLIT
from ctatlas.atlas.release.licences import licence_doubts
from ctatlas.atlas.release.manifest import manifest_files, writing_manifest
from ctatlas.atlas.release.plan import Plan, Planned
from ctatlas.atlas.release.rows import Rows
from ctatlas.atlas.release.rules import case_faults
from ctatlas.atlas.release.shards import Packed, shards_of, write_shard
from ctatlas.atlas.release.spool import Hashes
from ctatlas.atlas.release.sums import write_sums
from ctatlas.atlas.release.verify import release_faults
from ctatlas.atlas.releases import RELEASE, ReleaseRecord
from ctatlas.atomic import whole_file
from ctatlas.errors import AtlasError, OutputError
from ctatlas.execution import perform_all, whole_record, write_failures
from ctatlas.hashing import sha256_file
from ctatlas.progress import SILENT, Progress

FAILURES = "failures-release.csv"
_SPARE_BYTES = 10**8  # left on the disk


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case whose files are ready."""

    case: Planned
    folder: Path

    def summary(self) -> Mapping[str, Any]:
        """Read what its files are called before they are laid out, with their hashes, and the sizes of its masks.

        Raises
        ------
        AtlasError
            When somebody took them away in between.
        """
        found = (whole_record(self.folder) or {}).get("summary")
        if not isinstance(found, dict):
            raise AtlasError(f"{self.folder}: what was prepared is not there any more; run the release again")
        return found


def refuse_unsound(plan: Plan) -> None:
    """Refuse a release whose cases can't stand beside each other: told by their records, before any work.

    Raises
    ------
    AtlasError
    """
    rows = Rows(plan)
    faults = list(case_faults([rows.case(case) for case in plan.cases]))
    _refuse(f"{plan.atlas.place.root}: release {plan.version}", faults)


def make_release(plan: Plan, *, workers: int = 1, progress: Progress = SILENT) -> Path:
    """Make a release, and return its folder.

    Raises
    ------
    AtlasError
        When something in it is not sound, or a case failed (`failures-release.csv` says why): there is no release then.
    OutputError
        When there is no room, or the place can't be written to.
    """
    refuse_unsound(plan)
    place = plan.atlas.place
    target, partial = place.releases / plan.version, place.releases / f".{plan.version}.partial"
    remember(place, plan.numbers)
    _refuse_without_room(plan, place.releases)
    prepared = _prepare(plan, partial / "cases", workers, progress)
    content = partial / "content"
    shutil.rmtree(content, ignore_errors=True)
    try:
        content.mkdir()
        shard_of = _lay_out(plan, prepared, content, progress)
        _describe(plan, prepared, shard_of, content)
        _refuse(f"{target}", list(release_faults(content, deep=False)))
        _publish(content, target)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{target}: can't be written ({error.strerror}); there is no such release") from error
    shutil.rmtree(partial, ignore_errors=True)
    return target


def _refuse(what: str, faults: Sequence[str]) -> None:
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise AtlasError(f"{what}: {faults[0]}{more}; nothing was released")


def _refuse_without_room(plan: Plan, folder: Path) -> None:
    free, needed = shutil.disk_usage(folder).free, plan.bytes_about + _SPARE_BYTES
    if free < needed:
        raise OutputError(f"{folder}: {free / 1e9:.1f} GB are free, the release needs {needed / 1e9:.1f} GB; make room")


def _prepare(plan: Plan, folder: Path, workers: int, progress: Progress) -> list[Prepared]:
    prepared = [Prepared(case, folder / case.place.case) for case in plan.cases]
    tasks = [case_task(plan, one.case, one.folder) for one in prepared]
    outcomes = perform_all(tasks, workers=workers, progress=progress)
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    root = plan.atlas.place.root
    write_failures(root, failed, FAILURES)
    if failed:
        more = f" (and {len(failed) - 1} more cases: {root / FAILURES})" if len(failed) > 1 else ""
        raise AtlasError(f"{min((one.case, one.reason) for one in failed)[1]}{more}; nothing was released")
    return prepared


def _lay_out(plan: Plan, prepared: Sequence[Prepared], content: Path, progress: Progress) -> dict[str, str]:
    """Put the files where the layout has them; return the shard of each case by its id."""
    if not plan.sharded:
        for one in prepared:
            for name, source in _packed(plan, one).files.items():
                (content / name).parent.mkdir(parents=True, exist_ok=True)
                _share(source, content / name)
        return {}
    (content / plan.layout.shards).mkdir(parents=True)
    packed = (_packed(plan, one) for one in prepared)
    shards = list(shards_of(packed, plan.cases_per_shard, plan.choices.shard_bytes))
    progress.stage("shards", len(shards))
    counts = Counter[str]()
    shard_of: dict[str, str] = {}
    for shard in shards:
        split = prepared[shard[0]].case.where.split or UNSPLIT
        counts[split] += 1
        name = f"{plan.layout.shards}/{split}-{counts[split]:05d}.tar.gz"
        write_shard(content / name, (_packed(plan, prepared[number]) for number in shard))
        shard_of |= {prepared[number].case.id: name for number in shard}
        progress.advance()
    return shard_of


def _packed(plan: Plan, one: Prepared) -> Packed:
    where = one.case.where
    return Packed(where.split, {plan.layout.path(where, name): one.folder / name for name in one.summary()["files"]})


def _share(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _describe(plan: Plan, prepared: Sequence[Prepared], shard_of: Mapping[str, str], content: Path) -> None:
    """Write everything that is told about the cases."""
    tally, hashes = _write_rows(plan, prepared, shard_of, content)
    record = _record(plan, tally)
    facts = Facts(record, plan.atlas.config, tally, sorted({*shard_of.values()}))
    write_record(record, content / RELEASE)
    _write(content / DATASHEET, datasheet(facts))
    _write(content / CARD, card(facts))
    for name, text in plan.layout.extra(facts, plan.layout.collection(plan.atlas.config)).items():
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        _write(content / name, text)
    described = {name: sha256_file(content / name) for name in described_files(facts, manifest_files())}
    _write(content / CROISSANT, croissant(facts, described))
    write_sums(content, hashes)


def _write_rows(
    plan: Plan, prepared: Sequence[Prepared], shard_of: Mapping[str, str], content: Path
) -> tuple[Tally, Hashes]:
    """Write the manifest case by case; return what it tells in numbers, and the hashes of files that are not packed."""
    tally, hashes = Tally(), Hashes()
    rows = Rows(plan)
    with writing_manifest(content) as manifest:
        for one in prepared:
            summary = one.summary()
            case = rows.case(one.case, summary["files"], shard_of.get(one.case.id, ""))
            masks = rows.masks(one.case, summary)
            manifest.add(case, masks)
            tally.add(case, masks)
            for name, sha256 in summary["files"].items() if not plan.sharded else ():
                hashes[plan.layout.path(one.case.where, name)] = sha256
    return tally, hashes


def _record(plan: Plan, tally: Tally) -> ReleaseRecord:
    config, choices = plan.atlas.config, plan.choices
    return ReleaseRecord(
        name=config.name,
        version=plan.version,
        description=config.description,
        licence=config.licence,
        layout=choices.layout,
        content=choices.content,
        label_set=plan.label_set.name,
        labels={plan.names[name]: number for name, number in plan.ids.items()},
        structures={spelling: name for name, spelling in plan.names.items()},
        cases=len(tally.cases),
        masks=tally.n_masks,
        sources={kind: tally.sources[kind] for kind in SOURCES},
        left_out=plan.left_out,
        doubts=tuple(licence_doubts(config.licence, {case.dataset: case.licence for case in tally.cases})),
        made_with=f"ctatlas {ctatlas.__version__}",
    )


def _write(path: Path, text: str) -> None:
    with whole_file(path) as file:
        file.write(text.encode())


def _publish(content: Path, target: Path) -> None:
    """Let nobody alter the files by mistake, and give the release its name."""
    for path in content.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
    content.rename(target)
    with suppress(OSError):
        handle = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
