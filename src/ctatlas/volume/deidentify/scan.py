"""One scan of one patient, whole or not at all: for whoever takes scans in, such as an atlas."""

from __future__ import annotations

import secrets
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import ctatlas
from ctatlas.errors import OutputError, ScanError
from ctatlas.progress import SILENT, Progress
from ctatlas.volume.deidentify.key import Key
from ctatlas.volume.deidentify.places import Plan, plan
from ctatlas.volume.deidentify.record import Refused
from ctatlas.volume.deidentify.run import carry_out, check_places
from ctatlas.volume.opening import opened


@dataclass(frozen=True, slots=True)
class ScanRecord:
    """What was done to a scan, without a value of the patient.

    Attributes
    ----------
    patient : str
        The pseudonym, ``"CTA-…"``.
    key : str
        Name of the key (`Key.name`), so that scans of one collection can be held to one.
    method : str
        Program and version.
    objects : mapping
        Kind of object ("ct", "seg", "nifti") to how many files.
    left_aside : mapping
        Reason to how many files that are no part of a scan: reports, pictures of screens.
    n_passed_over, n_copies : int
        Files that are no scans, and files that are the same as another one.
    """

    patient: str
    key: str
    method: str
    objects: Mapping[str, int]
    left_aside: Mapping[str, int]
    n_passed_over: int
    n_copies: int

    def as_json(self) -> dict[str, object]:
        """Return what JSON can hold."""
        return asdict(self)


def deidentify_scan(
    source: Path, out: Path, key: Key, *, allow_head: bool = False, progress: Progress = SILENT
) -> ScanRecord:
    """Make a de-identified copy of a scan, with its masks and contours.

    Parameters
    ----------
    source : Path
        A file, folder or archive of one patient, which stays as it is.
    out : Path
        A folder that is new or empty. It appears whole, `CTA-…/…` with the log `deidentification.csv`, or not at all.
    key : Key
        The same one gives the same pseudonym and UIDs.
    allow_head : bool
        Also take a head, whose face can be recognised.

    Raises
    ------
    ScanError
        When there is no scan, or more than one patient, or a file that may be a part of the scan can't be made safe or
        understood: a scan that lacks a slice is not the scan. Reports and pictures of screens are left aside.
    OutputError
        When `out` has something in it, or can't be written to.
    """
    check_places(source, out)
    with opened(source) as place:
        wanted = plan(place, key, allow_head=allow_head)
        _refuse_parts(source, wanted.refused)
        patient = _only_patient(source, wanted)
        part = _part_beside(out)
        try:
            report = carry_out(wanted, part, key, progress=progress)
            _refuse_parts(source, report.refused)
            _put(part, out)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return ScanRecord(
        patient=patient,
        key=key.name,
        method=f"ctatlas {ctatlas.__version__}",
        objects=dict(Counter(one.kind for one in report.written)),
        left_aside=dict(Counter(one.reason for one in report.refused)),
        n_passed_over=report.n_passed_over,
        n_copies=report.n_copies,
    )


def _refuse_parts(source: Path, refused: tuple[Refused, ...]) -> None:
    parts = [one for one in refused if not one.is_aside]
    if parts:
        more = f" (and {len(parts) - 1} more files that can't be taken)" if len(parts) > 1 else ""
        raise ScanError(f"{source.name}: {parts[0].case}{more} {parts[0].reason}")


def _only_patient(source: Path, wanted: Plan) -> str:
    patients = {job.target.split("/")[0] for job in wanted.jobs}
    if not patients:
        raise ScanError(f"{source.name}: holds reports or pictures of screens, but no scan; nothing to de-identify.")
    if len(patients) > 1:
        raise ScanError(f"{source.name}: holds files of {len(patients)} patients; give one patient at a time.")
    return patients.pop()


def _part_beside(out: Path) -> Path:
    try:
        part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
        part.mkdir(parents=True)
        return part
    except OSError as error:
        raise OutputError(f"{out}: can't be made: {error.strerror or error}; choose another folder.") from error


def _put(part: Path, out: Path) -> None:
    try:
        part.rename(out)  # onto an empty folder at most
    except OSError as error:
        raise OutputError(f"{out}: can't be put there: {error.strerror or error}; name a new folder.") from error
