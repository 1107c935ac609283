"""What a body does not allow, looked for in masks: nothing is changed, every sign is measured against a limit.

A check is a row of a table in `data/` (rule, structures, limits in mm, mm², mL or HU, severity, source) and one small
function of its kind. `registry` reads the rows, `run` carries them out on a `subject`, what they see is one
of the `findings`. The kinds: `presence` (what must and can't be in view), `sizes`, `pieces` (and holes and gaps),
`sides`, `place` (levels, neighbours, parents, the skin), `sharing` (overlaps, duplicates, the combined labels),
`outline` (leaks, flat cuts, the end of the scan), `slices` (steps, ragged tubes), `spine` (vertebrae and ribs),
`intensity`, `hollow`.
"""

from ctatlas.anatomy_rules.checks import (  # these fill the registry
    hollow,
    intensity,
    outline,
    pieces,
    place,
    presence,
    sharing,
    sides,
    sizes,
    slices,
    spine,
)
from ctatlas.anatomy_rules.checks.findings import CheckFinding, Fix, Severity, Sign
from ctatlas.anatomy_rules.checks.registry import CHECKS, Check, check, check_table, checks_from
from ctatlas.anatomy_rules.checks.run import check_masks, repaired
from ctatlas.anatomy_rules.checks.subject import Given, Subject

__all__ = [
    "CHECKS",
    "Check",
    "CheckFinding",
    "Fix",
    "Given",
    "Severity",
    "Sign",
    "Subject",
    "check",
    "check_masks",
    "check_table",
    "checks_from",
    "hollow",
    "intensity",
    "outline",
    "pieces",
    "place",
    "presence",
    "repaired",
    "sharing",
    "sides",
    "sizes",
    "slices",
    "spine",
]
