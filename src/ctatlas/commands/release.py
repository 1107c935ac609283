"""`ctatlas release`: frozen copies of an atlas for strangers; their proof, and what changed between two."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ctatlas.commands.options import AsJson, AtlasFolder, Cases, Debug, DryRun, Quiet, Workers, flag
from ctatlas.errors import AtlasError

if TYPE_CHECKING:
    from ctatlas.atlas.release import Plan, ReleaseDiff

EXAMPLE = "ctatlas release my-atlas 1.0 --layout abdomenatlas"
_UNSOUND = 2
_SHOWN = 20


class _MakeUnlessNamed(TyperGroup):
    """Let `ctatlas release ATLAS VERSION` stand for `ctatlas release make ATLAS VERSION`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "--help"}:
            args = ["make", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_MakeUnlessNamed,
    help="Frozen, hashed, documented copies of an atlas: 'ctatlas release ATLAS VERSION' makes one.",
    epilog=f"Example: {EXAMPLE}",
)
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A release, wherever it was copied to.")]


@app.command("make", epilog=f"Example: {EXAMPLE}")
def make(
    folder: AtlasFolder,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Its name, such as 1.0; it never changes.")],
    *,
    layout: Annotated[str, typer.Option(help="abdomenatlas, abdomenatlas-8k, nnunet or huggingface.")] = "abdomenatlas",
    label_set: Annotated[
        str | None, typer.Option(help="Whose names and numbers; default: the layout's, else the atlas's.")
    ] = None,
    images_only: Annotated[bool, flag("--images-only", text="The scans without masks.")] = False,
    masks_only: Annotated[bool, flag("--masks-only", text="The masks without scans.")] = False,
    shard_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Pack cases into tar.gz files of at most this, such as 20GB.")
    ] = None,
    cases_per_shard: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Pack cases into tar.gz files of at most so many.")
    ] = None,
    case: Cases = None,
    only_ready: Annotated[
        bool, flag("--only-ready", text="Leave out cases that are not assembled or out of date.")
    ] = False,
    workers: Workers = 1,
    json: AsJson = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - read by the program
) -> None:
    """Make a release: all is checked first, and it is there whole or not at all."""
    from ctatlas.atlas import Atlas
    from ctatlas.atlas.release import ReleaseChoices, bytes_of, make_release, plan_release, refuse_unsound
    from ctatlas.commands.console import showing_progress

    if images_only and masks_only:
        raise AtlasError("--images-only and --masks-only exclude each other; leave both out for all")
    choices = ReleaseChoices(
        layout=layout,
        label_set=label_set,
        content="images" if images_only else "masks" if masks_only else "all",
        cases_per_shard=cases_per_shard,
        shard_bytes=bytes_of(shard_size) if shard_size else None,
        cases=tuple(case or ()),
        only_ready=only_ready,
    )
    atlas = Atlas.open(folder)
    if dry_run:
        plan = plan_release(atlas, version, choices)
        refuse_unsound(plan)
        _say_plan(plan, as_json=json)
        return
    with atlas.writing():
        plan = plan_release(atlas, version, choices)
        with showing_progress(quiet=quiet) as progress:
            made = make_release(plan, workers=workers, progress=progress)
    _say_made(made, as_json=json, quiet=quiet)


@app.command("verify", epilog="Example: ctatlas release verify my-atlas/releases/1.0")
def verify(
    folder: Folder,
    *,
    shallow: Annotated[bool, flag("--shallow", text="Hashes and tables only; don't look into the images.")] = False,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - read by the program
) -> None:
    """Prove a copy of a release, without its atlas: nothing missing, altered or added, and all of it agrees.

    The exit code is 2 when something is wrong.
    """
    from ctatlas.atlas.release import release_faults
    from ctatlas.commands.console import say, say_json, showing_progress

    with showing_progress(quiet=quiet) as progress:
        faults = list(release_faults(folder, deep=not shallow, progress=progress))
    if json:
        say_json({"sound": not faults, "faults": faults})
    else:
        for fault in faults:
            say(fault)
        say(f"{folder}: {'sound' if not faults else f'{len(faults)} faults; get it anew from where it came'}.")
    if faults:
        raise typer.Exit(_UNSOUND)


