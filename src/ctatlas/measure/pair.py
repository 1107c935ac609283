"""One structure in the reference and in the prediction, cut to the box that holds both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ctatlas.measure.counts import Counts
from ctatlas.measure.records import Status, status_of
from ctatlas.measure.surface import SurfaceDistances, SurfelPair, surface_distances, surfels_of_masks

if TYPE_CHECKING:
    import numpy as np


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
    find_surfels : callable, optional
        Gives their surface elements without a mask of either; by default they are those of the masks.
    """

    structure: str
    spacing_mm: tuple[float, ...]
    counts: Counts
    cut_out: Callable[[], Masks]
    find_surfels: Callable[[], SurfelPair] | None = None

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

    def surfaces(self) -> SurfaceDistances:
        """Measure how far both surfaces lie apart; all metrics of surface elements follow from that."""
        surfels = self.find_surfels() if self.find_surfels else surfels_of_masks(self.gt, self.pred)
        return surface_distances(surfels, self.spacing_mm)
