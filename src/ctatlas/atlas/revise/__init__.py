"""What annotators get, and what becomes of what they give back.

`store` keeps what was corrected as an immutable revision.
"""

from ctatlas.atlas.revise.store import store_revision

__all__ = ["store_revision"]
