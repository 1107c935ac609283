"""From a case's files to the catalog's rows: one function for each kind of file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ctatlas.atlas.catalog.tables import Attention, Case, Finding, Label, Revision, Run, Table
from ctatlas.atlas.layout import CASE, CasePlace
from ctatlas.atlas.records import (
    CaseRecord,
    FindingsRecord,
    HotSpotsRecord,
    MaskRecord,
    OriginalRecord,
    ProvenanceRecord,
    RevisionRecord,
    read_record,
)
from ctatlas.errors import AtlasError
from ctatlas.execution import RECORD, whole_record

Row = tuple[type[Table], dict[str, Any]]  # a dict rather than an object: rows come by the hundred thousand
Rows = Iterator[Row]
_MASKS = TypeAdapter(dict[str, MaskRecord])
# The files that say what a case holds: one each, and one in each folder below these
_FILES = (CASE, "original/labels.json", f"attention/{RECORD}", f"checks/{RECORD}", f"assembled/{RECORD}")
_FOLDERS = ("predictions", "revisions")


def stamp_of(place: CasePlace) -> str:
    """Hash the sizes and times of the files that say what a case holds: unchanged means that its rows still hold."""
    names, root = [*_FILES], os.fspath(place.folder)
    for parent in _FOLDERS:
        with suppress(FileNotFoundError, NotADirectoryError):
            with os.scandir(f"{root}/{parent}") as entries:
                folders = sorted(entry.name for entry in entries)
            names += [f"{parent}/{folder}/{RECORD}" for folder in folders]
    facts = []
    for name in names:  # plain texts rather than paths: asked of a hundred thousand files
        with suppress(FileNotFoundError, NotADirectoryError):
            stat = os.stat(f"{root}/{name}")  # noqa: PTH116
            facts.append([name, stat.st_size, stat.st_mtime_ns])
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def refuse_unsound_name(place: CasePlace) -> None:
    """Refuse a folder whose name is no text: no catalog could say it.

    Raises
    ------
    AtlasError
        With the way out.
    """
    if not place.case.isprintable():
        raise AtlasError(f"{place.folder}: holds what can't be printed in its name; move it out of the atlas")


def rows_of(place: CasePlace, stamp: str) -> list[Row]:
    """Read what a case's files say.

    Raises
    ------
    AtlasError
        When a file is missing or is not what it should be.
    """
    rows = [row for read in (_case, *_READERS) for row in read(place, stamp)]
    seen: set[tuple[str, str]] = set()
    for table, row in rows:
        if table is Label:
            what = row["kind"], row["structure"]
            row["is_first"] = what not in seen
            seen.add(what)
    return rows


def _case(place: CasePlace, stamp: str) -> Rows:
    record = read_record(CaseRecord, place.record)
    if record.case != place.case:
        raise AtlasError(f"{place.record}: is of case {record.case!r}; was the folder renamed?")
    n_i, n_j, n_k = record.grid.shape
    yield (
        Case,
        {
            "case": record.case,
            "dataset": record.dataset,
            "dataset_case": record.dataset_case,
            "label_set": record.label_set,
            "patient": record.patient,
            "split": record.split,
            "phase": record.phase,
            "n_i": n_i,
            "n_j": n_j,
            "n_k": n_k,
            "affine": json.dumps(record.grid.affine),
            "scanner": record.scanner.model_dump(),
            "origin": record.origin,
            "origin_stamp": record.origin_stamp,
            "ct_sha256": record.ct_sha256,
            "voxels_sha256": record.voxels_sha256,
            "fingerprint": record.fingerprint,
            "duplicate_of": record.duplicate_of,
            "stamp": stamp,
        },
    )


def _originals(place: CasePlace, _: str) -> Rows:
    path = place.original / "labels.json"
    if path.is_file():
        for structure, mask in read_record(OriginalRecord, path).masks.items():
            yield _label(place, "original", "", structure, mask)


def _predictions(place: CasePlace, _: str) -> Rows:
    for folder in place.predictions():
        record = whole_record(folder)
        if record is None:
            continue
        member = folder.name.replace("__", "/")
        yield _run(place, "predict", member, record)
        summary = record.get("summary")
        masks = summary.get("masks") if isinstance(summary, dict) else None
        try:
            found = _MASKS.validate_python(masks or {})
        except ValidationError as error:
            fault = error.errors()[0]["msg"]
            raise AtlasError(f"{folder / RECORD}: summary.masks: {fault}; predict the case again") from None
        for structure, mask in found.items():
            yield _label(place, "pseudo", member, structure, mask)


def _attention(place: CasePlace, _: str) -> Rows:
    record = whole_record(place.attention)
    if record is None:
        return
    yield _run(place, "attend", "", record)
    found = read_record(HotSpotsRecord, place.attention / "hotspots.json")
    for structure, attention in found.structures.items():
        spots = [spot for spot in found.hotspots if spot.structure == structure]
        yield (
            Attention,
            {
                "case": place.case,
                "structure": structure,
                "ml": attention.ml,
                "score": attention.score,
                "n_hotspots": len(spots),
                "minutes": float(sum(spot.minutes for spot in spots)),
            },
        )


def _findings(place: CasePlace, _: str) -> Rows:
    record = whole_record(place.checks)
    if record is None:
        return
    yield _run(place, "check", "", record)
    for number, found in enumerate(read_record(FindingsRecord, place.checks / "findings.json").findings, start=1):
        yield Finding, {"case": place.case, "number": number, **found.model_dump(exclude={"lo", "hi"})}


def _revisions(place: CasePlace, _: str) -> Rows:
    for folder in place.revisions():
        if whole_record(folder) is None:
            continue
        record = read_record(RevisionRecord, folder / "revision.json")
        yield (
            Revision,
            {
                "case": place.case,
                "number": record.number,
                "author": record.author,
                "minutes": record.minutes,
                "tool": record.tool,
                "reason": record.reason,
                "created": record.created,
                "n_structures": len(record.masks),
            },
        )
        for structure, mask in record.masks.items():
            yield _label(place, "revised", str(record.number), structure, mask)


def _assembled(place: CasePlace, _: str) -> Rows:
    record = whole_record(place.assembled)
    if record is None:
        return
    yield _run(place, "assemble", "", record)
    for structure, mask in read_record(ProvenanceRecord, place.assembled / "provenance.json").masks.items():
        yield _label(place, "assembled", mask.source, structure, mask)


_READERS: tuple[Callable[[CasePlace, str], Rows], ...] = (
    _originals,
    _predictions,
    _attention,
    _findings,
    _revisions,
    _assembled,
)


def _label(place: CasePlace, kind: str, origin: str, structure: str, mask: MaskRecord) -> Row:
    return Label, {
        "case": place.case,
        "kind": kind,
        "origin": origin,
        "structure": structure,
        "volume_ml": mask.volume_ml,
        "n_voxels": mask.n_voxels,
        "sha256": mask.sha256,
    }


def _run(place: CasePlace, step: str, member: str, record: dict[str, object]) -> Row:
    version = record.get("step_version")
    return Run, {
        "case": place.case,
        "step": step,
        "member": member,
        "step_version": version if isinstance(version, int) else 0,
        "key": str(record.get("key", "")),
        "ctatlas": str(record.get("ctatlas", "")),
    }
