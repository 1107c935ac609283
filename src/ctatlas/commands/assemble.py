"""`ctatlas assemble`: the one mask of each structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

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
)

if TYPE_CHECKING:
    from ctatlas.execution import Outcome

EXAMPLE = "ctatlas assemble my-atlas"
_AT_MOST_ROWS = 50


def assemble(
    folder: AtlasFolder,
    *,
    case: Cases = None,
    workers: Workers = 1,
    shard: ShardOf = None,
    timeout: Timeout = None,
    retries: Retries = 0,
    json: AsJson = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Put together the one mask of each structure, and combined labels made from these.

    Whose mask it is the atlas's priorities say: original, then revised, then predicted. What the source annotated and
    did not find stays absent. What two structures claim that may not share it is settled and counted.
    """
    import typer

    from ctatlas.atlas.assemble import assemble_tasks
    from ctatlas.commands.cases import Manner
    from ctatlas.commands.steps import Selection, run_step
    from ctatlas.execution import Patience

    manner = Manner(workers, Patience(timeout, retries), as_json=json, quiet=quiet, debug=debug)
    raise typer.Exit(run_step(folder, assemble_tasks, Selection(case or (), shard, dry_run), manner, _say_done))


def _say_done(outcomes: Sequence[Outcome]) -> None:
    from ctatlas.commands.cases import state_of

    rows = [[outcome.case, state_of(outcome), *_cells(outcome.summary)] for outcome in outcomes[:_AT_MOST_ROWS]]
    say_table(["case", "state", "structures n", "from", "conflicts n", "mL"], rows)
    if len(outcomes) > _AT_MOST_ROWS:
        say(f"and {len(outcomes) - _AT_MOST_ROWS} more cases; --json lists all")


def _cells(summary: Mapping[str, object]) -> list[str]:
    if not summary:
        return [""] * 4
    found = cast("dict[str, Any]", summary)
    kinds = ", ".join(f"{n} {kind}" for kind, n in found["from"].items())
    return [str(found["structures"]), kinds, str(found["conflicts"]), f"{found['conflicts_ml']:.1f}"]
