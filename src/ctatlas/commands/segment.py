"""`ctatlas segment`: the organs of one scan or of many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ctatlas.commands.console import tell
from ctatlas.commands.options import (
    AsJson,
    Debug,
    DryRun,
    OnBackend,
    Phase,
    Quiet,
    Repair,
    RepairLengths,
    Series,
    WithoutSteps,
    Workers,
    flag,
)

if TYPE_CHECKING:
    from ctatlas.models.tasks import Task

SegType = Literal["binary", "labelmap"]
EXAMPLE = "ctatlas segment scan.nii.gz out --statistics --preview"


def segment(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="A scan: NIfTI, NRRD, MetaImage, a DICOM folder; or a folder or zip of many."
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="A folder: OUT/segmentations/, or with many OUT/<case>/segmentations/."),
    ],
    *,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="A model's name, or its folder (default: ctatlas/base); given several times, their mean probability "
            "decides, and disagreement.nii.gz shows where they differ.",
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="TASK",
            help="A task whose model of nnU-Net is here, such as autoorgan/ribs; of several each gives its structures.",
        ),
    ] = None,
    repair_ribs: Annotated[
        bool, flag("--repair-ribs", text="Repair ribs and vertebrae, whatever the model; done after autoorgan/ribs.")
    ] = False,
    without: WithoutSteps = None,
    repair_length: RepairLengths = None,
    keep_models: Annotated[
        bool, flag("--keep-models", text="Of several models also what each finds by itself, in OUT/models/.")
    ] = False,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Whose windows, overlap, threshold and clean-up: abdomenatlas, suprem, nnunet or fast; "
            "default: what the model's card says."
        ),
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(help="Classes by text for a text-driven model, from 'ctatlas models embed': replaced or added."),
    ] = None,
    structures: Annotated[
        list[str] | None,
        typer.Option("--structures", "-s", help="Only these, separated by commas; also experimental ones, or 'all'."),
    ] = None,
    label_set: Annotated[
        str | None, typer.Option(help="Whose names and numbers to write, e.g. abdomenatlas-1.1, or a dataset.json.")
    ] = None,
    combined: Annotated[bool, flag("--combined", text="Also one file of all labels, with labels.json.")] = False,
    statistics: Annotated[
        bool, flag("--statistics", text="Also mL, mean HU and whether a structure is cut: .json and .csv.")
    ] = False,
    preview: Annotated[bool, flag("--preview", text="Also a picture: three planes with outlines.")] = False,
    save_probabilities: Annotated[
        bool, flag("--save-probabilities", text="Also the network's probabilities, 255 is certain.")
    ] = False,
    save_entropy: Annotated[
        bool, flag("--save-entropy", text="Also where the network is in doubt, 255 is the most.")
    ] = False,
    dicom_seg: Annotated[bool, flag("--dicom-seg", text="Also a DICOM SEG on the scan's own images.")] = False,
    seg_type: Annotated[
        SegType | None,
        typer.Option(help="The type of --dicom-seg: binary (the default), which every viewer knows, or labelmap."),
    ] = None,
    rtstruct: Annotated[bool, flag("--rtstruct", text="Also contours as DICOM RTSTRUCT.")] = False,
    seg_nrrd: Annotated[bool, flag("--seg-nrrd", text="Also one .seg.nrrd for 3D Slicer.")] = False,
    backend: OnBackend = None,
    series: Series = None,
    phase: Phase = None,
    repair: Repair = False,
    workers: Workers = 1,
    json: AsJson = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find the organs of a CT scan, or of many: one mask a structure, on the scan's own grid.

    A second run skips what is done and whole, and does again what changed.

    Of many scans, one that fails does not stop the others: it is a row in OUT/failures.csv, and the exit code is 3.
    """
    from ctatlas.commands.cases import Manner, run_tasks, say_plan
    from ctatlas.commands.repair import steps_from
    from ctatlas.commands.scans import Job, foretold, say_scans, tasks_of
    from ctatlas.finding import How
    from ctatlas.pipeline import Team
    from ctatlas.results import Extras
    from ctatlas.volume import Choices

    asked = tasks_asked(task or [])
    models = tuple(dict.fromkeys([*asked, *(model or ([] if asked else ["ctatlas/base"]))]))
    how: How = "union" if asked else "mean"
    wants_ribs = repair_ribs or any(each.repairs_ribs for each in asked.values())
    steps = steps_from(without, repair_length) if wants_ribs else None
    extras = Extras(
        combined=combined,
        statistics=statistics,
        preview=preview,
        probabilities=save_probabilities,
        entropy=save_entropy,
        disagreement=len(models) > 1 and how == "mean",
        members=keep_models and len(models) > 1,
        dicom_seg=dicom_seg or seg_type is not None,
        rtstruct=rtstruct,
        seg_nrrd=seg_nrrd,
        seg_type=seg_type or "binary",
    )
    names = [name for text in structures or [] for name in text.split(",") if name.strip()]
    team = Team(models, how, preset=preset, backend=backend, steps=steps, embeddings=embeddings)
    job = Job(source, out, team, names or None, label_set, extras, Choices(series, phase, repair))
    tasks = tasks_of(job)
    if dry_run:
        say_plan(tasks, foretold(job), as_json=json)
        return
    raise typer.Exit(run_tasks(tasks, out, Manner(workers, as_json=json, quiet=quiet, debug=debug), say_scans))


def tasks_asked(words: Sequence[str]) -> dict[str, Task]:
    """Return the tasks that somebody asked for, by their names, and say what is to be said."""
    from ctatlas.models.tasks import task_called

    found: dict[str, Task] = {}
    for word in (word.strip() for text in words for word in text.split(",") if word.strip()):
        asked = task_called(word)
        if asked.remark:
            tell(asked.remark)
        found[asked.task.name] = asked.task
    return found
