"""Frozen, hashed, documented copies of an atlas for strangers.

`choices` is what a person decides → `plan` what the release will hold, from the records alone (`ids` gives numbers,
`layouts` says where files lie) → `rules` what must be true of the cases together → `case` prepares the files of one
(`earlier`: what its masks were before), `soundness` proves them → `make` lays them out (`shards`), tells of them
(`rows` → `manifest`; `facts` → `card`, `datasheet`, `croissant`, `nnunet`; `licences`; `sums`) and gives the release
its name. `copies` opens a release without the atlas, for `verify` and `diff`. What a release is for programs says
`ctatlas.atlas.releases`.
"""

from ctatlas.atlas.release.choices import ReleaseChoices, bytes_of
from ctatlas.atlas.release.diff import MaskChange, ReleaseDiff, StructureChange, diff_releases
from ctatlas.atlas.release.layouts import LAYOUTS
from ctatlas.atlas.release.make import make_release, refuse_unsound
from ctatlas.atlas.release.plan import Plan, plan_release
from ctatlas.atlas.release.verify import release_faults

__all__ = [
    "LAYOUTS",
    "MaskChange",
    "Plan",
    "ReleaseChoices",
    "ReleaseDiff",
    "StructureChange",
    "bytes_of",
    "diff_releases",
    "make_release",
    "plan_release",
    "refuse_unsound",
    "release_faults",
]
