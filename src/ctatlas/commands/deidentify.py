"""`ctatlas deidentify`: scans and masks that no longer say who they are of."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctatlas.commands.options import AsJson, Debug, DryRun, Quiet, Workers, flag

if TYPE_CHECKING:
    from ctatlas.volume.deidentify import Key, Plan, Refused, Report

EXAMPLE = "ctatlas deidentify hospital_export/ shareable/"
_KEY = "deidentification.key"


def deidentify(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="A file, folder or archive: DICOM (CT, MR, PET, SEG, RTSTRUCT), NIfTI, NRRD, MetaImage."
        ),
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="A folder outside of IN: OUT/<pseudonym>/… and deidentification.csv.")
    ],
    *,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The secret of the pseudonyms; made where there is none. Keep it, and apart."
        ),
    ] = None,
    allow_head: Annotated[
        bool, flag("--allow-head", text="Also scans of head, face or neck, where a person can be recognised.")
    ] = False,
    workers: Workers = 1,
    json: AsJson = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - read by the program
) -> None:
    """Take out of scans, segmentations and structure sets who they are of; pixels stay as they are.

    The same key gives the same pseudonyms, UIDs and shifted dates in every run, so CT, SEG and RTSTRUCT stay linked.

    What can't be made safe is refused: text burned into pixels, screen copies, reports, heads. Each is a row in
    OUT/failures.csv, and the exit code is 3. No record holds a value of a patient or a name of an original file.
    """
    from ctatlas.commands.console import showing_progress, tell
    from ctatlas.execution.spread import in_processes
    from ctatlas.settings import settings
    from ctatlas.volume.deidentify import carry_out, check_places, plan
    from ctatlas.volume.opening import opened

    place = key or settings().home / _KEY
    check_places(source, out, place)
    secret, said = _key(place, dry_run=dry_run)
    if not quiet:
        tell(said)
    with showing_progress(quiet=quiet) as progress, opened(source) as folder:
        progress.stage("look at files", 1)
        wanted = plan(folder, secret, allow_head=allow_head)
        if dry_run:
            _say_plan(wanted, out, as_json=json)
            return
        spread = partial(in_processes, workers=workers)
        report = carry_out(wanted, out, secret, spread=spread, progress=progress)
    raise typer.Exit(_finish(report, source, out, as_json=json, quiet=quiet))


def _key(place: Path, *, dry_run: bool) -> tuple[Key, str]:
    """Return the key, and what to say of it."""
    from ctatlas.volume.deidentify import key_in, passing_key

    if dry_run and not place.exists():
        return passing_key(), f"no key yet: {place} will be made, and give other pseudonyms than these"
    secret, is_new = key_in(place)
    return secret, f"{'made a new key' if is_new else 'key'}: {place}; who has it can link pseudonyms to people"


def _finish(report: Report, source: Path, out: Path, *, as_json: bool, quiet: bool) -> int:
    """Say what was done, write the table of what was not, and return the exit code."""
    from ctatlas.commands.console import say, say_json, say_table, tell
    from ctatlas.errors import ScanError
    from ctatlas.execution import FAILURES, Outcome, write_failures

    if report.refused and len(report.refused) + len(report.written) == 1:
        raise ScanError(f"{source.name}: {report.refused[0].reason}")
    failed = [Outcome(one.case, out, "failed", stage=one.stage, reason=one.reason) for one in report.refused]
    if failed or out.is_dir():
        write_failures(out, failed)
    _tell_refused(report.refused)
    if as_json:
        say_json(
            {
                "patients": list(report.patients),
                "files": [{"file": one.file, "object": one.kind} | one.deeds for one in report.written],
                "refused": [_as_json(one) for one in report.refused],
                "n_passed_over": report.n_passed_over,
                "n_copies": report.n_copies,
            }
        )
    elif not quiet:
        kinds = [one.kind for one in report.written]
        say_table(["object", "files"], [[kind, str(kinds.count(kind))] for kind in sorted(set(kinds))])
        say(f"\npatients: {len(report.patients)}, in {out}; {_left(report)}")
    if failed:
        tell(f"{len(failed)} of {len(failed) + len(report.written)} files refused: {out / FAILURES}")
    return 3 if failed else 0


def _tell_refused(refused: Sequence[Refused]) -> None:
    """Say how many files are refused for each reason.

    The first one's name, which may tell who the patient is, stands on a terminal only and never in a log.
    """
    from ctatlas.commands.console import tell

    by_reason: dict[str, list[str]] = {}
    for one in refused:
        by_reason.setdefault(one.reason, []).append(str(one.source) if sys.stderr.isatty() else one.case)
    for reason, names in by_reason.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        tell(f"{names[0]}{more}: {reason}")


def _say_plan(wanted: Plan, out: Path, *, as_json: bool) -> None:
    from ctatlas.commands.console import say, say_json, say_table

    n_bytes = sum(job.n_bytes for job in wanted.jobs)
    refused = [_as_json(one) for one in wanted.refused]
    if as_json:
        jobs = [{"number": job.number, "file": job.target, "bytes_about": job.n_bytes} for job in wanted.jobs]
        say_json(
            {
                "would_write": jobs,
                "would_refuse": refused,
                "n_passed_over": wanted.n_passed_over,
                "n_copies": wanted.n_copies,
            }
        )
        return
    patients = sorted({Path(job.target).parts[0] for job in wanted.jobs})
    counts = [[name, str(sum(job.target.startswith(f"{name}/") for job in wanted.jobs))] for name in patients]
    say_table(["patient", "files"], counts)
    _tell_refused(wanted.refused)
    say(f"\nwould write {len(wanted.jobs)} files, about {n_bytes / 1e6:.1f} MB, to {out}")
    say(f"would refuse {len(refused)}; {_left(wanted)}")


def _left(counted: Plan | Report) -> str:
    return f"not copied: {counted.n_passed_over} files that are no scans, {counted.n_copies} that came twice"


def _as_json(refused: Refused) -> dict[str, object]:
    return {"number": refused.number, "stage": refused.stage, "reason": refused.reason}
