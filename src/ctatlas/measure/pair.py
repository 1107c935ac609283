"""One structure in the reference and in the prediction, cut to the box that holds both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from ctatlas.measure.counts import Counts
from ctatlas.measure.records import Status, status_of
from ctatlas.volume import Segmentation


@dataclass(frozen=True, slots=True)
class Masks:
    """Both masks of a structure, bool, in one box, and the index of the box's first voxel in the scan."""

    gt: np.ndarray
    pred: np.ndarray
    start: tuple[int, ...]


@dataclass(frozen=True)
class Pair:
    """What a family of metrics is given.

    Attributes
    ----------
    structure : str
    spacing_mm : tuple of float
        Along each axis of the masks.
    counts : Counts
    cut_out : callable
        Gives the masks in the smallest box that holds both; called once, when a family first asks for them.
    """

    structure: str
    spacing_mm: tuple[float, ...]
    counts: Counts
    cut_out: Callable[[], Masks]

    @property
    def status(self) -> Status:
        """Which of the two are there."""
        return status_of(self.counts.n_gt, self.counts.n_pred)

    @property
    def gt(self) -> np.ndarray:
        """The reference, bool, in the smallest box that holds both masks; what lies outside is background."""
        return self._masks.gt

    @property
    def pred(self) -> np.ndarray:
        """The prediction, bool, in the same box."""
        return self._masks.pred

    @property
    def start(self) -> tuple[int, ...]:
        """Where in the scan the box begins, as an index of voxels."""
        return self._masks.start

    @cached_property
    def _masks(self) -> Masks:
        return self.cut_out()


def pairs(gt: Segmentation, pred: Segmentation, structures: Iterable[str]) -> Iterator[Pair]:
    """Pair structures that both segmentations name, one after the other.

    Parameters
    ----------
    gt, pred : Segmentation
        On one grid; the caller has checked that.
    structures : iterable of str
    """
    n_gt, n_pred = gt.n_voxels(), pred.n_voxels()
    for name in structures:
        both = int(np.count_nonzero(gt.mask(name) & pred.mask(name))) if n_gt[name] and n_pred[name] else 0
        counts = Counts(n_gt[name], n_pred[name], both, gt.grid.voxel_ml)
        yield Pair(name, gt.grid.spacing_mm, counts, partial(_cut_out, gt, pred, name))


def _cut_out(gt: Segmentation, pred: Segmentation, name: str) -> Masks:
    boxes = [box for box in (gt.box(name), pred.box(name)) if box]
    i, j, k = (
        slice(min((box[axis].start for box in boxes), default=0), max((box[axis].stop for box in boxes), default=0))
        for axis in range(3)
    )
    return Masks(gt.within(name, (i, j, k)), pred.within(name, (i, j, k)), (i.start, j.start, k.start))
