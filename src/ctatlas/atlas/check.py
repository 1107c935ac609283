"""Step `check`: what a body does not allow, found in the masks of each case; safe fixes, kept as a revision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import ctatlas
from ctatlas.anatomy_rules.checks import CheckFinding, Given, Severity, check_masks, check_table, repaired
from ctatlas.atlas.checked import BODY, body_of, checked_of, read_checked
from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.records import CaseRecord, FindingRecord, FindingsRecord, read_record, write_record
from ctatlas.atlas.revise.store import RULES, revision_records, store_revision
from ctatlas.atlas.sources import sources_of
from ctatlas.errors import AtlasError, CtatlasError
from ctatlas.execution import Outcome, Task, perform, refused_task
from ctatlas.hashing import sha256_json
from ctatlas.progress import SILENT, Progress
from ctatlas.volume import read

if TYPE_CHECKING:
    from ctatlas.atlas.atlas import Atlas
    from ctatlas.atlas.config import AtlasConfig
    from ctatlas.volume import Segmentation

STEP = "check"
STEP_VERSION = 1
FINDINGS = "findings.json"


def check_tasks(atlas: Atlas, cases: Sequence[CasePlace], *, of: str = "", rules: Sequence[str] = ()) -> list[Task]:
    """Turn cases into tasks; one without masks becomes a task that fails and says so.

    Parameters
    ----------
    atlas : Atlas
    cases : sequence of CasePlace
    of : str, optional
        Whose masks: "assembled", "original" or a member's name; by default the best there are.
    rules : sequence of str, optional
        Only these; default: all.

    Raises
    ------
    AtlasError
        When a rule is unknown.
    """
    known = {check.rule for check in check_table()}
    if unknown := [rule for rule in rules if rule not in known]:
        raise AtlasError(f"no rule is called {unknown[0]!r}; there are {', '.join(sorted(known))}")
    return [_task(atlas, place, of, tuple(dict.fromkeys(rules))) for place in cases]


def rules_broken(place: CasePlace, masks: Segmentation, absent: Collection[str] = ()) -> tuple[FindingRecord, ...]:
    """Hold masks of a case against all rules, and keep nothing.

    Parameters
    ----------
    place : CasePlace
    masks : Segmentation
        On the scan's grid; a structure that was looked for and not found has an empty one.
    absent : collection of str
        Known not to be there.

    Raises
    ------
    ScanError
        When the scan can't be read.
    """
    scan = read(place.ct)
    given = Given(hu=scan.array, absent=frozenset(absent))
    return tuple(map(_record, check_masks(masks.add(BODY, body_of(scan)), given, check_table())))


def hash_of_tables() -> str:
    """Hash the limits: other limits find other things."""
    rows = [
        [row.rule, row.kind, row.severity, {name: repr(sorted(each.items())) for name, each in row.limits.items()}]
        for row in check_table()
    ]
    return sha256_json(rows)


def check_and_fix(task: Task, progress: Progress = SILENT, *, config: AtlasConfig, created: str) -> Outcome:
    """Check a case, then store what can safely be fixed as a revision by "rules".

    Parameters
    ----------
    task : Task
        Of `check_tasks`.
    progress : Progress
    config : AtlasConfig
        Whose priorities say whether a revision is used.
    created : str
        UTC, ISO 8601.

    Returns
    -------
    Outcome
        Its summary tells `fixed`: structure -> what was done, and the `revision`'s number, or that there was nothing to
        fix or these masks were fixed before; and `fix_not_used`: structure -> the kind of mask ("original") that comes
        before revisions, so that the fix changes nothing in an assembly.
    """
    outcome = perform(task, progress)
    place = CasePlace(task.folder.parent)
    fixed = _fix(place, task, config, created) if outcome.summary.get("fixes") else {}
    return replace(outcome, summary={**outcome.summary, **fixed})


def _task(atlas: Atlas, place: CasePlace, of: str, rules: tuple[str, ...]) -> Task:
    try:
        checked = checked_of(place, atlas.config, of)
        ct = read_record(CaseRecord, place.record).ct_sha256
    except CtatlasError as error:
        return refused_task(place.case, place.checks, error, step=STEP, version=STEP_VERSION)
    decides = {
        "checked": checked.what,
        "rules": list(rules),
        "tables": hash_of_tables(),
        "upstream": {"ct": ct, "masks": checked.key},
    }
    work = partial(_check, place, checked.what, rules)
    return Task(place.case, place.checks, work, STEP, STEP_VERSION, parameters=decides, makes=(FINDINGS,))


def _check(place: CasePlace, what: str, rules: Sequence[str], folder: Path, progress: Progress) -> Mapping[str, object]:
    """Fill the folder."""
    progress.stage("check", 1)
    _, found = _found(place, what, rules)
    record = FindingsRecord(case=place.case, checked=what, findings=tuple(map(_record, found)))
    write_record(record, folder / FINDINGS)
    counts = Counter(finding.severity for finding in found)
    return {
        "checked": what,
        **{f"{severity}s": counts[severity] for severity in get_args(Severity)},
        "fixes": sum(finding.sign.fix is not None for finding in found),
    }


def _found(place: CasePlace, what: str, rules: Sequence[str]) -> tuple[Segmentation, list[CheckFinding]]:
    masks, given = read_checked(place, what)
    return masks, check_masks(masks, given, [row for row in check_table() if not rules or row.rule in rules])


def _record(finding: CheckFinding) -> FindingRecord:
    sign = finding.sign
    return FindingRecord(
        structure=finding.structure,
        rule=finding.rule,
        severity=finding.severity,
        message=sign.says,
        value=_rounded(sign.value),
        limit=_rounded(sign.limit),
        unit=sign.unit,
        lo=(sign.box[0].start, sign.box[1].start, sign.box[2].start) if sign.box else None,
        hi=(sign.box[0].stop, sign.box[1].stop, sign.box[2].stop) if sign.box else None,
        fix=sign.fix.name if sign.fix else "",
    )


def _rounded(value: float | None) -> float | None:
    """Round to what was measured, so that machines that add up in another order say the same."""
    return None if value is None else float(f"{value:.6g}")


def _fix(place: CasePlace, task: Task, config: AtlasConfig, created: str) -> dict[str, object]:
    """Store what can safely be fixed, unless these very masks were fixed before."""
    what, rules = str(task.parameters["checked"]), cast("list[str]", task.parameters["rules"])
    marked = f"masks {sha256_json([task.parameters['upstream'], what])[:12]}"
    for record in revision_records(place).values():
        if record.author == RULES and marked in record.reason:
            unused = _not_used(place, config, record.masks)
            return {"fixed": {}, "fixed_before": True, "revision": record.number, "fix_not_used": unused}
    masks, found = _found(place, what, rules)
    safe = [finding for finding in found if finding.sign.fix]
    changed = repaired(masks, safe)
    if not changed:
        return {"fixed": {}}
    deeds: dict[str, list[str]] = {}
    for finding in safe:
        deeds.setdefault(finding.structure, []).append(f"{_deed(finding)} ({finding.rule}: {finding.sign.says})")
    said = "; ".join(f"{name}: {', '.join(each)}" for name, each in deeds.items())
    revision = store_revision(
        place,
        changed,
        author=RULES,
        minutes=None,
        tool=f"ctatlas {ctatlas.__version__} check --fix",
        reason=f"{said}; {what} {marked}",
        before={name: masks.mask(name) for name in changed},
        created=created,
    )
    fixed = {name: ", ".join(each) for name, each in deeds.items()}
    return {"fixed": fixed, "revision": revision.number, "fix_not_used": _not_used(place, config, changed)}


def _not_used(place: CasePlace, config: AtlasConfig, names: Collection[str]) -> dict[str, str]:
    """Return the structures whose revision loses in an assembly, and to what kind of mask."""
    claims = sources_of(place, config).claims
    return {name: claims[name].kind for name in names if name in claims and claims[name].kind != "revised"}


def _deed(finding: CheckFinding) -> str:
    fix = finding.sign.fix
    if fix is None:
        return ""
    return f"{fix.name} with {fix.exchange_with}" if fix.exchange_with else fix.name
