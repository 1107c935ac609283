"""De-identify a place: plan, do, record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from ctatlas.errors import OutputError, ScanError
from ctatlas.progress import SILENT, Progress
from ctatlas.volume.deidentify.dicom import deidentify_file
from ctatlas.volume.deidentify.images import strip_file
from ctatlas.volume.deidentify.key import Key
from ctatlas.volume.deidentify.places import Job, Plan, plan
from ctatlas.volume.deidentify.record import Refused, Report, Written, write_log
from ctatlas.volume.opening import opened

Doing = Callable[[Job], "Written | Refused"]
Spread = Callable[[Doing, "list[Job]"], Iterable["Written | Refused"]]


def one_after_another(doing: Doing, jobs: list[Job]) -> Iterator[Written | Refused]:
    """Do jobs in this process."""
    return map(doing, jobs)


def deidentify(
    source: Path,
    out: Path,
    key: Key,
    *,
    allow_head: bool = False,
    spread: Spread = one_after_another,
    progress: Progress = SILENT,
) -> Report:
    """Write de-identified copies of all scans, segmentations and structure sets of a place.

    Parameters
    ----------
    source : Path
        A file, a folder, or a zip or tar archive.
    out : Path
        A folder outside of it: OUT/<pseudonym>/…, and the log `deidentification.csv`. Files of an earlier run with the
        same key stay or are written again, with the same bytes.
    key : Key
    allow_head : bool
        Also take heads, whose faces can be recognised.
    spread : callable, optional
        Does the jobs; another one may use several processes.

    Raises
    ------
    ScanError
        When there is no such place, or nothing to do in it.
    OutputError
        When one of `source` and `out` lies inside the other, or `out` can't be written to.
    """
    check_places(source, out)
    progress.stage("look at files", 1)
    with opened(source) as place:
        wanted = plan(place, key, allow_head=allow_head)
        return carry_out(wanted, out, key, spread=spread, progress=progress)


def carry_out(
    wanted: Plan, out: Path, key: Key, *, spread: Spread = one_after_another, progress: Progress = SILENT
) -> Report:
    """Do what was planned; also when interrupted, the log has what was written."""
    written: list[Written] = []
    refused = list(wanted.refused)
    progress.stage("de-identify", len(wanted.jobs))
    try:
        for result in spread(partial(_do, out=out, key=key, allow_head=wanted.allow_head), list(wanted.jobs)):
            progress.advance()
            if isinstance(result, Written):
                written.append(result)
            else:
                refused.append(result)
    finally:
        if written:
            write_log(out, written)
    return Report(
        tuple(sorted(written, key=lambda one: one.file)),
        tuple(sorted(refused, key=lambda one: one.number)),
        wanted.n_passed_over,
        wanted.n_copies,
    )


def check_places(source: Path, out: Path, key: Path | None = None) -> None:
    """See that there is something to do, and that what is shared holds neither originals nor the key, nor lies in them.

    Raises
    ------
    ScanError
        When there is no `source`.
    OutputError
    """
    if not source.exists():
        raise ScanError(f"{source}: there is no such file or folder; check the path.")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: is a file; name a folder for the output")
    original, shared = source.resolve(), out.resolve()
    if shared == original or original in shared.parents:
        raise OutputError(f"{out}: lies inside the input {source}; choose an output folder outside of it")
    if shared in original.parents:
        raise OutputError(f"{out}: has the input {source} inside; choose a folder that holds no originals")
    if key is not None and shared in key.resolve().parents:
        raise OutputError(
            f"{key}: lies inside the output {out}; who gets that must not get the key: choose another --key"
        )


def _do(job: Job, *, out: Path, key: Key, allow_head: bool) -> Written | Refused:
    target = out / job.target
    try:
        if job.kind == "dicom":
            return deidentify_file(job.source, target, job.target, key, allow_head=allow_head)
        return strip_file(job.source, target, job.target, job.kind)
    except ScanError as error:
        return Refused(job.source, job.number, "de-identify", str(error))
    except MemoryError:
        return Refused(job.source, job.number, "de-identify", "not enough memory for this file")