@app.command("diff", epilog="Example: ctatlas release diff my-atlas/releases/1.0 my-atlas/releases/1.1")
def diff(
    before: Annotated[Path, typer.Argument(metavar="V1", help="A release.")],
    after: Annotated[Path, typer.Argument(metavar="V2", help="A later one.")],
    *,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - read by the program
) -> None:
    """Say what changed from one release to another: cases, and of each structure masks, mL and Dice."""
    from dataclasses import asdict

    from ctatlas.atlas.release import diff_releases
    from ctatlas.commands.console import say_json, showing_progress

    with showing_progress(quiet=quiet) as progress:
        found = diff_releases(before, after, progress)
    if json:
        say_json(asdict(found))
    else:
        _say_diff(found)


def _say_plan(plan: Plan, *, as_json: bool) -> None:
    from ctatlas.commands.console import say, say_json

    said = {
        "release": plan.version,
        "layout": plan.choices.layout,
        "label_set": plan.label_set.name,
        "cases": len(plan.cases),
        "structures": list(plan.names.values()),
        "bytes_about": plan.bytes_about,
        "left_out": list(plan.left_out),
    }
    if as_json:
        say_json(said)
        return
    megabytes = plan.bytes_about / 1e6
    say(f"{plan.version}: would hold {len(plan.cases)} cases, {len(plan.ids)} structures, about {megabytes:.1f} MB.")
    for line in plan.left_out:
        say(f"Left out: {line}")


def _say_made(folder: Path, *, as_json: bool, quiet: bool) -> None:
    from ctatlas.atlas.release.datasheet import DATASHEET, open_questions
    from ctatlas.atlas.releases import read_release_record
    from ctatlas.commands.console import say, say_json

    record = read_release_record(folder)
    n_open = open_questions((folder / DATASHEET).read_text(encoding="utf-8"))
    if as_json:
        say_json({"folder": str(folder), "open_questions": n_open, **record.model_dump(mode="json")})
        return
    if quiet:
        return
    say(f"{folder}: {record.cases} cases, {record.masks} masks ({record.layout}, {record.label_set}).")
    for line in record.left_out:
        say(f"Left out: {line}")
    for line in record.doubts:
        say(f"To be settled: {line}")
    if n_open:
        say(f"{folder / DATASHEET}: {n_open} questions are open; [release.answers] in atlas.toml answers them.")


def _say_diff(found: ReleaseDiff) -> None:
    from ctatlas.commands.console import say, say_table

    say(f"{found.before} → {found.after}")
    for what, cases in (("new", found.new_cases), ("gone", found.gone_cases), ("other scan", found.other_scans)):
        if cases:
            more = f" and {len(cases) - _SHOWN} more" if len(cases) > _SHOWN else ""
            say(f"{what}: {len(cases)} cases: {', '.join(cases[:_SHOWN])}{more}")
    moved = [one for one in found.structures if one.changed or one.added or one.removed or one.sources]
    if not moved:
        say("No mask changed in the cases that both have.")
        return
    rows = [
        [
            one.structure,
            *(str(n) for n in (one.same, one.changed, one.added, one.removed)),
            f"+{one.added_ml:.1f} mL",
            f"-{one.removed_ml:.1f} mL",
            "" if one.mean_dice is None else f"{one.mean_dice:.3f}",
            "" if one.lowest_dice is None else f"{one.lowest_dice:.3f}",
            ", ".join(one.sources),
        ]
        for one in moved
    ]
    counts = ["same n", "changed n", "added n", "removed n", "grown mL", "shrunk mL"]
    say_table(["structure", *counts, "mean Dice", "lowest Dice", "sources"], rows)
