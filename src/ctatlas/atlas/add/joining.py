"""Put a case that is whole on its stage among the cases of the atlas, unless the atlas has it already."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ctatlas.atlas.add.intake import Entry
from ctatlas.atlas.add.known import Known
from ctatlas.atlas.atlas import Atlas
from ctatlas.atlas.layout import CasePlace, member_of
from ctatlas.atlas.records import CaseRecord, OriginalRecord, read_record, write_record
from ctatlas.atlas.revise.store import take_over
from ctatlas.atomic import flush_folder
from ctatlas.errors import OutputError

STAGES = ".adding"  # a folder in the atlas: renaming works only on one disk
State = Literal["added", "known", "copy", "labelled", "changed", "failed"]


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one case of a source.

    Attributes
    ----------
    name : str
        What the source calls it, or a pseudonym.
    case : str
        The case of the atlas that it is now, was before, or is a copy of; empty where it failed.
    state : str
        "added"; "known": read before and unchanged since; "copy": same voxels as a case, not added; "labelled": its
        case got the labels that were missing; "changed": other files than those that were added, which stay;
        "failed".
    reason : str
        What a person should know about it.
    near : tuple of str
        Cases that are nearly the same.
    entry : Entry or None
        What was read; its paths are for the terminal of whoever adds, never for a file of the atlas.
    """

    name: str
    case: str
    state: State
    reason: str = ""
    near: tuple[str, ...] = ()
    stage: str = ""
    trace: str = ""
    entry: Entry | None = None


def join(atlas: Atlas, entry: Entry, record: CaseRecord, known: Known, *, keep_duplicates: bool) -> Added:
    """Put one case in its place, by one renaming; afterwards its stage is gone.

    Raises
    ------
    OutputError
        When the atlas can't be written to.
    """
    name = entry.found.name
    try:
        before = known.origins.get(entry.origin)
        if before is not None:
            return _read_again(atlas, entry, record, before[0])
        twin = known.voxels.get(record.voxels_sha256)
        if twin is not None and not keep_duplicates:
            return _copy(atlas, entry, record, twin)
        alike = {case: way for case, way in known.alike(record.fingerprint).items() if case != twin}
        near = tuple(alike)
        whole = record.model_copy(update={"duplicate_of": twin, "near_duplicates": near})
        _move(entry.stage, atlas.place.case(entry.case), whole)
        known.learn(entry.case, entry.origin, entry.stamp, record.voxels_sha256, record.fingerprint)
        said = [f"has the same voxels as {twin}"] if twin else []
        if near:
            said.append(f"nearly the same as {', '.join(f'{case}{_way(way)}' for case, way in alike.items())}")
        return Added(name, entry.case, "added", "; ".join(said), near)
    finally:
        shutil.rmtree(entry.stage, ignore_errors=True)


def _way(way: str) -> str:
    """Say in which way other than as they lie two scans are alike: then one of both headers is wrong."""
    return f" ({way}; is its header right?)" if way else ""


def _move(stage: Path, place: CasePlace, record: CaseRecord) -> None:
    try:
        write_record(record, stage / place.record.name)
        for part in ("original", "predictions", "revisions"):
            flush_folder(stage / part)
        flush_folder(stage)
        place.folder.parent.mkdir(exist_ok=True)
        stage.rename(place.folder)
        flush_folder(place.folder.parent)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{place.folder}: can't be put there ({error.strerror})") from error


def _copy(atlas: Atlas, entry: Entry, record: CaseRecord, twin: str) -> Added:
    said = f"has the same voxels as {twin}: not added again"
    got = _give(atlas.place.case(twin), entry, record)
    if got:
        return Added(entry.found.name, twin, "labelled", f"has the same voxels as {twin}, which got its {got}")
    if entry.found.labels is not None:
        said += ", nor its labels; --keep-duplicates adds both"
    return Added(entry.found.name, twin, "copy", said)


def _read_again(atlas: Atlas, entry: Entry, record: CaseRecord, case: str) -> Added:
    """Compare files that were changed with the case that was made of them; a case's scan never changes."""
    place = atlas.place.case(case)
    old = read_record(CaseRecord, place.record)
    name = entry.found.name
    if old.voxels_sha256 != record.voxels_sha256:
        return Added(name, case, "changed", f"is another scan now than {case}, which was added from it and stays")
    if got := _give(place, entry, record):
        return Added(name, case, "labelled", f"{case} got its {got}")
    if entry.found.labels is not None and not _same_labels(place, entry):
        said = f"has other labels now than {case} has, which stay; 'ctatlas revise import' brings corrections in"
        return Added(name, case, "changed", said)
    if old.origin == entry.origin:
        changes = {"origin_stamp": entry.stamp, "label_set": old.label_set or record.label_set}
        write_record(old.model_copy(update=changes), place.record)
    return Added(name, case, "known")


def _give(place: CasePlace, entry: Entry, record: CaseRecord) -> str:
    """Give a case on the same grid what it lacks of what was read; return in words what that is."""
    staged = CasePlace(entry.stage)
    if not read_record(CaseRecord, place.record).grid.grid().same_place(record.grid.grid()):
        return ""
    revisions = [take_over(place, folder) for folder in staged.revisions()]
    predictions = [folder for folder in staged.predictions() if not place.prediction(member_of(folder)).exists()]
    for folder in predictions:
        target = place.prediction(member_of(folder))
        try:
            target.parent.mkdir(exist_ok=True)
            folder.rename(target)
            flush_folder(target.parent)
        except OSError as error:
            raise OutputError(f"{target}: can't be put there ({error.strerror})") from error
    got = {
        "labels": _give_labels(place, entry, record),
        "predictions": bool(predictions),
        "corrected masks": any(revisions),
    }
    if any(got.values()):
        _stamp(place, entry)
    return " and ".join(what for what, is_new in got.items() if is_new)


def _stamp(place: CasePlace, entry: Entry) -> None:
    """Remember the files as they are now, if the case was read from them."""
    old = read_record(CaseRecord, place.record)
    if old.origin == entry.origin and old.origin_stamp != entry.stamp:
        write_record(old.model_copy(update={"origin_stamp": entry.stamp}), place.record)


def _give_labels(place: CasePlace, entry: Entry, record: CaseRecord) -> bool:
    """Move labels to a case that has none and lies on the same grid; its record is written last."""
    old = read_record(CaseRecord, place.record)
    staged = CasePlace(entry.stage).original
    if place.original.exists() or not staged.is_dir():
        return False
    changes: dict[str, object] = {"label_set": record.label_set, "split": old.split or record.split}
    try:
        flush_folder(staged)
        staged.rename(place.original)
        flush_folder(place.folder)
    except OSError as error:
        raise OutputError(f"{place.original}: can't be put there ({error.strerror})") from error
    write_record(old.model_copy(update=changes), place.record)
    return True


def _same_labels(place: CasePlace, entry: Entry) -> bool:
    paths = [place.original / "labels.json", CasePlace(entry.stage).original / "labels.json"]
    if not all(path.is_file() for path in paths):
        return False
    old, new = (read_record(OriginalRecord, path) for path in paths)
    return old.masks == new.masks
