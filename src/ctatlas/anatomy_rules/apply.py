"""Carry rules out on a segmentation, one after the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.anatomy_rules.anatomy import Anatomy
from ctatlas.anatomy_rules.findings import Finding, Outcome, Tidied
from ctatlas.anatomy_rules.registry import RULES, Rule

if TYPE_CHECKING:
    from ctatlas.volume import Segmentation


def apply_rules(segmentation: Segmentation, rules: Sequence[Rule]) -> Tidied:
    """Tidy a segmentation.

    Parameters
    ----------
    segmentation : Segmentation
        On any grid: a network's coarse one or a scan's. Structures that serve as references only (`body`, auxiliary
        classes) may be in it; what is not there is not asked for.
    rules : sequence of Rule
        Carried out in this order, each structure as the rules before left it.

    Returns
    -------
    Tidied
        A structure from which all is removed keeps its name: looked for, not found.
    """
    anatomy = Anatomy(segmentation)
    findings: list[Finding] = []
    for row in rules:
        for name in row.structures:
            if name in anatomy.names:
                outcome = RULES[row.kind](name, anatomy, **row.parameters)
                findings += _findings(name, row.kind, outcome, segmentation.grid.voxel_ml)
                for successor in outcome.replaced_by:
                    anatomy.introduce(successor, beside=name)
                anatomy.carry_out(outcome.changes)
                if outcome.replaced_by:
                    anatomy.forget(name)
    return Tidied(anatomy.segmentation(), tuple(findings))


def _findings(name: str, kind: str, outcome: Outcome, voxel_ml: float) -> Iterator[Finding]:
    """Say what an outcome means, one finding for what has the same reason."""
    for note in outcome.notes:
        yield Finding(name, kind, note)
    passed: dict[tuple[str, str, str], int] = defaultdict(int)
    for change in outcome.changes:
        passed[change.structure, change.to, change.why] += int(np.count_nonzero(change.voxels)) if change.why else 0
    for (source, to, why), n_voxels in passed.items():
        passed_ml = round(n_voxels * voxel_ml, 3)
        if source and n_voxels:
            yield Finding(source, kind, why, removed_ml=passed_ml)
        if to and n_voxels:
            yield Finding(to, kind, f"{why}; from {source}" if source else why, added_ml=passed_ml)
