"""What lies in a structure and is part of it: its tumors, its vessels, the parts of a union."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ctatlas.anatomy import ancestors, holders
from ctatlas.anatomy_rules.components import Box, label_components, measure_components
from ctatlas.volume import Segmentation, box_of


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
        for outer, part in _shares(masks, name, holders(name, names)):
            if ranks[name] <= ranks[outer]:
                mask = masks.mask(outer)
                if (part & ~mask).any():
                    masks = masks.replace({outer: mask | part})
    return masks


def painting_order(masks: Segmentation) -> list[str]:
    """Order structures for one label map, in which later ones win: what lies in others last, small after large."""
    sizes = masks.n_voxels()
    names = masks.names
    depth = {name: len(ancestors(name) & set(names)) + len(holders(name, names)) for name in names}
    return sorted(names, key=lambda name: (depth[name], -sizes[name]))


def _shares(masks: Segmentation, name: str, outer: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what each of the structures around one gets of it, (i, j, k) bool."""
    whole = [other for other in outer if other in ancestors(name)]
    sides = [other for other in outer if other not in whole]
    mask = masks.mask(name) if outer else np.zeros(0, bool)
    inside = box_of(mask) if outer else None
    if inside is None:
        return
    yield from ((other, mask) for other in whole)
    if not sides:
        return
    labels = label_components(mask[inside])
    start = inside[0].start, inside[1].start, inside[2].start
    side_masks = {side: masks.mask(side) for side in sides}
    shares = {side: np.zeros(masks.grid.shape, bool, order="F") for side in sides}
    for component in measure_components(labels, masks.grid, start=start):
        here = tuple(slice(a.start - s, a.stop - s) for a, s in zip(component.box, start, strict=True))
        piece = labels[here] == component.label
        touched = [_touching(piece, component.box, side_masks[side]) for side in sides]
        if max(touched):
            shares[sides[int(np.argmax(touched))]][component.box] |= piece
    yield from shares.items()


def _touching(piece: np.ndarray, box: Box, mask: np.ndarray) -> int:
    """Count the voxels of a mask that lie in a piece or next to it."""
    from scipy.ndimage import binary_dilation

    wider = tuple(slice(max(0, s.start - 1), min(n, s.stop + 1)) for s, n in zip(box, mask.shape, strict=True))
    margins = [(a.start - b.start, b.stop - a.stop) for a, b in zip(box, wider, strict=True)]
    grown = binary_dilation(np.pad(piece, margins), np.ones((3, 3, 3), bool))
    return int(np.count_nonzero(grown & mask[wider]))
