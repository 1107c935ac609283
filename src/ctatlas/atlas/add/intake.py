"""Read one case of a source and write it, whole, beside the cases of the atlas: all that enters goes through here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctatlas.atlas.add.fingerprint import fingerprint, voxels_sha256
from ctatlas.atlas.add.found import Found
from ctatlas.atlas.add.given import keep_predictions, keep_revision
from ctatlas.atlas.add.identity import NamelessError, Who, who_of, without_names
from ctatlas.atlas.add.originals import originals_of, write_originals
from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.records import CaseRecord, GridRecord, write_record
from ctatlas.errors import CtatlasError, OutputError, ScanError
from ctatlas.hashing import sha256_file
from ctatlas.progress import Progress
from ctatlas.volume import Grid, Volume, not_hounsfield, opened, read, write_volume
from ctatlas.volume.deidentify import Key


@dataclass(frozen=True, slots=True)
class Entry:
    """One case to take in: what was found, the id it gets, and what stands for its files.

    Attributes
    ----------
    stage : Path
        Where it is written, on the atlas's own disk, until it is whole.
    """

    found: Found
    case: str
    stage: Path
    origin: str
    stamp: str


@dataclass(frozen=True, slots=True)
class Manners:
    """What a person allowed of all cases."""

    allow_head: bool = False
    ignore_unknown: bool = False


def take_in(_: Path, progress: Progress, *, entry: Entry, key: Key, manners: Manners) -> Mapping[str, object]:
    """Read a case and write scan, originals, and what models and people made of it to its stage.

    Returns
    -------
    mapping
        `record`, all of `case.json` but what only the whole atlas can tell; `remarks` for a person.

    Raises
    ------
    ScanError
        When scan or labels can't be read, are no CT in HU, or don't lie on each other. Of a scan whose name may be a
        patient's the message has no name.
    OutputError
        When the stage can't be written.
    """
    try:
        with _stage(entry.stage), _unnamed(entry):
            progress.stage("read", 1)
            scan, who = _scan(entry.found, key, manners)
            progress.stage("write", 1)
            write_volume(scan, entry.stage / "ct.nii.gz")
            remarks = _originals(entry, scan, manners)
            record = _record(entry, scan, who, key)
            staged = CasePlace(entry.stage)
            write_record(record, staged.record)
            keep_predictions(entry.found, staged, scan.grid)
            remarks += keep_revision(entry.found, staged, scan.grid)
            return {"record": record.model_dump(mode="json"), "remarks": [*remarks, *record.notes, *record.repairs]}
    except BaseException:
        shutil.rmtree(entry.stage, ignore_errors=True)
        raise


def _scan(found: Found, key: Key, manners: Manners) -> tuple[Volume, Who]:
    """Read the scan and who it is of, unpacking an archive once."""
    with opened(found.source.path, found.source.inside) as place:
        path = place / found.source.inside if found.source.inside else place
        scan = read(path, found.source.choices)
        who = who_of(path, scan.facts, key, allow_head=manners.allow_head)
    if fault := not_hounsfield(scan):
        raise ScanError(f"{found.source.path.name}: is no CT in Hounsfield units: {fault}")
    return Volume(scan.array, _as_stored(scan.grid), scan.facts), who


def _originals(entry: Entry, scan: Volume, manners: Manners) -> tuple[str, ...]:
    """Write the masks that came with the scan, if any did; return what should be known about them."""
    found = entry.found
    if found.labels is None or found.label_set is None:
        return ()
    masks, native_ids, remarks = originals_of(
        found.labels, scan, found.label_set, left_out=found.left_out, ignore_unknown=manners.ignore_unknown
    )
    folder = CasePlace(entry.stage).original
    write_originals(masks, folder, label_set_name=_public_name(found), native_ids=native_ids)
    return remarks


def _record(entry: Entry, scan: Volume, who: Who, key: Key) -> CaseRecord:
    found, facts, place = entry.found, scan.facts, CasePlace(entry.stage)
    notes, repairs = (_said(lines, entry, scan) for lines in (facts.notes, facts.repairs))
    return CaseRecord(
        case=entry.case,
        dataset=found.dataset,
        dataset_case=found.name,
        label_set=_public_name(found) if found.labels else None,
        patient=key.patient(found.patient) if found.patient else who.patient,
        split=found.split,
        phase=found.phase or who.phase,
        grid=GridRecord.of(scan.grid),
        scanner=who.scanner,
        origin=entry.origin,
        origin_stamp=entry.stamp,
        ct_sha256=sha256_file(place.ct),
        voxels_sha256=voxels_sha256(scan),
        fingerprint=fingerprint(scan),
        notes=notes,
        repairs=repairs,
    )


def _said(lines: tuple[str, ...], entry: Entry, scan: Volume) -> tuple[str, ...]:
    """Return what the reader said of a scan, of a DICOM series without names."""
    if scan.facts.kind != "dicom":
        return lines
    return tuple(without_names(line, entry.found.source.path, entry.case) for line in lines)


def _public_name(found: Found) -> str | None:
    """Return a label set's name without the folders of a file."""
    if found.label_set is None or not Path(found.label_set).suffix:
        return found.label_set
    return f"{found.dataset}/{Path(found.label_set).name}"


def _as_stored(grid: Grid) -> Grid:
    """Return a grid as a NIfTI file holds it, so that record and file say the same."""
    return Grid(grid.shape, grid.affine.astype(np.float32))


@contextmanager
def _stage(folder: Path) -> Iterator[None]:
    """Make an empty folder; what an interrupted run left there is of no use."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"{folder}: can't be written ({error.strerror})") from error
    yield


@contextmanager
def _unnamed(entry: Entry) -> Iterator[None]:
    """Keep a patient's name out of what is said of a scan, because tables of failures stay in the atlas."""
    try:
        yield
    except OutputError:
        raise
    except NamelessError as error:
        raise ScanError(f"{entry.case}: {error}") from None
    except CtatlasError as error:
        if not (entry.found.may_tell_who or entry.found.source.path.is_dir()):
            raise
        raise ScanError(without_names(str(error), entry.found.source.path, entry.case)) from None
