"""Run one step of the loop over an atlas: hold it, do what is not done, bring the index up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ctatlas.atlas import Atlas
from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.shards import Shard
from ctatlas.commands.cases import Details, Manner, run_tasks, say_plan, state_of
from ctatlas.commands.console import say_table, tell
from ctatlas.errors import AtlasError
from ctatlas.execution import Outcome, Performer, Task, failures_of_job, perform

TasksOf = Callable[[Atlas, list[CasePlace]], Sequence[Task]]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases: all, some by id, or one job's share; of a dry run only what would be done is said."""

    cases: Sequence[str] = ()
    shard: str | None = None
    dry_run: bool = False


def run_step(
    folder: Path,
    tasks_of: TasksOf,
    selection: Selection,
    manner: Manner,
    say_done: Callable[[Sequence[Outcome]], None] | None = None,
    *,
    do: Performer = perform,
    details: Details | None = None,
) -> int:
    """Do one step and return the exit code.

    Parameters
    ----------
    folder : Path
        The atlas.
    tasks_of : callable
        From the cases that are chosen to their tasks; what is wrong with the call is refused there, before any work.
    selection : Selection
        A shard writes files of cases only; `ctatlas status --sync` brings the index up to date when all are done.
    manner : Manner
    say_done : callable, optional
        Says what is there now; default: a line a case.
    do : callable, optional
        How one task is done.
    details : callable, optional
        What JSON tells of a case beside its summary.

    Raises
    ------
    AtlasError
        When there is no such atlas or case, or another process writes to it.
    """
    atlas = Atlas.open(folder)
    shard = Shard.of(selection.shard) if selection.shard else None
    if selection.dry_run:
        say_plan(tasks_of(atlas, _cases(atlas, selection, shard)), as_json=manner.as_json)
        return 0
    with atlas.writing(shared=shard is not None):
        cases = _cases(atlas, selection, shard)
        if shard is not None:
            tasks = tasks_of(atlas, cases)
            failures = failures_of_job(shard.number, shard.total)
            return run_tasks(tasks, folder, manner, say_done or say_cases, do=do, failures=failures, details=details)
        with _indexed(atlas, cases):
            return run_tasks(tasks_of(atlas, cases), folder, manner, say_done or say_cases, do=do, details=details)


@contextmanager
def _indexed(atlas: Atlas, cases: Sequence[CasePlace]) -> Iterator[None]:
    """Bring the index up to date after work, however that ended; one that can't be opened is refused before it."""
    with atlas.catalog() as catalog:
        if catalog.is_empty():  # it was lost, or this is the first step: all are to be in it, not these alone
            cases = atlas.cases()
    try:
        yield
    except BaseException:
        with suppress(AtlasError):  # what went wrong first is what people need to know
            _index(atlas, cases)
        raise
    _index(atlas, cases)


def _index(atlas: Atlas, cases: Sequence[CasePlace]) -> None:
    with atlas.catalog() as catalog:
        for fault in catalog.synchronise(cases):
            tell(fault)


def say_cases(outcomes: Sequence[Outcome]) -> None:
    """Say what became of each case, or of many how many were done."""
    if len(outcomes) <= 50:
        say_table(["case", "state"], [[outcome.case, state_of(outcome)] for outcome in outcomes])
        return
    states = [state_of(outcome) for outcome in outcomes]
    say_table(["state", "cases n"], [[state, str(states.count(state))] for state in sorted(set(states))])


def _cases(atlas: Atlas, selection: Selection, shard: Shard | None) -> list[CasePlace]:
    cases = atlas.cases(selection.cases, shard)
    if not cases and shard is None:
        raise AtlasError(f"{atlas.place.root}: has no cases yet; 'ctatlas add {atlas.place.root} SOURCE' adds some")
    return cases
