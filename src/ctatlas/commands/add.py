"""`ctatlas add`: scans, and the labels that came with them, into an atlas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ctatlas.commands.options import (
    AsJson,
    AtlasFolder,
    Debug,
    DryRun,
    Phase,
    Quiet,
    Repair,
    Retries,
    Series,
    ShardOf,
    Timeout,
    Workers,
    flag,
)

if TYPE_CHECKING:
    from ctatlas.atlas import Atlas
    from ctatlas.atlas.add import Added, Ask, Known, Plan, Wish
    from ctatlas.atlas.shards import Shard
    from ctatlas.volume.deidentify import Key

EXAMPLE = "ctatlas add my-atlas Task09_Spleen/ --workers 2"
_KEY = "deidentification.key"
_TOUCHED = ("added", "labelled", "known")
_NOT_ADDED = ("failed", "changed")
_SHOWN = 50  # cases of a dry run
_SAID = {
    "added": "added",
    "labelled": "got labels",
    "known": "known already",
    "copy": "copies, not added",
    "changed": "changed, not added",
    "failed": "failed",
}


def add(
    folder: AtlasFolder,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder, file, archive, list (.txt) or CSV.")],
    *,
    layout: Annotated[
        str | None,
        typer.Option(help="csv, datalist, nnunet, msd, pipeline, abdomenatlas, pairs or images; default: found out."),
    ] = None,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="What to call the source dataset.")] = None,
    label_set: Annotated[
        str | None,
        typer.Option(metavar="SET", help="Whose numbers its labels have: a set, a labels.json; none: scans alone."),
    ] = None,
    split: Annotated[
        Literal["train", "validation", "test"] | None, typer.Option(help="Of all these cases; default: as the source.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Of the source dataset, for releases.")] = None,
    citation: Annotated[str | None, typer.Option(help="Of the source dataset, for releases.")] = None,
    root: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the paths of a list or CSV start from.")
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The secret of the pseudonyms; made where there is none. Keep it, and apart."
        ),
    ] = None,
    hide_names: Annotated[
        bool, flag("--hide-names", text="Call all cases by pseudonyms; those from DICOM always are.")
    ] = False,
    allow_head: Annotated[
        bool, flag("--allow-head", text="Also DICOM series of head, face or neck, where a person can be recognised.")
    ] = False,
    keep_duplicates: Annotated[
        bool, flag("--keep-duplicates", text="Add scans whose voxels the atlas has already.")
    ] = False,
    ignore_unknown_labels: Annotated[
        bool, flag("--ignore-unknown-labels", text="Pass over numbers that the label set does not have.")
    ] = False,
    series: Series = None,
    phase: Phase = None,
    repair: Repair = False,
    workers: Workers = 1,
    timeout: Timeout = None,
    retries: Retries = 0,
    shard: ShardOf = None,
    json: AsJson = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Take scans and the labels that came with them into an atlas.

    A case gets its scan unaltered, a mask of each structure that its dataset annotates (empty where it is absent), and
    what is known of scanner and phase. What was added before is skipped, copies are found, names of patients stay out.
    """
    from ctatlas.atlas import Atlas
    from ctatlas.atlas.add import Ask, Manners, Wish
    from ctatlas.atlas.shards import Shard
    from ctatlas.execution import Patience
    from ctatlas.volume import Choices

    atlas = Atlas.open(folder)
    _refuse_itself(folder, source)
    part = Shard.of(shard) if shard else None
    ask = Ask(
        dataset=dataset,
        label_set=label_set,
        split=split,
        root=root.resolve() if root else None,
        hide_names=hide_names,
        choices=Choices(series=series, phase=phase, repair=repair),
    )
    wish = Wish(
        keep_duplicates=keep_duplicates,
        manners=Manners(allow_head=allow_head, ignore_unknown=ignore_unknown_labels),
        workers=workers,
        patience=Patience(timeout, retries),
        licence=licence,
        citation=citation,
    )
    call = _Call(atlas, source, ask, wish, part, quiet=quiet, debug=debug)
    secret = _secret(key, is_dry=dry_run, quiet=quiet)
    if dry_run:
        _, planned = _planned(call, layout, secret)
        _say_plan(planned, as_json=json)
        return
    with atlas.writing(shared=part is not None):
        known, planned = _planned(call, layout, secret)
        added = _carried_out(call, planned, known, secret)
    raise typer.Exit(_finish(call, planned, added, as_json=json))


@dataclass(frozen=True, slots=True)
class _Call:
    """What was asked for, and how to talk."""

    atlas: Atlas
    source: Path
    ask: Ask
    wish: Wish
    shard: Shard | None
    quiet: bool
    debug: bool


def _refuse_itself(folder: Path, source: Path) -> None:
    """Refuse to add an atlas, or what lies in it, to itself.

    Raises
    ------
    AtlasError
    """
    from ctatlas.errors import AtlasError

    inner, outer = source.resolve(), folder.resolve()
    if inner == outer or outer in inner.parents or inner in outer.parents:
        raise AtlasError(f"{source}: lies in the atlas, or the atlas in it; give a source apart from it")


