"""`ctatlas nnunet train`: nnUNetv2_train, fold after fold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctatlas.commands.nnunet.plan import Home, LabelSet, Layout, Name, Source, Structures
from ctatlas.commands.options import AsJson, Debug, Quiet, Workers, flag
from ctatlas.errors import ModelError

EXAMPLE = "ctatlas nnunet train -d 501 -c 3d_fullres -f 0 -tr nnUNetTrainerNoMirroring"


def train(
    dataset: Annotated[int, typer.Option("-d", min=1, max=999, metavar="NUMBER", help="Number of the data set.")],
    *,
    source: Source = None,
    name: Name = None,
    structures: Structures = None,
    label_set: LabelSet = None,
    layout: Layout = None,
    home: Home = None,
    configuration: Annotated[str, typer.Option("-c", metavar="NAME", help="What to train.")] = "3d_fullres",
    fold: Annotated[list[str] | None, typer.Option("-f", metavar="FOLD …", help="Folds, or all; default: 0.")] = None,
    trainer: Annotated[
        str, typer.Option("-tr", metavar="TRAINER", help="Class of the trainer; without mirroring where sides count.")
    ] = "nnUNetTrainerNoMirroring",
    plans: Annotated[str, typer.Option("-p", metavar="PLANS", help="Name of the plans.")] = "nnUNetPlans",
    planner: Annotated[
        str, typer.Option("-pl", metavar="PLANNER", help="With --from: see plan.")
    ] = "ExperimentPlanner",
    pretrained: Annotated[
        Path | None, typer.Option("-pretrained_weights", metavar="FILE", help="A checkpoint to start from.")
    ] = None,
    n_gpus: Annotated[int | None, typer.Option("-num_gpus", min=1, help="How many GPUs share a batch.")] = None,
    device: Annotated[
        str | None, typer.Option("-device", metavar="NAME", help="cpu, cuda or mps; default: cuda where it is.")
    ] = None,
    go_on: Annotated[bool, flag("--c", "--continue", text="Go on where a training stopped.")] = False,
    only_validate: Annotated[bool, flag("--val", text="Only validate what was trained.")] = False,
    save_probabilities: Annotated[bool, flag("--npz", text="Keep probabilities of the validation.")] = False,
    workers: Workers = 1,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a model with nnU-Net's package; with --from, make the data set and plan it first.

    'ctatlas segment' and 'ctatlas nnunet predict' take the folder that it leaves.
    """
    from ctatlas.commands.cases import Manner
    from ctatlas.commands.console import say, say_json
    from ctatlas.commands.nnunet.package import Options, listening, make_raw_data, plan_words, raw_folder
    from ctatlas.inference.nnunet.devices import best_device
    from ctatlas.training.nnunet import TRAIN, call, folders, program

    program(TRAIN)
    where = folders(home)
    code = 0
    with listening(quiet=quiet or json) as hear:
        if source is not None:
            options = Options(dataset, name, tuple(structures or ()), label_set, layout)
            code = make_raw_data(source, where, options, Manner(workers, quiet=quiet or json, debug=debug))
            call(plan_words(dataset, planner, [configuration]), where, hear)
    folder = where.preprocessed / raw_folder(where, dataset).name
    if not (folder / f"{plans}.json").is_file():
        raise ModelError(f"{folder}: has no {plans}.json; 'ctatlas nnunet plan -d {dataset} -c {configuration}' first")
    more = ["-tr", trainer, "-p", plans, "-device", device or best_device()]
    for option, value in (("-pretrained_weights", pretrained), ("-num_gpus", n_gpus)):
        more += [option, str(value)] if value is not None else []
    for option, wanted in (("--c", go_on), ("--val", only_validate), ("--npz", save_probabilities)):
        more += [option] if wanted else []
    with listening(quiet=quiet or json) as hear:
        for each in fold or ["0"]:
            call([TRAIN, str(dataset), configuration, each, *more], where, hear)
    made = where.results / folder.name / f"{trainer}__{plans}__{configuration}"
    if json:
        say_json({"model": str(made), "folds": fold or ["0"]})
    elif not quiet:
        say(f"{made}\nThen: ctatlas segment scan.nii.gz out --model {made}")
    raise typer.Exit(code)
