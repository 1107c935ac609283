"""`ctatlas check`: what a body does not allow, found in an atlas's masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    from ctatlas.atlas.records import FindingRecord
    from ctatlas.execution import Outcome

EXAMPLE = "ctatlas check my-atlas"
_AT_MOST_ROWS = 50


def check(
    folder: AtlasFolder,
    *,
    case: Cases = None,
    of: Annotated[
        str,
        typer.Option(
            metavar="MASKS",
            help="Which masks: assembled, original, or a member's name; default: the first of these that a case has.",
        ),
    ] = "",
    rule: Annotated[list[str] | None, typer.Option(help="Only this rule; may be given several times.")] = None,
    fix: Annotated[
        bool, flag("--fix", text='Store what can safely be fixed as a revision by "rules", and say each.')
    ] = False,
    workers: Workers = 1,
    shard: ShardOf = None,
    timeout: Timeout = None,
    retries: Retries = 0,
    json: AsJson = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check masks against what a body allows: some thirty rules with limits in mm and mL.

    Findings go to cases/<case>/checks/findings.json and into the catalog: an error is surely wrong, a warning
    probably, a note may be right. Nothing is changed; with --fix, what can safely be is kept as a revision, which
    'assemble' uses.
    """
    from datetime import UTC, datetime
    from functools import partial

    from ctatlas.atlas import Atlas
    from ctatlas.atlas.check import check_and_fix, check_tasks
    from ctatlas.commands.cases import Manner
    from ctatlas.commands.steps import Selection, run_step
    from ctatlas.execution import Patience, perform

    manner = Manner(workers, Patience(timeout, retries), as_json=json, quiet=quiet, debug=debug)
    tasks_of = partial(check_tasks, of=of, rules=rule or ())
    now = datetime.now(UTC).isoformat(timespec="seconds")
    do = partial(check_and_fix, config=Atlas.open(folder).config, created=now) if fix else perform
    chosen = Selection(case or (), shard, dry_run)
    raise typer.Exit(run_step(folder, tasks_of, chosen, manner, _say_done, do=do, details=_findings_as_json))


def _say_done(outcomes: Sequence[Outcome]) -> None:
    from ctatlas.commands.cases import state_of

    rows = [[outcome.case, state_of(outcome), *_cells(outcome.summary)] for outcome in outcomes[:_AT_MOST_ROWS]]
    say_table(["case", "state", "masks", "errors n", "warnings n", "notes n", "safe fixes n"], rows)
    if len(outcomes) > _AT_MOST_ROWS:
        say(f"and {len(outcomes) - _AT_MOST_ROWS} more cases; --json lists all")
    if len(outcomes) == 1:
        _say_findings(outcomes[0])
    for outcome in outcomes:
        _say_fixes(outcome)


def _cells(summary: Mapping[str, object]) -> list[str]:
    return [str(summary.get(word, "")) for word in ("checked", "errors", "warnings", "notes", "fixes")]


def _findings_of(outcome: Outcome) -> Sequence[FindingRecord]:
    from ctatlas.atlas.check import FINDINGS
    from ctatlas.atlas.records import FindingsRecord, read_record

    return read_record(FindingsRecord, outcome.folder / FINDINGS).findings if outcome.summary else ()


def _findings_as_json(outcome: Outcome) -> dict[str, object]:
    """Give each finding as its file has it, and the case."""
    return {"findings": [{"case": outcome.case} | each.model_dump() for each in _findings_of(outcome)]}


def _say_findings(outcome: Outcome) -> None:
    """List what was found in a single case."""
    found = _findings_of(outcome)[:_AT_MOST_ROWS]
    if rows := [[each.severity, each.structure, each.rule, each.message, each.fix] for each in found]:
        say("")
        say_table(["severity", "structure", "rule", "found", "safe fix"], rows)


def _say_fixes(outcome: Outcome) -> None:
    """Tell each fix that was made: none is silent."""
    summary = cast("dict[str, Any]", outcome.summary)
    if summary.get("fixed_before"):
        say(f"{outcome.case}: these masks were fixed before, by revision {summary['revision']}")
    for structure, deed in (summary.get("fixed") or {}).items():
        say(f"{outcome.case}: revision {summary['revision']}: {structure}: {deed}")
    if beaten := summary.get("fix_not_used"):
        number, first = summary["revision"], " and ".join(sorted(set(beaten.values())))
        say(
            f"{outcome.case}: revision {number} of {', '.join(beaten)} is kept but not used: {first} masks come before "
            'revised ones; put "revised" first in the priorities of atlas.toml to use it'
        )
