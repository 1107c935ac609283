"""`ctatlas status`: what an atlas holds and what is left to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctatlas.commands.options import AsJson, AtlasFolder, Debug, flag

if TYPE_CHECKING:
    from ctatlas.atlas import Atlas
    from ctatlas.atlas.queries.remaining import RemainingError

EXAMPLE = "ctatlas status my-atlas"
_KINDS = ("original", "pseudo", "revised", "assembled")
_SOURCES = ("original", "revised", "pseudo", "absent")  # of a release's masks
_STEPS = ("predict", "attend", "check", "assemble")


def status(
    folder: AtlasFolder,
    *,
    sync: Annotated[bool, flag("--sync", text="Read the cases' files first: after --shard jobs, or edits.")] = False,
    top: Annotated[int, typer.Option(min=0, help="How many cases to rank by attention.")] = 10,
    json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001 - read by the program
) -> None:
    """Say what an atlas holds: cases, masks and where they come from, steps done, where to look next."""
    from ctatlas.atlas import Atlas
    from ctatlas.commands.console import say_json, tell

    atlas = Atlas.open(folder)
    if not sync and atlas.lost_its_index():
        tell(f"{atlas.place.catalog}: is missing; made anew from the files")
        sync = True
    if sync:
        from ctatlas.execution import FAILURES, gather_failures

        with atlas.writing():
            faults, gone = atlas.synchronise()
            n_failed = gather_failures(atlas.place.root)
        if n_failed:
            tell(f"{n_failed} failed in jobs with --shard: {atlas.place.root / FAILURES}")
        for line in (*faults, *(f"{case}: its folder is gone; no longer in the index" for case in gone)):
            tell(line)
    found = _ask(atlas, top)
    found["releases"], faults = _releases_of(atlas)
    for fault in faults:
        tell(fault)
    if json:
        say_json(found)
    else:
        _say(found)


def _ask(atlas: Atlas, top: int) -> dict[str, Any]:
    from dataclasses import asdict

    from ctatlas.atlas.catalog import questions

    remaining = _remaining_in(atlas)
    with atlas.catalog() as catalog, catalog.session() as session:
        cases, revisions, minutes = questions.revision_totals(session)
        return {
            "atlas": atlas.config.name,
            "label_set": atlas.config.label_set,
            "cases": questions.case_count(session),
            "steps": questions.step_counts(session),
            "labels": questions.label_counts(session),
            "revisions": {"cases": cases, "n": revisions, "minutes": minutes},
            "remaining_error": asdict(remaining) if remaining else None,
            "findings": questions.finding_counts(session),
            "look_first": [
                {"case": case, "score": round(score, 3), "minutes": round(minutes, 1)}
                for case, score, minutes in questions.cases_by_attention(session, top)
            ],
            "structures_by_attention": [
                {"structure": name, "score": round(score, 3), "ml": round(ml, 1), "cases": n}
                for name, score, ml, n in questions.structures_by_attention(session)
            ],
        }


def _releases_of(atlas: Atlas) -> tuple[list[dict[str, Any]], list[str]]:
    if not atlas.place.releases.is_dir():
        return [], []
    from ctatlas.atlas.releases import releases_in

    records, faults = releases_in(atlas.place.releases)
    said = ("version", "licence", "layout", "content", "label_set", "cases", "masks", "sources")
    return [{name: getattr(record, name) for name in said} for record in records], faults


def _remaining_in(atlas: Atlas) -> RemainingError | None:
    if not atlas.place.queries.is_dir():  # nothing was asked: spare the import of statistics
        return None
    from ctatlas.atlas.queries.asking import remaining_in

    return remaining_in(atlas)


def _say(found: dict[str, Any]) -> None:
    from ctatlas.commands.console import say, say_table

    n_cases = sum(found["cases"].values())
    say(f"{found['atlas']}: {n_cases} cases, label set {found['label_set']}\n")
    say_table(["dataset", "cases n"], [[name, str(n)] for name, n in found["cases"].items()])
    say("")
    say_table(["step", "done for n"], [[step, str(found["steps"].get(step, 0))] for step in _STEPS])
    revised = found["revisions"]
    say(f"\n{revised['n']} revisions of {revised['cases']} cases, {revised['minutes']:.0f} minutes.\n")
    if found["remaining_error"]:
        say(_remaining(found["remaining_error"]) + "\n")
    rows = [[name, *(str(kinds.get(kind, 0)) for kind in _KINDS)] for name, kinds in sorted(found["labels"].items())]
    if rows:
        say_table(["structure", *(f"{kind} n" for kind in _KINDS)], rows)
    if found["findings"]:
        severities = ("error", "warning", "note")
        counts = [[rule, *(str(n.get(one, 0)) for one in severities)] for rule, n in sorted(found["findings"].items())]
        say("")
        say_table(["rule", *(f"{one}s n" for one in severities)], counts)
    if found["releases"]:
        say("")
        say_table(
            ["release", "layout", "holds", "label set", "cases n", "masks n", *(f"{kind} n" for kind in _SOURCES)],
            [_release(each) for each in found["releases"]],
        )
    if found["look_first"]:
        ranked = [[each["case"], f"{each['score']:.2f}", f"{each['minutes']:.1f}"] for each in found["look_first"]]
        say("\nLook first at:")
        say_table(["case", "attention value", "minutes n"], ranked)
        worst = [
            [each["structure"], f"{each['score']:.2f}", f"{each['ml']:.1f}", str(each["cases"])]
            for each in found["structures_by_attention"][: len(ranked)]
        ]
        say("")
        say_table(["structure", "attention value", "mL", "cases n"], worst)


def _release(found: dict[str, Any]) -> list[str]:
    counts = [found["cases"], found["masks"], *(found["sources"].get(kind, 0) for kind in _SOURCES)]
    return [*(found[name] for name in ("version", "layout", "content", "label_set")), *map(str, counts)]


def _remaining(found: dict[str, Any]) -> str:
    ml, share, dice = found["wrong_ml"], found["wrong_share"], found["mean_dice"]
    return (
        f"Still wrong, by {found['n_answered']} of {found['n_asked']} structures drawn at random in query "
        f"{found['query']}: {share['value']:.0%} of the structures (95 % interval {share['low']:.0%} to "
        f"{share['high']:.0%}), mean Dice {dice['value']:.3f} ({dice['low']:.3f} to {dice['high']:.3f}), "
        f"of the order of {ml['value']:.0f} mL."
    )
