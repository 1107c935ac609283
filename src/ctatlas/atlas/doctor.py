"""What is wrong with an atlas, and what can be mended: the index is made anew from the files, never the other way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from ctatlas.atlas.atlas import Atlas
from ctatlas.atlas.catalog.engines import catalog_file, without_password
from ctatlas.atlas.catalog.schema import lacking
from ctatlas.atlas.layout import CASE, MASK, CasePlace
from ctatlas.atlas.records import (
    MENDING,
    CaseRecord,
    MaskRecord,
    OriginalRecord,
    ProvenanceRecord,
    RevisionRecord,
    read_record,
)
from ctatlas.errors import AtlasError
from ctatlas.execution import RECORD, whole_record
from ctatlas.hashing import sha256_file

_LEFT_OVERS = (".ctatlas-partial", ".*.part")  # of processes that were killed
_BACKUP = "restore it from a backup"


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

    Raises
    ------
    AtlasError
        When the catalog is from a newer version, or its server can't be reached or has other tables.
    """
    yield from _sound_catalog(atlas)
    others = (path for path in sorted(atlas.place.root.glob("*")) if path != atlas.place.cases_folder)
    for path in others:
        if path.is_dir() and not path.is_symlink():
            yield from _left_overs(path.name, path, fix=fix)
    told: set[str] = set()
    for folder in sorted(path for path in atlas.place.cases_folder.glob("*") if path.is_dir()):
        try:
            for ailment in _case(CasePlace(folder), fix=fix, deep=deep):
                told.add(ailment.what)
                yield ailment
        except OSError as error:
            yield Ailment(folder.name, f"{error.filename}: can't be read ({error.strerror})", "see to its permissions")
    yield from _index(atlas, told)


def _sound_catalog(atlas: Atlas) -> Iterator[Ailment]:
    """Put a damaged SQLite catalog aside, so that it is made anew."""
    path = catalog_file(atlas.place, atlas.config)
    if path is not None and not path.exists():
        yield Ailment("catalog", "is missing", mended="made anew from the files")
        return
    fault = _fault_of_catalog(atlas, path)
    if path is None or not fault:
        return
    aside = next(one for n in range(1, 1000) if not (one := path.with_name(f"catalog.damaged-{n}.db")).exists())
    path.rename(aside)
    for log in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        log.unlink(missing_ok=True)
    yield Ailment("catalog", f"is damaged ({fault})", mended=f"put aside as {aside.name}, made anew from the files")


def _fault_of_catalog(atlas: Atlas, path: Path | None) -> str:
    try:
        with atlas.catalog() as catalog, catalog.engine.connect() as connection:
            if path is not None and (answer := str(connection.exec_driver_sql("PRAGMA quick_check").scalar())) != "ok":
                return answer
            missing = ", ".join(lacking(connection))
    except AtlasError as error:
        if path is None or "newer ctatlas" in str(error) or "network disk" in str(error):
            raise
        return str(error)
    if missing and path is None:
        where = without_password(atlas.config.catalog)
        raise AtlasError(f"{where}: lacks {missing}; empty that database, then let 'ctatlas doctor' make it anew")
    return f"lacks {missing}" if missing else ""


def _index(atlas: Atlas, told: Set[str]) -> Iterator[Ailment]:
    """Bring the index up to date, rows included that were lost or altered in the database alone.

    What was told of a case is not told again of the index.
    """
    with atlas.catalog() as catalog:
        differing = catalog.forget_what_differs(atlas.cases())
    faults, gone = atlas.synchronise()
    yield from (Ailment("catalog", f"{case}: not what its files say", mended="read anew") for case in differing)
    new = [what for fault in faults if (what := fault.removesuffix(MENDING)) not in told]
    yield from (Ailment("catalog", what, remedy="mend or remove the file that is named") for what in new)
    yield from (Ailment("catalog", f"{case}: its folder is gone", mended="taken out of the index") for case in gone)


