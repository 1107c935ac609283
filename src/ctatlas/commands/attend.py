"""`ctatlas attend`: where annotators should look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

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
    from ctatlas.execution import Outcome, Task

EXAMPLE = "ctatlas attend my-atlas"
_AT_MOST_ROWS = 50


def attend(
    folder: AtlasFolder,
    *,
    preset: Annotated[
        str, typer.Option(help="The arithmetic: 'default', or 'abdomenatlas' as published, blind spots included.")
    ] = "default",
    annotated_too: Annotated[
        bool, flag("--annotated-too", text="Look at structures that the source dataset annotated, too.")
    ] = False,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="Write all cases in the order to look; those of the preset in its own format."),
    ] = None,
    published_csv: Annotated[
        Path | None,
        typer.Option(
            "--published-csv",
            help="Write the list as AbdomenAtlas-8K publishes it: a line a case, its structures, no header, no scores.",
        ),
    ] = None,
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
    """Compare what the members say about each structure without a trusted label: maps, hot spots, rankings.

    An annotator finds in each case a map a structure, and a list of boxes with the most expected gain a minute first,
    down to where drawing a structure anew would gain more.
    Rules of anatomy that the masks break are doubt, too; 'ctatlas check' tells them. 'ctatlas status' ranks cases and
    structures, 'ctatlas revise ask' chooses among all cases.
    """
    from ctatlas.atlas.attend import attend_tasks
    from ctatlas.commands.cases import Manner
    from ctatlas.commands.steps import Selection, run_step
    from ctatlas.execution import Patience

    def tasks_of(atlas: Atlas, cases: list[CasePlace]) -> list[Task]:
        return attend_tasks(atlas, cases, preset=preset, annotated_too=annotated_too)

    manner = Manner(workers, Patience(timeout, retries), as_json=json, quiet=quiet, debug=debug)
    code = run_step(folder, tasks_of, Selection(case or (), shard, dry_run), manner, _say_done)
    if not dry_run:
        _write_lists(folder, csv, published_csv, preset)
    raise typer.Exit(code)


def _write_lists(folder: Path, csv: Path | None, published: Path | None, preset: str) -> None:
    from ctatlas.atlas import Atlas
    from ctatlas.atlas.attend import attended
    from ctatlas.atlas.attention import published_csv, published_order, ranked_cases, ranking_csv
    from ctatlas.volume import whole_file

    if csv is None and published is None:
        return
    found = {case: record for case, record in attended(Atlas.open(folder).cases()) if record.preset == preset}
    as_published = published_csv(published_order(found))
    lists = {published: as_published, csv: ranking_csv(ranked_cases(found)) if preset == "default" else as_published}
    for path, text in lists.items():
        if path is not None:
            with whole_file(path) as file:
                file.write(text.encode())


def _say_done(outcomes: Sequence[Outcome]) -> None:
    from ctatlas.commands.cases import state_of

    rows = [[outcome.case, state_of(outcome), *_cells(outcome.summary)] for outcome in outcomes[:_AT_MOST_ROWS]]
    say_table(["case", "state", "structures n", "attention mL", "hot spots n", "minutes", "of them to draw"], rows)
    if len(outcomes) > _AT_MOST_ROWS:
        say(f"and {len(outcomes) - _AT_MOST_ROWS} more cases; --json lists all")


def _cells(summary: Mapping[str, object]) -> list[str]:
    if not summary:
        return [""] * 5
    found = cast("dict[str, Any]", summary)
    times = f"{found['minutes']:.0f}", f"{found.get('draw_minutes', 0):.0f}"
    return [str(found["structures"]), f"{found['ml']:.1f}", str(found["hot_spots"]), *times]
