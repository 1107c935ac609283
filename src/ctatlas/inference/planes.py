"""Sums of overlapping windows that are let go, plane by plane, as soon as no window can change them any more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ctatlas.inference.probabilities import probabilities_of
from ctatlas.inference.route import Route
from ctatlas.inference.windows import SCHEMES
from ctatlas.kernels.boxes import Box, Index
from ctatlas.models import ModelCard


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """Some planes of probabilities on the network's grid.

    Attributes
    ----------
    first : int
        Which plane of the route's coarse grid is the first, along the scan's slices.
    values : (c, i, j, k) float32
        Axes in the scan's order.
    """

    first: int
    values: np.ndarray

    @property
    def end(self) -> int:
        """The plane after the last."""
        return self.first + int(self.values.shape[3])


class Sums:
    """Weighted sums of windows on a padded grid, cut along the scan's slices wherever a window begins or ends.

    Parameters
    ----------
    boxes : sequence of Box
        All windows, in the order in which they will be added: along the scan's slices.
    shape : three int
        Of the padded grid.
    inner : Box
        What of it is no padding.
    route : Route
    card : ModelCard
    """

    def __init__(self, boxes: Sequence[Box], shape: Index, inner: Box, route: Route, card: ModelCard) -> None:
        self._shape, self._inner, self._route, self._card = shape, inner, route, card
        self._axis, self._descending = route.slices
        self._scheme = SCHEMES[card.window.scheme]
        self._weights = self._scheme.weights(card.window.shape)
        lo, hi = inner.lo[self._axis], inner.hi[self._axis]
        ends = {lo, hi} | {end for box in boxes for end in (box.lo[self._axis], box.hi[self._axis])}
        parts = list(pairwise(sorted(end for end in ends if lo <= end <= hi)))
        self._waiting = parts[::-1] if self._descending else parts
        self._held: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    def add(self, box: Box, said: np.ndarray) -> None:
        """Add what the network said of a window (c, x, y, z), each voxel with its weight."""
        for part in self._waiting:
            lo, hi = max(part[0], box.lo[self._axis]), min(part[1], box.hi[self._axis])
            if lo >= hi:
                continue
            totals, weight = self._sums_of(part)
            here, there = list(box.slices), [slice(None)] * 3
            here[self._axis] = slice(lo - part[0], hi - part[0])
            there[self._axis] = slice(lo - box.lo[self._axis], hi - box.lo[self._axis])
            own = self._weights[tuple(there)]
            weight[tuple(here)] += own
            for total, given in zip(totals, said, strict=True):  # class by class: what is held stays small
                total[tuple(here)] += given[tuple(there)] * own

    def done_before(self, box: Box) -> Iterator[Planes]:
        """Let go of the planes that neither this window nor one after it reaches."""
        while self._waiting:
            lo, hi = self._waiting[0]
            reached = lo < box.hi[self._axis] if self._descending else hi > box.lo[self._axis]
            if reached:
                return
            yield self._let_go()

    def rest(self) -> Iterator[Planes]:
        """Let go of what is left."""
        while self._waiting:
            yield self._let_go()

    def _sums_of(self, part: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        if part not in self._held:
            shape = list(self._shape)
            shape[self._axis] = part[1] - part[0]
            self._held[part] = np.zeros((len(self._card.classes), *shape), np.float32), np.zeros(shape, np.float32)
        return self._held[part]

    def _let_go(self) -> Planes:
        """Turn the sums of the first part into probabilities, in the scan's order of axes, i fastest as there."""
        part = self._waiting.pop(0)
        sums, weight = self._sums_of(part)
        del self._held[part]
        here = list(self._inner.slices)
        here[self._axis] = slice(None)
        totals = self._route.from_network(sums[(slice(None), *here)])
        counted = self._route.from_network(weight[None, *here])[0].transpose(2, 1, 0)
        unseen = counted == 0
        divisor = np.where(unseen, np.float32(1), counted)
        means = np.empty((len(totals), *divisor.shape), np.float32)
        for channel, total in enumerate(totals):
            np.divide(total.transpose(2, 1, 0), divisor, out=means[channel])
        if self._scheme.blends == "logits":
            means = probabilities_of(means[None], self._card)[0]
            means[:, unseen] = 0
        for each in self._card.classes:
            if each.role == "background":
                means[each.channel][unseen] = 1
        return Planes(self._place(part), means.transpose(0, 3, 2, 1))

    def _place(self, part: tuple[int, int]) -> int:
        """Return where a part begins along the scan's slices, without padding."""
        lo, hi = self._inner.lo[self._axis], self._inner.hi[self._axis]
        return hi - part[1] if self._descending else part[0] - lo
