"""Ribs and vertebrae as a body has them: numbered, on their sides, in one piece, joined.

`repair` is the whole, step by step: `pieces` takes both apart into connected lists of voxels, `vertebrae` numbers
those of the spine, `spine` makes the curve by which left, right and height are judged, `sides` puts ribs on theirs,
`lines` finds their middle lines and `chains` the pieces that make up one, `numbers` counts them against the vertebrae
and `doubts` says when that is uncertain; `filling` adds, along `ways` of bone, what lacks. `steps` holds what each step
goes by (`lengths.toml`).
"""

from ctatlas.anatomy_rules.ribs.repair import Repaired, RibState, repair_ribs
from ctatlas.anatomy_rules.ribs.steps import Steps, changed_steps, rib_steps

__all__ = ["Repaired", "RibState", "Steps", "changed_steps", "repair_ribs", "rib_steps"]