def _secret(place: Path | None, *, is_dry: bool, quiet: bool) -> Key:
    """Read the key of pseudonyms, or make one; a dry run makes none."""
    from ctatlas.commands.console import tell
    from ctatlas.settings import settings
    from ctatlas.volume.deidentify import Key, key_in

    path = place or settings().home / _KEY
    if is_dry and not path.exists():
        return Key(bytes(32))
    secret, is_new = key_in(path)
    if is_new and not quiet:
        tell(f"made a new key: {path}; who has it can link pseudonyms to people")
    return secret


def _planned(call: _Call, layout: str | None, key: Key) -> tuple[Known, Plan]:
    """List the source, and sort it into what is known and what is new."""
    from ctatlas.atlas.add import known_to, listed, origin_of, plan
    from ctatlas.commands.console import tell

    known = known_to(call.atlas, from_files=call.shard is not None)
    ask = replace(call.ask, is_known=lambda path: origin_of(path, "", key) in known.origins)
    listing = listed(call.source.resolve(), ask, layout)
    planned = plan(call.atlas, listing, known, key, hide_names=ask.hide_names, shard=call.shard)
    if not call.quiet:
        tell(f"{call.source}: layout {listing.layout}, {len(listing.found) + len(listing.faults)} cases")
        for remark in listing.remarks:
            tell(remark)
    return known, planned


def _carried_out(call: _Call, planned: Plan, known: Known, key: Key) -> list[Added]:
    """Add what is new; also when interrupted, what was added is in the index."""
    from ctatlas.atlas.add import add_cases, clear_stages, write_datasets
    from ctatlas.commands.console import showing_progress, tell

    added: list[Added] = []
    if call.shard is None:
        clear_stages(call.atlas)
    try:
        with showing_progress(quiet=call.quiet) as progress:
            for one in add_cases(call.atlas, planned, known, key, wish=call.wish, progress=progress):
                added.append(one)
                is_sole = one.state in _NOT_ADDED and planned.n_cases == 1  # then it is the error of the call
                if not is_sole and (one.state == "failed" or (one.reason and not call.quiet)):
                    tell(f"{_where(one)}: {one.reason}")
                if call.debug and one.trace:
                    tell(one.trace)
    finally:
        write_datasets(call.atlas, planned, added, call.wish)
        if call.shard is None:
            touched = [call.atlas.place.case(one.case) for one in added if one.state in _TOUCHED]
            with call.atlas.catalog() as catalog:
                for fault in catalog.synchronise(touched):
                    tell(fault)
    return added


def _finish(call: _Call, planned: Plan, added: Sequence[Added], *, as_json: bool) -> int:
    """Say what was added, write the table of what was not, and return the exit code."""
    from ctatlas.commands.console import say, say_json, say_table, tell
    from ctatlas.errors import ScanError
    from ctatlas.execution import FAILURES, Outcome, failures_of_job, write_failures

    root = call.atlas.place.root
    failed = [one for one in added if one.state in _NOT_ADDED]
    if len(failed) == len(added) == 1 and call.shard is None:
        raise ScanError(failed[0].reason)
    rows = [Outcome(one.name, root, "failed", stage=one.stage or one.state, reason=one.reason) for one in failed]
    name = FAILURES if call.shard is None else failures_of_job(call.shard.number, call.shard.total)
    write_failures(root, rows, name)
    if as_json:
        cases = [
            {"name": one.name, "case": one.case, "state": one.state, "reason": one.reason, "near": list(one.near)}
            for one in added
        ]
        say_json({"layout": planned.listing.layout, "cases": cases})
    elif not call.quiet:
        states = [one.state for one in added]
        say_table(
            ["what", "cases n"], [[said, str(states.count(state))] for state, said in _SAID.items() if state in states]
        )
        if any(one.state == "added" for one in added):
            say(f"\nNext: ctatlas predict {root}")
    if failed:
        tell(f"{len(failed)} of {len(added)} not added: {root / name}")
    return 3 if failed else 0


def _where(one: Added) -> str:
    """Name a case for the person at the terminal; only there, because a path may tell who the patient is."""
    if one.entry is None:
        return one.name
    path = str(one.entry.found.source.path)
    return f"{path} ({one.name})" if one.name not in path else path


def _say_plan(planned: Plan, *, as_json: bool) -> None:
    from ctatlas.commands.console import say, say_json, say_table, tell

    if as_json:
        would = [
            {"name": entry.found.name, "case": entry.case, "dataset": entry.found.dataset, "split": entry.found.split}
            for entry in planned.entries
        ]
        faults = [{"name": fault.name, "reason": fault.reason} for fault in planned.faults]
        say_json(
            {
                "layout": planned.listing.layout,
                "would_read": would,
                "bytes_about": planned.n_bytes,
                "n_known": len(planned.known),
                "faults": faults,
            }
        )
        return
    for fault in planned.faults:
        tell(f"{fault.name}: {fault.reason}")
    rows = [
        [entry.case, entry.found.dataset, str((entry.found.label_set and Path(entry.found.label_set).name) or "")]
        for entry in planned.entries[:_SHOWN]
    ]
    say_table(["case", "dataset", "labels of"], rows)
    n, more = len(planned.entries), f" (the first {_SHOWN} are shown)" if len(planned.entries) > _SHOWN else ""
    say(
        f"\nwould read {n} cases{more}, about {planned.n_bytes / 1e6:.1f} MB; {len(planned.known)} are known already, "
        f"{len(planned.faults)} can't be taken"
    )
