"""`ctatlas evaluate`: predictions against references, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctatlas.commands.console import say, say_json, say_table, showing_progress, tell
from ctatlas.commands.options import AsJson, Debug, DryRun, Quiet, Workers, flag

if TYPE_CHECKING:
    from ctatlas.benchmark.evaluate import Evaluation, StructureSummary
    from ctatlas.measure.detection import Detection, LesionRule

EXAMPLE = "ctatlas evaluate labels predictions --out evaluation --tolerance 2"
_AT_MOST_LINES = 20
_COLUMNS_OF_METRICS = 3  # what a terminal has room for
_LESION_COLUMNS = (
    "lesions of",
    "size",
    "rule",
    "there n",
    "found n",
    "sensitivity value",
    "95 %",
    "false a scan value",
)


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
        str | None, typer.Option(metavar="COLUMN", help="Of that table: what else tells patients with a lesion.")
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
        score=score,
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
        _say_json(found, out)
    elif not quiet:
        _say(found, out)
    _tell(found)
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


def _say(found: Evaluation, out: Path) -> None:
    from ctatlas.measure.metrics import metrics

    summary = found.summary()
    shown = [(each.metric, each.tolerance_mm) for each in summary[0].middles[:_COLUMNS_OF_METRICS]] if summary else []
    heads = [_head(metric, mm, metrics()[metric].unit) for metric, mm in shown]
    columns = ["structure", "cases n", *(f"{head} {kind} value" for head in heads for kind in ("mean", "median"))]
    columns += ["missed n", "false positive n", "no prediction n"]
    say_table(columns, [_line(each, shown) for each in summary])
    if found.lesions.counted:
        say("")
        say_table(_LESION_COLUMNS, [_lesion_line(each) for each in found.lesions.counted if each.sensitivity.n])
    say(f"\n{out}")


def _head(metric: str, tolerance_mm: float | None, unit: str) -> str:
    at = f" at {tolerance_mm:g} mm" if tolerance_mm is not None else ""
    return f"{metric}{at}{'' if unit == 'fraction' else f' {unit}'}"


def _line(each: StructureSummary, shown: Sequence[tuple[str, float | None]]) -> list[str]:
    middles = {(middle.metric, middle.tolerance_mm): middle for middle in each.middles}
    found = [middles.get(one) for one in shown]
    numbers = [number for middle in found for number in ((middle.mean, middle.median) if middle else (None, None))]
    counts = (each.missed, each.false_positives, each.no_prediction)
    return [
        each.structure,
        str(each.n),
        *("" if number is None else f"{number:.3f}" for number in numbers),
        *(str(n) if n else "" for n in counts),
    ]


def _lesion_line(each: Detection) -> list[str]:
    share, ends = each.sensitivity.value, each.sensitivity.interval
    return [
        each.structure,
        each.size_class,
        f"{each.rule} {each.threshold:g}",
        str(each.sensitivity.n),
        str(each.sensitivity.count),
        "" if share is None else f"{share:.3f}",
        f"{ends.low:.3f}-{ends.high:.3f}",
        f"{each.false_positives_per_scan:.2f}",
    ]


def _say_json(found: Evaluation, out: Path) -> None:
    from dataclasses import asdict

    from ctatlas.benchmark.evaluate.lesions import DETECTION, SUMMARY
    from ctatlas.results import NOTICE

    say_json(
        {
            "notice": NOTICE,
            "folder": str(out),
            "structures": [asdict(each) for each in found.summary()],
            "failures": [asdict(each) for each in found.failures],
            "warnings": [asdict(each) for each in found.notes],
            "lesions": _rows_of(found, SUMMARY),
            "patients": _rows_of(found, DETECTION),
        }
    )


def _rows_of(found: Evaluation, table: str) -> list[dict[str, object]]:
    """Return a table of lesions as JSON has it, which knows no infinity."""
    from ctatlas.benchmark.evaluate.lesions import lesion_tables

    columns, rows = lesion_tables(found.lesions).get(table, ((), ()))
    return [
        {column: "inf" if cell == float("inf") else cell for column, cell in zip(columns, row, strict=True)}
        for row in rows
    ]


def _tell(found: Evaluation) -> None:
    """Say on stderr what failed and what looks wrong; the tables hold all of it."""
    lines = [f"{each.case}: {each.stage}: {each.reason}" for each in found.failures]
    lines += [": ".join(word for word in (each.case, each.structure, each.message) if word) for each in found.notes]
    for line in lines[:_AT_MOST_LINES]:
        tell(line)
    if len(lines) > _AT_MOST_LINES:
        tell(f"and {len(lines) - _AT_MOST_LINES} more in failures.csv and warnings.csv")
