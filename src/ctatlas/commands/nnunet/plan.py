"""`ctatlas nnunet plan`: raw data of an atlas or a folder, then nnUNetv2_plan_and_preprocess."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctatlas.commands.options import AsJson, Debug, Quiet, Workers, flag

EXAMPLE = "ctatlas nnunet plan --from my-atlas -d 501 -pl ExperimentPlanner -c 3d_fullres"
Source = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="SOURCE",
        help="An atlas, or a folder of scans and labels: makes the data set; default: it is in nnUNet_raw.",
    ),
]
Home = Annotated[
    Path | None,
    typer.Option("--home", metavar="FOLDER", help="Where nnUNet_raw and the others lie whose variables are not set."),
]
Name = Annotated[str | None, typer.Option("--name", help="Of the data set made; default: the source's.")]
Structures = Annotated[
    list[str] | None,
    typer.Option("--structures", "-s", help="What to learn, separated by commas; default: what all cases tell about."),
]
LabelSet = Annotated[str | None, typer.Option("--label-set", help="Of a folder: whose numbers its labels have.")]
Layout = Annotated[str | None, typer.Option("--layout", help="Of a folder: see 'ctatlas add'; default: found out.")]


def plan(
    dataset: Annotated[int, typer.Option("-d", min=1, max=999, metavar="NUMBER", help="Number of the data set.")],
    *,
    source: Source = None,
    name: Name = None,
    structures: Structures = None,
    label_set: LabelSet = None,
    layout: Layout = None,
    home: Home = None,
    planner: Annotated[str, typer.Option("-pl", metavar="PLANNER", help="Class of the planner.")] = "ExperimentPlanner",
    configuration: Annotated[
        list[str] | None,
        typer.Option("-c", metavar="NAME …", help="What to preprocess; default: 2d, 3d_fullres and 3d_lowres."),
    ] = None,
    processes: Annotated[
        list[int] | None, typer.Option("-np", metavar="N …", help="Processes to preprocess with.")
    ] = None,
    fingerprint_processes: Annotated[
        int | None, typer.Option("-npfp", min=1, metavar="N", help="Processes to look at the data with.")
    ] = None,
    plans_name: Annotated[
        str | None, typer.Option("-overwrite_plans_name", metavar="NAME", help="What to call the plans.")
    ] = None,
    gpu_memory: Annotated[
        float | None, typer.Option("-gpu_memory_target", metavar="GB", help="Memory of the GPU to plan for.")
    ] = None,
    verify: Annotated[bool, flag("--verify_dataset_integrity", text="Let nnU-Net check the raw data first.")] = False,
    clean: Annotated[bool, flag("--clean", text="Look at the data anew, after they changed.")] = False,
    no_preprocessing: Annotated[bool, flag("--no_pp", text="Plan and don't preprocess.")] = False,
    workers: Workers = 1,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make nnU-Net's raw data of an atlas or a folder, and let its package plan and preprocess.

    Scans of one patient are held back together: splits_final.json. A second run writes what changed.
    """
    from ctatlas.commands.cases import Manner
    from ctatlas.commands.console import say, say_json
    from ctatlas.commands.nnunet.package import Options, listening, make_raw_data, plan_words, processes_of, raw_folder
    from ctatlas.training.nnunet import PLAN, call, folders, program

    program(PLAN)
    where = folders(home)
    code = 0
    if source is not None:
        options = Options(dataset, name, tuple(structures or ()), label_set, layout)
        code = make_raw_data(source, where, options, Manner(workers, quiet=quiet or json, debug=debug))
    folder = raw_folder(where, dataset)
    words = plan_words(dataset, planner, configuration or (), processes or ())
    words += ["-npfp", str(fingerprint_processes or processes_of())]
    for option, value in (("-overwrite_plans_name", plans_name), ("-gpu_memory_target", gpu_memory)):
        words += [option, str(value)] if value is not None else []
    for option, wanted in (("--verify_dataset_integrity", verify), ("--clean", clean), ("--no_pp", no_preprocessing)):
        words += [option] if wanted else []
    with listening(quiet=quiet or json) as hear:
        call(words, where, hear)
    made = where.preprocessed / folder.name
    if json:
        say_json({"raw": str(folder), "preprocessed": str(made), "call": words})
    elif not quiet:
        say(f"{folder} → {made}\nThen: ctatlas nnunet train -d {dataset} -c 3d_fullres -f 0")
    raise typer.Exit(code)
