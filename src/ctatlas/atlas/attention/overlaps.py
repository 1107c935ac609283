"""Where a structure's mask meets one that it may not share voxels with."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from ctatlas.anatomy import may_share_voxels
from ctatlas.atlas.attention.boxed import Boxed, overlap


def overlaps(masks: Mapping[str, Boxed]) -> dict[str, Boxed]:
    """Mark the voxels of every structure that a structure which may not overlap with it claims too.

    Parameters
    ----------
    masks : mapping of str to Boxed
        One a structure, bool; all at once, but only their boxes are held.

    Returns
    -------
    dict of str to Boxed
        bool; of the structures that overlap anywhere.
    """
    found: dict[str, Boxed] = {}
    for one, other in combinations(masks, 2):
        box = overlap(masks[one].box, masks[other].box)
        if box is None or may_share_voxels(one, other):
            continue
        both = masks[one].within(box) & masks[other].within(box)
        if both.any():
            for name in (one, other):
                mark = found.setdefault(name, Boxed.zeros(masks[name].shape, masks[name].box, np.bool_))
                mark.within(box)[both] = True
    return found
