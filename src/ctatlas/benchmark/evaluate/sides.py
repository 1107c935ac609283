"""Notice a prediction whose left and right are swapped, or that is flipped as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from ctatlas.anatomy import structures
from ctatlas.benchmark.evaluate.notes import Note
from ctatlas.volume import Segmentation

# Source: ours. The two sides of a body never share this much; a poor prediction is no better the other way round.
_FAR_BETTER = 0.4
_LOOKED_AT = 96  # voxels along each axis that a look for flips takes
_DIRECTIONS = {"R": "left-right", "A": "front-back", "S": "head-feet"}
_SAME = {"L": "R", "P": "A", "I": "S"}


def swapped_sides(gt: Segmentation, pred: Segmentation, names: Sequence[str]) -> Iterator[Note]:
    """Yield a note for each structure of two sides that would fit far better with left and right swapped."""
    known = structures()
    lefts = [name for name in names if name in known and known[name].side == "left" and known[name].partner in names]
    if not lefts:
        return
    n_gt, n_pred = gt.n_voxels(), pred.n_voxels()
    for left in lefts:
        right = known[left].partner
        pairs = ((left, left), (right, right), (left, right), (right, left))
        a, b, c, d = (2 * _shared(gt, one, pred, other) / max(1, n_gt[one] + n_pred[other]) for one, other in pairs)
        if (c + d) / 2 >= (a + b) / 2 + _FAR_BETTER:
            yield Note(
                "swapped_sides",
                f"{left} and {right} have a DSC of {a:.2f} and {b:.2f} as they are named, of {c:.2f} and {d:.2f} with "
                "left and right swapped",
                structure=left,
            )


def mirrored(gt: Segmentation, pred: Segmentation, names: Sequence[str]) -> Iterator[Note]:
    """Yield a note when a prediction would agree far better if its voxels were flipped along one or two axes."""
    ids = {name: number for number, name in enumerate(names, start=1)}
    step = tuple(slice(None, None, max(1, n // _LOOKED_AT)) for n in gt.grid.shape)
    reference, predicted = gt.combined(ids), pred.combined(ids)
    there = reference[step] != 0
    if not there.any():
        return
    shares = {
        axes: float((np.flip(predicted, axes)[step] == reference[step])[there].mean())
        for n in range(3)
        for axes in combinations(range(3), n)
    }
    best = max(shares, key=lambda axes: shares[axes])
    if shares[best] >= shares[()] + _FAR_BETTER:
        along = " and ".join(
            _DIRECTIONS[_SAME.get(letter, letter)] for letter in (gt.grid.orientation[a] for a in best)
        )
        yield Note(
            "mirrored",
            f"the prediction agrees in {shares[()]:.0%} of the reference's voxels, in {shares[best]:.0%} if it is "
            f"flipped {along}: its header or its voxels are the wrong way round",
        )


def _shared(gt: Segmentation, of_gt: str, pred: Segmentation, of_pred: str) -> int:
    """Count the voxels that both have."""
    box = gt.box(of_gt)
    return 0 if box is None else int(np.count_nonzero(gt.within(of_gt, box) & pred.within(of_pred, box)))
