"""What annotators get, and what becomes of what they give back.

`export` makes the `package` of a case (`slicer`, `itk_snap`, `hot_spots` write its parts) → people edit it with their
tools → `returned` reads what comes back, `compare` finds what differs from what was shown, `take_back` decides whose it
is and `store` keeps it as an immutable revision.
"""

from ctatlas.atlas.revise.store import store_revision

__all__ = ["store_revision"]
