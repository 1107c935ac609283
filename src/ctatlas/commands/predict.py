"""`ctatlas predict`: every member of the ensemble over every case of an atlas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ctatlas.commands.console import say, say_table
from ctatlas.commands.options import (
    AsJson,
    AtlasFolder,
    Cases,
    Debug,
    DryRun,
    Quiet,
    Retries,
    ShardOf,
    Timeout,
    Workers,
    flag,
)

if TYPE_CHECKING:
    from ctatlas.atlas import Atlas
    from ctatlas.atlas.layout import CasePlace
    from ctatlas.atlas.predict import Predictor
    from ctatlas.execution import Outcome, Task

EXAMPLE = "ctatlas predict my-atlas --member ctatlas/base --member ctatlas/base+shift"
_AT_MOST_ROWS = 50


def predict(
    folder: AtlasFolder,
    *,
    member: Annotated[
        list[str] | None,
        typer.Option(
            "--member",
            "--model",
            "-m",
            metavar="NAME",
            help="A model, or a variant of one (ctatlas/base+shift); may be given several times. "
            "Default: members of atlas.toml.",
        ),
    ] = None,
    apart: Annotated[
        bool, flag("--apart", text="Leave atlas.toml as it is: other steps pass over who is not among its members.")
    ] = False,
    case: Cases = None,
    shard: ShardOf = None,
    workers: Workers = 1,
    timeout: Timeout = None,
    retries: Retries = 0,
    json: AsJson = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Let models find the structures of every case: labels, probabilities on the model's grid, a record of the run.

    What is there and whole is skipped; what changed (the scan, a model, its variant, the label set) is done again. The
    disk space it needs is said before it starts, and refused when it is not there. Models asked for by name join the
    members in atlas.toml, so that all later steps use what they find.
    """
    from ctatlas.atlas.members import members_called, runnable
    from ctatlas.atlas.predict import Predictor, predict_tasks
    from ctatlas.commands.cases import Manner
    from ctatlas.commands.console import tell
    from ctatlas.commands.steps import Selection, run_step
    from ctatlas.errors import AtlasError
    from ctatlas.execution import Patience, room_for

    def tasks_of(atlas: Atlas, cases: list[CasePlace]) -> list[Task]:
        members = members_called(member or runnable(atlas.config.members))
        if not members:
            raise AtlasError(f"{folder}: all members in atlas.toml are given with the scans; name a model by --member")
        tasks = predict_tasks(atlas, cases, members)
        predictors = [Predictor.of(each, atlas.config.label_set) for each in members]
        remarks = [*_remarks(atlas, predictors), *_joined(atlas, predictors, only_say=apart or dry_run)]
        for remark in remarks:
            tell(remark)
        room = room_for(tasks, folder)
        if room.n_tasks and not quiet:
            tell(f"{folder}: {room}")
        if not dry_run:
            room.refuse_too_little(folder)
        return tasks

    manner = Manner(workers, Patience(timeout, retries), as_json=json, quiet=quiet, debug=debug)
    raise typer.Exit(run_step(folder, tasks_of, Selection(case or (), shard, dry_run), manner, _say))


def _remarks(atlas: Atlas, predictors: Sequence[Predictor]) -> list[str]:
    """Say once what no variant of a model can give."""
    remarks = {}
    for each in predictors:
        card = each.member.card
        remarks.update(dict.fromkeys(f"{card.name}: {remark}" for remark in each.naming.remarks))
        if missing := each.missing(atlas.config.structures):
            remarks[f"{card.name}: can't give {', '.join(missing)} of {atlas.config.label_set}"] = None
    return list(remarks)


def _joined(atlas: Atlas, predictors: Sequence[Predictor], *, only_say: bool) -> list[str]:
    """Let those who are asked for join the members of the atlas, and say so."""
    from ctatlas.atlas.enrol import enrol
    from ctatlas.atlas.members import members_to_keep, names_called

    known = names_called(atlas.config.members)
    new = members_to_keep([each.member.asked_for for each in predictors if each.member.name not in known])
    if not new:
        return []
    said = ", ".join(new)
    if only_say:
        return [f"not among the members in atlas.toml, so that other steps leave it out until you add: {said}"]
    enrol(atlas.place.root, new)
    return [f"now among the members in atlas.toml (--apart leaves it as it is): {said}"]


def _say(outcomes: Sequence[Outcome]) -> None:
    from ctatlas.commands.cases import state_of

    rows = [[outcome.case, _member(outcome), state_of(outcome), *_found(outcome)] for outcome in outcomes]
    say_table(["case", "member", "state", "found n", "looked for n"], rows[:_AT_MOST_ROWS])
    if len(rows) > _AT_MOST_ROWS:
        say(f"and {len(rows) - _AT_MOST_ROWS} more results; --json lists all")


def _member(outcome: Outcome) -> str:
    from ctatlas.atlas.layout import member_of

    return member_of(outcome.folder)


def _found(outcome: Outcome) -> list[str]:
    masks = cast("Mapping[str, Mapping[str, int]]", outcome.summary.get("masks", {}))
    return [str(sum(mask["n_voxels"] > 0 for mask in masks.values())), str(len(masks))] if masks else ["", ""]
