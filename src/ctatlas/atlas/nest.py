"""What lies in a structure and is part of it: its tumors, its vessels, the parts of a union."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ctatlas.anatomy import ancestors, holders
from ctatlas.volume import Segmentation
from ctatlas.volume.segmentation import Box


def nested(masks: Segmentation, ranks: Mapping[str, int]) -> Segmentation:
    """Let every structure include what lies in it and is part of it, such as an organ its tumors.

    Where only the sides of an organ are there, each piece goes to the side it touches most, a piece that touches none
    to none.

    Parameters
    ----------
    masks : Segmentation
    ranks : mapping of str to int
        How good each mask's kind is, 0 the best. A better one is left as it is: no organ that a person drew grows by a
        tumor that a model predicts.
    """
    names = masks.names
    for name in sorted(names, key=lambda one: -len(holders(one, names))):  # the innermost first
        outer = [other for other in holders(name, names) if ranks[name] <= ranks[other]]
        for other, box, part in _shares(masks, name, outer):
            masks = masks.grow(other, box, part)
    return masks


def painting_order(sizes: Mapping[str, int]) -> list[str]:
    """Order structures for one label map, in which later ones win: what lies in others last, small after large.

    Parameters
    ----------
    sizes : mapping of str to int
        Numbers of voxels.
    """
    names = set(sizes)
    depth = {name: len(ancestors(name) & names) + len(holders(name, sizes)) for name in sizes}
    return sorted(sizes, key=lambda name: (depth[name], -sizes[name]))


def _shares(masks: Segmentation, name: str, outer: Sequence[str]) -> list[tuple[str, Box, np.ndarray]]:
    """Return what each of the structures around one gets of it: voxels within a box."""
    box = masks.box(name) if outer else None
    if box is None:
        return []
    part = masks.within(name, box)
    whole = [other for other in outer if other in ancestors(name)]
    sides = [other for other in outer if other not in whole]
    return [(other, box, part) for other in whole] + (_by_piece(masks, box, part, sides) if sides else [])


def _by_piece(
    masks: Segmentation, box: Box, part: np.ndarray, sides: Sequence[str]
) -> list[tuple[str, Box, np.ndarray]]:
    """Give every connected piece to the side that it touches most."""
    from ctatlas.anatomy_rules.components import label_components, measure_components

    labels = label_components(part)
    shares = {side: np.zeros(part.shape, bool) for side in sides}
    for component in measure_components(labels, masks.grid):
        piece = labels[component.box] == component.label
        i, j, k = (slice(a.start + b.start, a.stop + b.start) for a, b in zip(component.box, box, strict=True))
        touched = [_touching(piece, (i, j, k), masks, side) for side in sides]
        if max(touched):
            shares[sides[int(np.argmax(touched))]][component.box] |= piece
    return [(side, box, share) for side, share in shares.items() if share.any()]


def _touching(piece: np.ndarray, box: Box, masks: Segmentation, side: str) -> int:
    """Count the voxels of a structure that lie in a piece or next to it."""
    from scipy.ndimage import binary_dilation

    i, j, k = (slice(max(0, s.start - 1), min(n, s.stop + 1)) for s, n in zip(box, masks.grid.shape, strict=True))
    margins = [(a.start - b.start, b.stop - a.stop) for a, b in zip(box, (i, j, k), strict=True)]
    grown = binary_dilation(np.pad(piece, margins), np.ones((3, 3, 3), bool))
    return int(np.count_nonzero(grown & masks.within(side, (i, j, k))))