def _case(place: CasePlace, *, fix: bool, deep: bool) -> Iterator[Ailment]:
    yield from _left_overs(place.case, place.folder, fix=fix)
    if not place.record.is_file():
        remedy = f"add the scan again; then remove {place.folder}"
        yield Ailment(place.case, f"has no {CASE}: it was never added to the end", remedy)
        return
    try:
        record = read_record(CaseRecord, place.record)
    except AtlasError as error:
        yield Ailment(place.case, _fault(error), f"{_BACKUP}, or remove the folder and add the scan again")
        return
    if not place.ct.is_file():
        yield Ailment(place.case, "its ct.nii.gz is missing", _BACKUP)
    elif deep and sha256_file(place.ct) != record.ct_sha256:
        yield Ailment(place.case, "its ct.nii.gz is not what was added", _BACKUP)
    for folder in _results(place):
        if any(folder.iterdir()) and whole_record(folder) is None:
            yield _half(place, folder, fix=fix)
    yield from _masks(place, deep=deep)


def _fault(error: AtlasError) -> str:
    """Say what is wrong without sending people where they are."""
    return str(error).removesuffix(MENDING)


def _results(place: CasePlace) -> list[Path]:
    """Return the folders of results that can be made again."""
    predicted = place.folder / "predictions"
    found = [*predicted.glob("*"), place.attention, place.checks, place.assembled]
    return sorted(folder for folder in found if folder.is_dir())


def _left_overs(where: str, folder: Path, *, fix: bool) -> Iterator[Ailment]:
    for pattern in _LEFT_OVERS:
        for path in sorted(folder.rglob(pattern)):
            what = f"{path.relative_to(folder)} was left by a process that was killed"
            mended = "removed" if fix and _removed(path, folder.parent) else ""
            yield Ailment(where, what, "" if mended else "remove it, or run with --fix", mended)


def _half(place: CasePlace, folder: Path, *, fix: bool) -> Ailment:
    """Results can be made again, so a half one may go."""
    mended = "removed; the step makes it again" if fix and _removed(folder, place.folder.parent) else ""
    what = f"{folder.relative_to(place.folder)} is not whole"
    return Ailment(place.case, what, "" if mended else "run the step again, or with --fix remove it", mended)


def _removed(path: Path, root: Path) -> bool:
    """Remove a file or folder, unless a link leads out of the atlas."""
    if not path.resolve().is_relative_to(root.resolve()):
        return False
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return True


def _masks(place: CasePlace, *, deep: bool) -> Iterator[Ailment]:
    """Compare masks with their records: originals and revisions can't be made again."""
    for folder, kind in _recorded(place):
        try:
            masks = _masks_of(folder, kind)
        except AtlasError as error:
            yield Ailment(place.case, _fault(error), _BACKUP)
            continue
        for name, mask in masks.items():
            path = (folder / "segmentations" if kind is ProvenanceRecord else folder) / f"{name}{MASK}"
            where = path.relative_to(place.folder)
            if not path.is_file():
                yield Ailment(place.case, f"{where} is missing", _BACKUP)
            elif deep and sha256_file(path) != mask.sha256:
                yield Ailment(place.case, f"{where} is not what was stored", "restore it, or import it as a revision")


Recorded = type[OriginalRecord] | type[RevisionRecord] | type[ProvenanceRecord]
_FILES: dict[Recorded, str] = {
    OriginalRecord: "labels.json",
    RevisionRecord: "revision.json",
    ProvenanceRecord: "provenance.json",
}


def _recorded(place: CasePlace) -> Iterator[tuple[Path, Recorded]]:
    if place.original.is_dir():
        yield place.original, OriginalRecord
    for folder in sorted((place.folder / "revisions").glob("*")):
        if folder.is_dir() and any(folder.iterdir()):  # an empty one is what a killed import leaves: never stored
            yield folder, RevisionRecord
    if whole_record(place.assembled) is not None:
        yield place.assembled, ProvenanceRecord


def _masks_of(folder: Path, kind: Recorded) -> Mapping[str, MaskRecord]:
    if kind is RevisionRecord and not (folder / RECORD).is_file():
        raise AtlasError(f"{folder / RECORD}: is missing, so that the revision does not count")
    return read_record(kind, folder / _FILES[kind]).masks
