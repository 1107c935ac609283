"""`ctatlas nnunet predict`: nnUNetv2_predict's words, without its package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ctatlas.commands.options import AsJson, Debug, DryRun, Quiet, flag
from ctatlas.errors import ModelError

if TYPE_CHECKING:
    from ctatlas.execution import Outcome

EXAMPLE = "ctatlas nnunet predict -i scans -o found -d 998 -tr nnUNetTrainerNoMirroring -c 3d_fullres -f 0"


def predict(
    source: Annotated[Path, typer.Option("-i", metavar="FOLDER", help="Scans, <case>_0000.nii.gz and so on.")],
    out: Annotated[Path, typer.Option("-o", metavar="FOLDER", help="Where <case>.nii.gz go; made where missing.")],
    *,
    dataset: Annotated[
        str | None, typer.Option("-d", metavar="DATASET", help="Number or name of a data set in nnUNet_results.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option("-m", metavar="FOLDER", help="A model folder or zip, instead of -d, -p, -tr and -c.")
    ] = None,
    plans: Annotated[str, typer.Option("-p", metavar="PLANS", help="Name of the plans.")] = "nnUNetPlans",
    trainer: Annotated[str, typer.Option("-tr", metavar="TRAINER", help="Name of the trainer.")] = "nnUNetTrainer",
    configuration: Annotated[
        str | None, typer.Option("-c", metavar="NAME", help="Which configuration, such as 3d_fullres.")
    ] = None,
    fold: Annotated[
        list[str] | None, typer.Option("-f", metavar="FOLD …", help="Folds; default: those that are there.")
    ] = None,
    step_size: Annotated[
        float, typer.Option("-step_size", min=0.01, max=1, help="How far windows move on, as a part of their size.")
    ] = 0.5,
    disable_tta: Annotated[bool, flag("--disable_tta", text="Don't mirror, even if the model allows it.")] = False,
    save_probabilities: Annotated[
        bool, flag("--save_probabilities", text="Also <case>.npz and <case>.pkl, for nnUNetv2_ensemble.")
    ] = False,
    continue_prediction: Annotated[
        bool,
        flag("--continue_prediction", "--continue", "--c", text="Keep results that are whole and what would be made."),
    ] = False,
    checkpoint: Annotated[
        str, typer.Option("-chk", metavar="FILE", help="Name of the checkpoint in each fold.")
    ] = "checkpoint_final.pth",
    previous: Annotated[
        Path | None,
        typer.Option("-prev_stage_predictions", metavar="FOLDER", help="Labels of a cascade's former stage."),
    ] = None,
    n_parts: Annotated[int, typer.Option("-num_parts", min=1, help="How many calls share the cases.")] = 1,
    part: Annotated[int, typer.Option("-part_id", min=0, help="Which of them this is, from 0 on.")] = 0,
    device: Annotated[
        str | None, typer.Option("-device", metavar="NAME", help="cpu, cuda or mps; default: cuda where it is.")
    ] = None,
    preprocessing: Annotated[int | None, typer.Option("-npp", help="Without effect: one process does a case.")] = None,  # noqa: ARG001
    export: Annotated[int | None, typer.Option("-nps", help="Without effect, as -npp.")] = None,  # noqa: ARG001
    not_on_device: Annotated[bool, flag("--not_on_device", text="Without effect: sums are in memory.")] = False,  # noqa: ARG001
    verbose: Annotated[bool, flag("--verbose", text="Without effect.")] = False,  # noqa: ARG001
    no_bar: Annotated[bool, flag("--disable_progress_bar", text="No progress.")] = False,
    json: AsJson = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Predict the cases of a folder with a model of nnU-Net, voxel by voxel as nnUNetv2_predict, without its package.

    One case that fails does not stop the others: it is a row in failures.csv, and the exit code is 3. With
    --continue_prediction a result is kept if it is whole: one that ctatlas left, of the same model, scan and options,
    byte by byte; one that nnU-Net left, if it can be read to its end and lies on the scan.
    """
    from ctatlas.commands.cases import Manner, run_tasks, say_plan
    from ctatlas.commands.console import tell
    from ctatlas.commands.nnunet.predicting import Wish, keep_whole, model_asked_for, tasks_of, write_beside_results
    from ctatlas.execution import FAILURES, failures_of_job, perform_among
    from ctatlas.inference.nnunet import Windowing

    if part >= n_parts:
        raise ModelError(f"-part_id {part}: parts are counted from 0 to {n_parts - 1} (-num_parts {n_parts})")
    with model_asked_for(model, dataset, trainer, plans, configuration) as folder:
        wish = Wish(
            source=source,
            out=out,
            model=folder,
            folds=tuple(map(_fold, fold or ())),
            checkpoint=checkpoint,
            how=Windowing(step=step_size, mirroring=not disable_tta),
            save_probabilities=save_probabilities,
            previous=previous,
            part=(part, n_parts),
            device=device,
        )
        tasks = tasks_of(wish)
        if dry_run:
            say_plan(tasks, as_json=json)
            return
        if not tasks:
            tell(f"no case is left for part {part} of {n_parts}")
            return
        write_beside_results(wish)
        failures = failures_of_job(part, n_parts) if n_parts > 1 else FAILURES
        manner = Manner(as_json=json, quiet=quiet or no_bar, debug=debug)
        do = partial(keep_whole, wish=wish) if continue_prediction else perform_among
        code = run_tasks(tasks, out, manner, _say, do=do, failures=failures)
    raise typer.Exit(code)


def _fold(text: str) -> int | str:
    if text == "all":
        return text
    if not text.isdecimal():
        raise ModelError(f"-f {text}: expected numbers of folds, or all")
    return int(text)


def _say(outcomes: Sequence[Outcome]) -> None:
    from ctatlas.commands.cases import state_of
    from ctatlas.commands.console import say, say_table
    from ctatlas.results import NOTICE

    rows = [[each.case, state_of(each), *_found(each)] for each in outcomes]
    say_table(["case", "state", "found n", "of labels n"], rows)
    say(NOTICE)


def _found(outcome: Outcome) -> list[str]:
    labels = cast("Mapping[str, int]", outcome.summary.get("labels", {}))
    return [str(sum(n > 0 for n in labels.values())), str(len(labels))] if labels else ["", ""]
