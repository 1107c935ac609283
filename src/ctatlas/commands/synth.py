"""`ctatlas synth`: scans of people who never lived, with the truth about them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctatlas.commands.options import AsJson, Debug, DryRun, Quiet, Workers

if TYPE_CHECKING:
    from ctatlas.execution import Outcome, Task
    from ctatlas.progress import Progress

EXAMPLE = "ctatlas synth phantom -n 20 --seed 1 phantoms"
STEP_VERSION = 2  # raised whenever the same seed would give another phantom
app = typer.Typer(help="Scans of people who never lived, with the truth about them.", epilog=f"Example: {EXAMPLE}")


@app.command("phantom", epilog=f"Example: {EXAMPLE}")
def phantom(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="A folder: OUT/<case>/ct.nii.gz, its labels and its record.")
    ],
    *,
    n: Annotated[int, typer.Option("-n", min=1, help="How many.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same phantoms, however many.")] = 0,
    conditions: Annotated[
        list[str] | None,
        typer.Option(
            "--condition", help="Everybody has exactly this, such as splenectomy; may be given several times."
        ),
    ] = None,
    workers: Workers = 1,
    json: AsJson = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make CT phantoms: a drawn body, scanned with noise, its structures known voxel by voxel.

    Each case holds ct.nii.gz, combined_labels.nii.gz with labels.json, the vertebrae and ribs one by one in
    numbered_bones.nii.gz, and phantom.json with all that was drawn. Without --condition each occurs as often as in
    conditions.csv.
    """
    from ctatlas.commands.cases import Manner, run_tasks, say_plan
    from ctatlas.synthesis.conditions import known_conditions

    wanted = None if conditions is None else tuple(sorted(known_conditions(conditions)))
    tasks = [_task(out, seed, number, wanted) for number in range(1, n + 1)]
    if dry_run:
        say_plan(tasks, as_json=json)
        return
    raise typer.Exit(run_tasks(tasks, out, Manner(workers, as_json=json, quiet=quiet, debug=debug), _say_phantoms))


def _say_phantoms(outcomes: Sequence[Outcome]) -> None:
    from ctatlas.commands.cases import state_of
    from ctatlas.commands.console import say_table

    rows = [[each.case, state_of(each), str(each.summary.get("phase", "")), str(each.folder)] for each in outcomes]
    say_table(["case", "state", "contrast phase", "folder"], rows)


def _task(out: Path, seed: int, number: int, conditions: tuple[str, ...] | None) -> Task:
    from ctatlas.execution import Task
    from ctatlas.synthesis.folders import FILES

    case = f"phantom_{seed}_{number:04d}"
    return Task(
        case=case,
        folder=out / case,
        work=partial(_make, seed, number, conditions),
        step="synth phantom",
        version=STEP_VERSION,
        parameters={"seed": seed, "number": number, "conditions": conditions},
        makes=FILES,
    )


def _make(
    seed: int, number: int, conditions: tuple[str, ...] | None, folder: Path, progress: Progress
) -> dict[str, object]:
    from ctatlas.synthesis.cases import draw_case, make_case
    from ctatlas.synthesis.folders import write_case

    progress.stage("draw", 1)
    plan = draw_case(seed, number, conditions=conditions)
    progress.stage("paint and scan", 1)
    case = make_case(plan)
    progress.stage("write", 1)
    write_case(case, folder)
    present = [name for name, n_voxels in case.truth.n_voxels().items() if n_voxels]
    return {"phase": plan.intensities.phase, "shape": list(plan.shape), "structures_present": present}
