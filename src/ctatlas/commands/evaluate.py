"""`ctatlas evaluate`: predictions against references, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctatlas.commands.console import showing_progress
from ctatlas.commands.options import AsJson, Debug, DryRun, Quiet, Workers, flag

if TYPE_CHECKING:
    from ctatlas.measure.detection import LesionRule

EXAMPLE = "ctatlas evaluate labels predictions --out evaluation --tolerance 2"


def evaluate(
    gt: Annotated[
        Path,
        typer.Argument(
            metavar="GT",
            help="The references: case folders, label maps, DICOM SEG, nnU-Net's data, an atlas, one file.",
        ),
    ],
    pred: Annotated[Path, typer.Argument(metavar="PRED", help="The predictions, in any of these layouts.")],
    *,
    out: Annotated[Path, typer.Option(help="A folder for metrics.csv, metrics.parquet and pictures of the worst.")],
    metrics: Annotated[
        list[str] | None, typer.Option("--metrics", "-m", help="Separated by commas; default: dsc,nsd,hd95,assd.")
    ] = None,
    tolerance: Annotated[
        list[float] | None,
        typer.Option(
            metavar="MM", min=0, help="For surfaces, the same for all structures; may be given several times."
        ),
    ] = None,
    tolerances: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A published set of tolerances, such as flare22, or a CSV; default: 1 mm, or the preset's.",
        ),
    ] = None,
    structures: Annotated[
        list[str] | None, typer.Option("--structures", "-s", help="Only these, separated by commas.")
    ] = None,
    label_set: Annotated[
        str | None, typer.Option(help="Whose names or numbers both sides have, e.g. amos, or a dataset.json.")
    ] = None,
    gt_label_set: Annotated[str | None, typer.Option(help="The same, of the references alone.")] = None,
    pred_label_set: Annotated[str | None, typer.Option(help="The same, of the predictions alone.")] = None,
    gt_of: Annotated[
        str, typer.Option(metavar="MASKS", help="Of an atlas: assembled (the default), original, or a model's name.")
    ] = "",
    pred_of: Annotated[str, typer.Option(metavar="MASKS", help="The same, of the predictions.")] = "",
    resample: Annotated[
        bool, flag("--resample", text="Bring predictions on another grid onto the reference's, nearest voxel.")
    ] = False,
    preset: Annotated[
        str,
        typer.Option(metavar="NAME", help="Whose definitions to follow, such as monai, nnunet, suprem, flare24."),
    ] = "surfel",
    lesions: Annotated[
        list[str] | None,
        typer.Option(help="List and count the lesions of these structures, separated by commas; all: of every lesion."),
    ] = None,
    lesion_rule: Annotated[
        str,
        typer.Option(
            metavar="RULE[:NUMBER]",
            help="When a lesion is found: overlap:SHARE, one_to_one:IOU, greedy:IOU, centre:MM.",
        ),
    ] = "one_to_one:0.1",
    lesion_at_least: Annotated[float, typer.Option(metavar="MM3", help="Smaller pieces are no lesions.")] = 0.0,
    lesion_join: Annotated[float, typer.Option(metavar="MM", help="Pieces within twice that are one lesion.")] = 0.0,
    metadata: Annotated[
        Path | None, typer.Option(help="A table with a row a case: its patient, and perhaps a score.")
    ] = None,
    score: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN[:FROM]",
            help="Columns of it that tell patients with a lesion, too, and from where on; volume: the predicted mL.",
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="The scans, named after the same cases, for pictures and for contours.")
    ] = None,
    worst: Annotated[int, typer.Option(min=0, help="How many of the worst results to draw.")] = 12,
    workers: Workers = 1,
    json: AsJson = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - the program looks for it
) -> None:
    """Measure how well predicted masks meet their references: Dice, surface distances, volumes; case by case.

    Cases are matched by id. Structures that a reference does not annotate are not evaluated, a false positive in an
    organ that is known to be absent is counted. What has no partner or can't be read is named in OUT/failures.csv, and
    the exit code is 3; OUT/warnings.csv tells of swapped sides and whatever else looks wrong.
    """
    from ctatlas.benchmark.evaluate import Options, planned
    from ctatlas.benchmark.evaluate import evaluate as evaluated
    from ctatlas.commands.cases import say_plan
    from ctatlas.commands.evaluated import say_evaluation, say_evaluation_as_json, tell_of_evaluation

    options = Options(
        preset=preset,
        gt_label_set=gt_label_set or label_set,
        pred_label_set=pred_label_set or label_set,
        gt_of=gt_of,
        pred_of=pred_of,
        resample=resample,
        images=images,
        worst=worst,
        workers=workers,
        lesions=tuple(_words(lesions)),
        lesion_rule=_lesion_rule(lesion_rule, lesion_at_least, lesion_join),
        metadata=metadata,
        scores=tuple(_words(score)),
    )
    measured, at, of = _words(metrics), _tolerance(tolerance, tolerances), _words(structures)
    if dry_run:
        tasks = planned(gt, pred, out, metrics=measured, tolerance=at, structures=of, options=options)
        say_plan(tasks, as_json=json)
        return
    with showing_progress(quiet=quiet) as progress:
        found = evaluated(
            gt, pred, out, metrics=measured, tolerance=at, structures=of, options=options, progress=progress
        )
    if json:
        say_evaluation_as_json(found, out)
    elif not quiet:
        say_evaluation(found, out)
    tell_of_evaluation(found)
    if found.failures:
        raise typer.Exit(3)


def _tolerance(lengths: Sequence[float] | None, name: str | None) -> Sequence[float] | str | None:
    if lengths and name:
        raise typer.BadParameter("give --tolerance or --tolerances, not both")
    return name or lengths or None


def _lesion_rule(text: str, at_least_mm3: float, join_mm: float) -> LesionRule:
    from ctatlas.measure.detection import LesionRule

    name, _, number = text.partition(":")
    try:
        threshold = float(number) if number else None
    except ValueError:
        raise typer.BadParameter(f"--lesion-rule {text}: {number[:40]!r} is no number") from None
    return LesionRule(rule=name.strip(), threshold=threshold, at_least_mm3=at_least_mm3, join_mm=join_mm)


def _words(texts: Sequence[str] | None) -> list[str]:
    return [word.strip() for text in texts or [] for word in text.split(",") if word.strip()]
