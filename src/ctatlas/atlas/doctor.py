"""What is wrong with an atlas, and what can be mended: the index is made anew from the files, never the other way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ctatlas.atlas.atlas import Atlas
from ctatlas.atlas.layout import CASE, CasePlace
from ctatlas.atlas.records import CaseRecord, MaskRecord, OriginalRecord, ProvenanceRecord, RevisionRecord, read_record
from ctatlas.errors import AtlasError
from ctatlas.execution import whole_record
from ctatlas.hashing import sha256_file

_LEFT_OVERS = (".ctatlas-partial", ".*.part")  # of processes that were killed


@dataclass(frozen=True, slots=True)
class Ailment:
    """One thing that is wrong.

    Attributes
    ----------
    where, what : str
    remedy : str
        What a person can do; empty when it was mended.
    mended : str
        What was done about it.
    """

    where: str
    what: str
    remedy: str = ""
    mended: str = ""


def examine(atlas: Atlas, *, fix: bool = False, deep: bool = False) -> Iterator[Ailment]:
    """Look through an atlas; the index is always brought up to date.

    Parameters
    ----------
    fix : bool
        Whether to remove what interrupted steps left behind; they do it again then.
    deep : bool
        Whether to compare scans and masks with the hashes in their records, which reads all of them.
    """
    yield from _sound_catalog(atlas)
    for folder in sorted(path for path in atlas.place.cases_folder.glob("*") if path.is_dir()):
        yield from _case(CasePlace(folder), fix=fix, deep=deep)
    faults, gone = atlas.synchronise()
    yield from (Ailment("catalog", fault, remedy="mend or remove the file that is named") for fault in faults)
    yield from (Ailment("catalog", f"{case}: its folder is gone", mended="taken out of the index") for case in gone)


def _sound_catalog(atlas: Atlas) -> Iterator[Ailment]:
    """Put a damaged SQLite catalog aside, so that it is made anew."""
    path = atlas.place.catalog
    if not atlas.config.catalog and not path.exists():
        yield Ailment("catalog", "is missing", mended="made anew from the files")
        return
    try:
        with atlas.catalog() as catalog, catalog.session() as session:
            check = session.connection().exec_driver_sql("PRAGMA quick_check") if not atlas.config.catalog else None
            answer = check.scalar() if check is not None else "ok"
        if answer == "ok":
            return
        fault = str(answer)
    except AtlasError as error:
        if atlas.config.catalog or "newer ctatlas" in str(error):
            raise
        fault = str(error)
    aside = next(one for n in range(1, 1000) if not (one := path.with_name(f"catalog.damaged-{n}.db")).exists())
    path.rename(aside)
    for log in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        log.unlink(missing_ok=True)
    yield Ailment("catalog", f"is damaged ({fault})", mended=f"put aside as {aside.name}, made anew from the files")


def _case(place: CasePlace, *, fix: bool, deep: bool) -> Iterator[Ailment]:
    yield from _left_overs(place, fix=fix)
    if not place.record.is_file():
        remedy = f"add the scan again; then remove {place.folder}"
        yield Ailment(place.case, f"has no {CASE}: it was never added to the end", remedy)
        return
    try:
        record = read_record(CaseRecord, place.record)
    except AtlasError as error:
        yield Ailment(place.case, str(error), "restore it from a backup, or remove the folder and add the scan again")
        return
    if not place.ct.is_file():
        yield Ailment(place.case, "its ct.nii.gz is missing", "restore it from a backup")
    elif deep and sha256_file(place.ct) != record.ct_sha256:
        yield Ailment(place.case, "its ct.nii.gz is not what was added", "restore it from a backup")
    for folder in (*place.predictions(), place.attention, place.checks, place.assembled):
        if folder.is_dir() and whole_record(folder) is None:
            yield _half(place, folder, fix=fix)
    yield from _masks(place, deep=deep)


def _left_overs(place: CasePlace, *, fix: bool) -> Iterator[Ailment]:
    for pattern in _LEFT_OVERS:
        for path in sorted(place.folder.rglob(pattern)):
            what = f"{path.relative_to(place.folder)} was left by a process that was killed"
            if fix:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            yield Ailment(place.case, what, "" if fix else "run with --fix", "removed" if fix else "")


def _half(place: CasePlace, folder: Path, *, fix: bool) -> Ailment:
    """Results can be made again, so a half one may go."""
    if fix:
        shutil.rmtree(folder)
    what = f"{folder.relative_to(place.folder)} is not whole"
    remedy = "" if fix else "run the step again, or with --fix remove it"
    return Ailment(place.case, what, remedy, "removed; the step makes it again" if fix else "")


def _masks(place: CasePlace, *, deep: bool) -> Iterator[Ailment]:
    """Compare masks with their records: originals and revisions can't be made again."""
    for folder, masks in _recorded(place):
        for name, mask in masks.items():
            path = folder / f"{name}.nii.gz"
            where = path.relative_to(place.folder)
            if not path.is_file():
                yield Ailment(place.case, f"{where} is missing", "restore it from a backup")
            elif deep and sha256_file(path) != mask.sha256:
                yield Ailment(place.case, f"{where} is not what was stored", "restore it, or import it as a revision")


def _recorded(place: CasePlace) -> Iterator[tuple[Path, dict[str, MaskRecord]]]:
    if (place.original / "labels.json").is_file():
        yield place.original, read_record(OriginalRecord, place.original / "labels.json").masks
    for folder in place.revisions():
        yield folder, dict(read_record(RevisionRecord, folder / "revision.json").masks)
    if whole_record(place.assembled) is not None:
        found = read_record(ProvenanceRecord, place.assembled / "provenance.json")
        yield place.assembled / "segmentations", dict(found.masks)
