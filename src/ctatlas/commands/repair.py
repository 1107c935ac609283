"""`ctatlas repair`: ribs and vertebrae of masks that any tool made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ctatlas.commands.console import say, say_json, say_table, showing_progress, tell
from ctatlas.commands.options import AsJson, Debug, DryRun, Quiet, RepairLengths, WithoutSteps, flag

if TYPE_CHECKING:
    from ctatlas.anatomy_rules.ribs import Steps

EXAMPLE = "ctatlas repair labels.nii.gz repaired.nii.gz --label-set totalsegmentator-v2 --ct scan.nii.gz"


def repair(
    masks: Annotated[
        Path,
        typer.Argument(metavar="MASKS", help="A label map, a folder of masks, a .seg.nrrd, a DICOM SEG or RTSTRUCT."),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A file, whose ending chooses the format, or a folder.")],
    *,
    ct: Annotated[
        Path | None, typer.Option("--ct", help="The scan that they lie on: with it only bone is added.")
    ] = None,
    label_set: Annotated[
        str | None, typer.Option(help="Whose numbers a label map has, e.g. totalsegmentator-v2, or a dataset.json.")
    ] = None,
    without: WithoutSteps = None,
    lengths: RepairLengths = None,
    overwrite: Annotated[bool, flag("--overwrite", text="Replace a file that stands there.")] = False,
    json: AsJson = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Repair ribs and vertebrae: sides, numbers, broken ribs, and ribs that end before the spine.

    Common tools leave ribs without their heads. Each rib is joined to its vertebra, pieces of one rib find each other,
    and numbers follow the vertebrae; intact ribs and all other structures stay as they are. What changed, and why a
    numbering is uncertain, is told and kept in OUT's repair.json.
    """
    from ctatlas.results.repairing import repair_file
    from ctatlas.volume import AS_IT_IS, ScanSource

    steps = steps_from(without, lengths)
    if dry_run:
        say(f"would read {masks}{f' and {ct}' if ct else ''}, write {out} and its repair.json")
        return
    reference = ScanSource("reference", ct, AS_IT_IS) if ct else None
    folder = out.parent if out.suffix else out
    with showing_progress(quiet=quiet) as progress:
        done = repair_file(
            folder,
            progress,
            source=masks,
            file=out,
            steps=steps,
            reference=reference,
            label_set=label_set,
            overwrite=overwrite,
        )
    if json:
        say_json(done)
        return
    for note in cast("Sequence[str]", done["notes"]):
        tell(note)
    if not quiet:
        say_repair(done)
        say(f"\n{done['file']}")


def steps_from(without: Sequence[str] | None, lengths: Sequence[str] | None) -> Steps:
    """Make steps of what the command line says."""
    from ctatlas.anatomy_rules.ribs import changed_steps
    from ctatlas.errors import ModelError

    numbers = {}
    for text in lengths or []:
        name, _, value = text.partition("=")
        try:
            numbers[name.strip()] = float(value)
        except ValueError:
            raise ModelError(f"--repair-length {text}: expected STEP.NAME=MM, as joints.reach_mm=50") from None
    names = [name.strip() for text in without or [] for name in text.split(",") if name.strip()]
    return changed_steps(without=names, lengths=numbers)


def say_repair(report: Mapping[str, Any]) -> None:
    """Say what a repair changed and why numbers are uncertain."""
    if rows := [[f["structure"], f["rule"], f["why"], _ml(f)] for f in report["findings"]]:
        say_table(["structure", "step", "change", "mL"], rows)
    else:
        say("Nothing to repair.")
    for rib in report["ribs"]:
        if rib["note"]:
            say(f"{rib['name']}: left open: {rib['note']}")
    for doubt in report["doubts"]:
        say(f"numbers uncertain: {doubt}")


def _ml(finding: Mapping[str, Any]) -> str:
    return f"+{finding['added_ml']:.2f}" if finding["added_ml"] else f"{finding['removed_ml']:.2f}"
