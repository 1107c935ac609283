"""Left and right ribs, told by the mid-sagittal plane that follows the spine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.findings import Finding
from ctatlas.anatomy_rules.ribs.pieces import Piece
from ctatlas.anatomy_rules.ribs.spine import Spine
from ctatlas.anatomy_rules.ribs.steps import Sides

ENOUGH = 2000  # points of a piece for its median


def on_their_sides(ribs: Sequence[Piece], spine: Spine, step: Sides) -> tuple[list[Piece], list[Finding]]:
    """Give pieces that lie on the other side the name of the partner; what lies in the middle keeps its name."""
    found: list[Piece] = []
    findings: list[Finding] = []
    for each in ribs:
        known = structures()[each.name]
        away_mm = float(np.median(spine.rightward_mm(each.points_mm[:: len(each.points_mm) // ENOUGH + 1])))
        if abs(away_mm) <= step.tolerance_mm or (away_mm > 0) == (known.side == "right"):
            found.append(each)
            continue
        found.append(replace(each, name=known.partner))
        says = f"{abs(away_mm):.0f} mm on the patient's {'right' if away_mm > 0 else 'left'}: now {known.partner}"
        findings.append(Finding(each.name, "rib_sides", says, removed_ml=each.volume_mm3 / 1000))
    return found, findings
