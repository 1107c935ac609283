"""`ctatlas revise`: cases to annotators, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ctatlas.commands.console import say, say_json, say_table, tell
from ctatlas.commands.options import AsJson, AtlasFolder, Debug, DryRun, Quiet, Workers

if TYPE_CHECKING:
    from ctatlas.atlas.records import QueryItem
    from ctatlas.execution import Outcome

EXAMPLE = "ctatlas revise export my-atlas case-0001 --to for-ann"
app = typer.Typer(help="Give cases to annotators, and take back what they changed.", epilog=f"Example: {EXAMPLE}")


@app.command("ask", epilog="Example: ctatlas revise ask my-atlas 60")
def ask(
    folder: AtlasFolder,
    minutes: Annotated[float | None, typer.Argument(min=1, help="How long annotators have.")] = None,
    *,
    places: Annotated[
        int | None,
        typer.Option("--places", "-n", min=1, help="How many places; with MINUTES, whichever is used up first."),
    ] = None,
    strategy: Annotated[
        str, typer.Option(help="Default: what atlas.toml says; an unknown one lists those there are.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn at random.")] = 0,
    json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001 - read by the program
) -> None:
    """Choose what annotators look at next, and write it into the atlas as a numbered query.

    A share is drawn at random, whole structures with known chances: from the answers 'ctatlas status' tells how much is
    still wrong in all that nobody looked at. The rest is what the strategy thinks best.
    """
    from ctatlas.atlas import Atlas, queries

    if minutes is None and places is None:
        raise typer.BadParameter("say how many MINUTES annotators have, or how many --places to ask for")
    budget = queries.Budget(math.inf if minutes is None else minutes, places)
    atlas = Atlas.open(folder)
    with atlas.writing():
        record = queries.ask(atlas, budget, strategy=strategy or None, seed=seed)
    if json:
        say_json(record.model_dump())
        return
    total = sum(item.minutes for item in record.items)
    say(f"Query {record.number} by {record.strategy!r}: {len(record.items)} places, about {total:.0f} minutes.\n")
    rows = [
        [str(item.rank), item.case, item.structure or "", _place(item), f"{item.minutes:.1f}", _why(item)]
        for item in record.items
    ]
    say_table(["rank n", "case", "structure", "voxels", "minutes", "why"], rows)


def _place(item: QueryItem) -> str:
    if item.lo is None or item.hi is None:
        return "all"
    return ", ".join(f"{low}:{high}" for low, high in zip(item.lo, item.hi, strict=True))


def _why(item: QueryItem) -> str:
    return f"at random, chance {item.inclusion:.3f}" if item.is_random else f"score {item.score:.3g}"


@app.command("export", epilog=f"Example: {EXAMPLE}")
def export(
    folder: AtlasFolder,
    cases: Annotated[list[str] | None, typer.Argument(metavar="CASE…", help="Ids of cases.")] = None,
    *,
    to: Annotated[Path, typer.Option("--to", help="A folder; each case becomes one in it.")],
    query: Annotated[
        int | None, typer.Option("--query", min=1, metavar="N", help="What question N asks: its cases and structures.")
    ] = None,
    structures: Annotated[
        str, typer.Option("--structures", "-s", help="Only these, separated by commas; default: all that a case has.")
    ] = "",
    workers: Workers = 1,
    json: AsJson = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a package of each case: scan, masks, attention maps, hot spots, a 3D Slicer scene, labels for ITK-SNAP.

    A package that is there already is never replaced: it may hold an annotator's work.
    """
    from ctatlas.atlas import Atlas
    from ctatlas.atlas.revise.export import export_tasks, query_tasks
    from ctatlas.commands.cases import Manner, run_tasks, say_plan
    from ctatlas.execution import perform_in_place

    atlas = Atlas.open(folder)
    wanted = [name.strip() for name in structures.split(",") if name.strip()]
    if bool(cases) == (query is not None) or (query is not None and wanted):
        raise typer.BadParameter("name cases, and structures if not all; or a --query, which names both")
    tasks = (
        export_tasks(atlas, atlas.cases(cases or ()), to, wanted) if query is None else query_tasks(atlas, query, to)
    )
    if dry_run:
        say_plan(tasks, as_json=json)
        return
    manner = Manner(workers, as_json=json, quiet=quiet, debug=debug)
    raise typer.Exit(run_tasks(tasks, to, manner, _say_packages, do=perform_in_place))


@app.command("import", epilog="Example: ctatlas revise import my-atlas for-ann/case-0001 --author ann --minutes 12")
def import_(
    folder: AtlasFolder,
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A package, a folder of packages or of masks, or one file of masks.")
    ],
    *,
    author: Annotated[str, typer.Option(help="Who revised the masks.")],
    minutes: Annotated[float | None, typer.Option(min=0, help="How long it took.")] = None,
    tool: Annotated[str, typer.Option(help="With what, such as '3D Slicer 5.8'.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    case: Annotated[
        str | None, typer.Option("--case", "-c", metavar="ID", help="Whose masks they are, where no name says it.")
    ] = None,
    json: AsJson = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Take masks back, edited in any tool, and store what differs from what was shown as a revision.

    Read are packages, folders of <structure>.nii.gz or <structure>_revised.nii.gz, single masks, label maps, .seg.nrrd
    and DICOM SEG. Masks that did not change count as looked at. A revision is never altered.
    """
    from ctatlas.atlas import Atlas
    from ctatlas.atlas.revise.take_back import Work, import_tasks
    from ctatlas.commands.cases import Manner, run_tasks
    from ctatlas.execution import perform_in_place

    atlas = Atlas.open(folder)
    with atlas.writing():
        work = Work(author, minutes, tool, reason)
        tasks = import_tasks(atlas, path, work, case, store=not dry_run)
        manner = Manner(as_json=json, quiet=quiet, debug=debug)
        try:
            code = run_tasks(tasks, folder, manner, _say_revisions, do=perform_in_place)
        finally:
            with atlas.catalog() as catalog:
                for fault in catalog.synchronise(atlas.cases([task.case for task in tasks])):
                    tell(fault)
    if dry_run and not quiet and not json:
        say("Nothing was stored: --dry-run.")
    raise typer.Exit(code)


def _say_packages(outcomes: Sequence[Outcome]) -> None:
    def cells(summary: Mapping[str, object]) -> list[str]:
        found = cast("dict[str, Any]", summary)
        return [str(found["structures"]), str(found["hot_spots"]), f"{found['minutes']:.0f}"] if found else [""] * 3

    rows = [[outcome.case, *cells(outcome.summary), str(outcome.folder)] for outcome in outcomes]
    say_table(["case", "structures n", "hot spots n", "minutes", "package"], rows)


def _say_revisions(outcomes: Sequence[Outcome]) -> None:
    def cells(summary: Mapping[str, object]) -> list[str]:
        found = cast("dict[str, Any]", summary)
        if not found:
            return [""] * 5
        changed = ", ".join(found["changed"]) or "nothing"
        volumes = [f"{found['added_ml']:.2f}", f"{found['removed_ml']:.2f}"]
        return [str(found["revision"] or "-"), changed, *volumes, str(len(found["reviewed"]))]

    rows = [[outcome.case, *cells(outcome.summary)] for outcome in outcomes]
    say_table(["case", "revision", "changed", "added mL", "removed mL", "looked at n"], rows)
