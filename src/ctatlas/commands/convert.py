"""`ctatlas convert`: scans and segmentations from one format to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctatlas.commands.console import say_json, say_table
from ctatlas.commands.options import AsJson, Debug, DryRun, Phase, Quiet, Repair, Series, Workers, flag
from ctatlas.errors import OutputError

if TYPE_CHECKING:
    from ctatlas.execution import Outcome, Task
    from ctatlas.execution.task import Work
    from ctatlas.volume import Choices

EXAMPLE = "ctatlas convert scan.zip scan.nii.gz"
STEP_VERSION = 1


@dataclass(frozen=True, slots=True)
class _Job:
    """What was asked for."""

    source: Path
    out: Path
    kind: str | None
    choices: Choices
    reference: Path | None
    label_set: str | None
    overwrite: bool


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="A scan or a segmentation, or a folder or archive of many scans.")
    ],
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="A file, whose ending chooses the format, or a folder of files or masks."),
    ],
    *,
    as_kind: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="The format, where no ending says it: nifti, nrrd, metaimage; of masks masks, labels, seg-nrrd, "
            "dicom-seg, dicom-labelmap, rtstruct.",
        ),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Of masks: the CT that they lie on; DICOM objects need it.")
    ] = None,
    label_set: Annotated[
        str | None, typer.Option(help="Of masks: whose names and numbers, e.g. abdomenatlas-1.1.")
    ] = None,
    series: Series = None,
    phase: Phase = None,
    repair: Repair = False,
    overwrite: Annotated[bool, flag("--overwrite", text="Replace a file that stands there.")] = False,
    workers: Workers = 1,
    json: AsJson = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Convert scans to .nii.gz, .nrrd, .nhdr, .mha or .mhd; masks to a folder, .nii.gz, .seg.nrrd or a DICOM object.

    What IN is, its content says. Of many scans each becomes a file in the folder OUT; one that fails does not stop the
    others: it is a row in OUT/failures.csv, and the exit code is 3.
    """
    from ctatlas.commands.cases import Manner, run_tasks
    from ctatlas.execution import perform_in_place
    from ctatlas.volume import Choices

    job = _Job(source, out, as_kind, Choices(series, phase, repair), reference, label_set, overwrite)
    tasks = _tasks(job)
    if dry_run:
        _say_plan(tasks, as_json=json)
        return
    manner = Manner(workers, as_json=json, quiet=quiet, debug=debug)
    raise typer.Exit(run_tasks(tasks, out, manner, _say_files, do=perform_in_place))


def _tasks(job: _Job) -> list[Task]:
    """Turn a call into tasks, one a scan or segmentation."""
    from ctatlas.commands.scans import refuse_output_within_input
    from ctatlas.volume import ScanSource, case_name, scans_in
    from ctatlas.volume.converting import convert_masks, convert_scan, holds_masks, masks_kind, scan_file

    refuse_output_within_input(job.source, job.out)
    if holds_masks(job.source, job.out, job.kind):
        if job.reference is None:
            _refuse_idle(job, "masks", series=job.choices.series, phase=job.choices.phase, repair=job.choices.repair)
        kind = masks_kind(job.out, job.kind)
        reference = ScanSource("reference", job.reference, job.choices) if job.reference else None
        work: Work = partial(
            convert_masks,
            source=job.source,
            file=job.out,
            kind=kind,
            overwrite=job.overwrite,
            reference=reference,
            label_set=job.label_set,
        )
        folder = job.out if kind == "masks" else job.out.parent
        return [_task(case_name(job.source), folder, work, job.source, job.out)]
    _refuse_idle(job, "scans", reference=job.reference, label_set=job.label_set)
    sources = scans_in(job.source, job.choices)
    tasks = []
    for source in sources:
        file, kind = scan_file(job.out, source.case, job.kind, n_scans=len(sources))
        work = partial(convert_scan, source=source, file=file, kind=kind, overwrite=job.overwrite)
        tasks.append(_task(source.case, file.parent, work, source.path, file))
    return tasks


def _refuse_idle(job: _Job, what: str, **options: object) -> None:
    """Refuse options that say nothing about what is converted, rather than pass over what a person meant."""
    idle = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
    if idle:
        raise OutputError(f"{job.source}: holds {what}, about which {', '.join(idle)} says nothing; leave it out.")


def _task(case: str, folder: Path, work: Work, source: Path, file: Path) -> Task:
    from ctatlas.execution import Task
    from ctatlas.volume import files_of

    makes = (file.relative_to(folder).as_posix(),)
    return Task(case, folder, work, "convert", STEP_VERSION, inputs=files_of(source), makes=makes)


def _say_plan(tasks: Sequence[Task], *, as_json: bool) -> None:
    rows = [
        {
            "case": task.case,
            "reads_files": len(task.inputs),
            "reads_bytes": task.input_bytes,
            "writes": str(task.folder / task.makes[0]),
        }
        for task in tasks
    ]
    if as_json:
        say_json({"cases": rows})
        return
    cells = [[str(row["case"]), str(row["reads_files"]), f"{task.input_bytes / 1e6:.1f}", str(row["writes"])]
             for row, task in zip(rows, tasks, strict=True)]  # fmt: skip
    say_table(["case", "reads files", "reads MB", "would write"], cells)


def _say_files(outcomes: Sequence[Outcome]) -> None:
    from ctatlas.commands.scans import say_remarks

    say_remarks(outcomes)
    say_table(["case", "state", "voxels", "mm", "file"], [_line(outcome) for outcome in outcomes])


def _line(outcome: Outcome) -> list[str]:
    if outcome.state == "failed":
        return [outcome.case, outcome.state, "", "", ""]
    summary = outcome.summary
    shape, spacing = summary["shape"], summary["spacing_mm"]
    if not isinstance(shape, list) or not isinstance(spacing, list):
        raise TypeError("expected lists")
    voxels, mm = " x ".join(map(str, shape)), " x ".join(f"{length:.4g}" for length in spacing)
    return [outcome.case, outcome.state, voxels, mm, str(summary["file"])]
