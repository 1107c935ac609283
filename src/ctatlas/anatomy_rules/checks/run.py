"""Let checks look at a case, and carry out the fixes that they suggest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ctatlas.anatomy_rules.checks.findings import CheckFinding
from ctatlas.anatomy_rules.checks.registry import CHECKS, EVERY, Check, check_table
from ctatlas.anatomy_rules.checks.subject import Given, Subject
from ctatlas.volume import Segmentation

if TYPE_CHECKING:
    import numpy as np

_GRAVEST_FIRST = ("error", "warning", "note")


def check_masks(
    segmentation: Segmentation, given: Given | None = None, checks: Sequence[Check] | None = None
) -> list[CheckFinding]:
    """Look for what a body does not allow.

    Parameters
    ----------
    segmentation : Segmentation
        Structures found, or looked for and not found; a `body`, where there is one, is a reference.
    given : Given, optional
        The scan, the combined label map, what is known to be absent.
    checks : sequence of Check, optional
        By default those of the tables.

    Returns
    -------
    list of CheckFinding
        The gravest first, then in the order of the tables.
    """
    subject = Subject(segmentation, given)
    found: list[CheckFinding] = []
    for row in check_table() if checks is None else checks:
        for name in subject.names if EVERY in row.limits else row.limits:
            limits = row.limits.get(name, row.limits.get(EVERY, {}))
            if name in subject.names and name not in subject.given.absent:
                for sign in CHECKS[row.kind](name, subject, **limits):
                    where = sign if sign.box else replace(sign, box=subject.box(name))
                    found.append(CheckFinding(name, row.rule, row.severity, where))
    return sorted(found, key=lambda finding: _GRAVEST_FIRST.index(finding.severity))


def repaired(segmentation: Segmentation, findings: Iterable[CheckFinding]) -> dict[str, np.ndarray]:
    """Carry out what findings suggest.

    Returns
    -------
    dict of str to (i, j, k) bool
        The masks that change, as they are then.
    """
    fixes = [(finding.structure, finding.sign.fix) for finding in findings if finding.sign.fix]
    masks: dict[str, np.ndarray] = {}
    for name, fix in fixes:
        if fix.box is not None:
            mask = masks[name] = masks[name] if name in masks else segmentation.mask(name)
            if fix.remove is not None:
                mask[fix.box] &= ~fix.remove
            if fix.add is not None:
                mask[fix.box] |= fix.add
    exchanged: set[str] = set()
    for name, fix in fixes:  # last, because what the others say is in terms of the names as they were
        other = fix.exchange_with
        if other and not {name, other} & exchanged:
            one, two = (masks[each] if each in masks else segmentation.mask(each) for each in (name, other))
            masks[name], masks[other] = two, one
            exchanged |= {name, other}
    return {name: mask for name, mask in masks.items() if (mask != segmentation.mask(name)).any()}
