"""Sums of overlapping windows that are let go, plane by plane, as soon as no window can change them any more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
    """Weighted sums of windows on a padded grid, over as many planes as a window is thick.

    Windows come in the order of the scan's slices. Planes are counted along that order, whichever way the network's
    axis runs: `_first` is the first that is held, and a window begins there or further on.

    Parameters
    ----------
    shape : three int
        Of the padded grid.
    inner : Box
        What of it is no padding.
    route : Route
    card : ModelCard
    """

    def __init__(self, shape: Index, inner: Box, route: Route, card: ModelCard) -> None:
        self._inner, self._route, self._card = inner, route, card
        self._axis, self._descending = route.slices
        self._n_planes = shape[self._axis]
        self._scheme = SCHEMES[card.window.scheme]
        self._weights = self._scheme.weights(card.window.shape)
        held = list(shape)
        held[self._axis] = card.window.shape[self._axis]
        self._totals = np.zeros((len(card.classes), *held), np.float32)
        self._weight = np.zeros(held, np.float32)
        self._first = 0

    def add(self, box: Box, said: np.ndarray) -> None:
        """Add what the network said of a window (c, x, y, z), once `done_before` has made room, voxels weighted."""
        here = list(box.slices)
        here[self._axis] = slice(None)
        place, own = tuple(here), self._onwards(self._weights)
        self._weight[place] += own
        weighted = np.empty(own.shape, np.float32)
        for total, given in zip(self._totals, said, strict=True):  # class by class: what is held stays small
            np.multiply(self._onwards(given), own, out=weighted)
            total[place] += weighted

    def done_before(self, box: Box) -> Iterator[Planes]:
        """Let go of the planes that neither this window nor one after it reaches."""
        start = self._n_planes - box.hi[self._axis] if self._descending else box.lo[self._axis]
        yield from self._let_go(start)

    def rest(self) -> Iterator[Planes]:
        """Let go of what is left."""
        yield from self._let_go(self._n_planes)

    def _onwards(self, array: np.ndarray) -> np.ndarray:
        """View a window (x, y, z) with its planes in the order of the scan's slices."""
        return np.flip(array, self._axis) if self._descending else array

    def _let_go(self, start: int) -> Iterator[Planes]:
        """Let go of all planes before one, and hold those from there on."""
        while self._first < start:
            n = min(start - self._first, self._weight.shape[self._axis])
            planes = self._planes(n)
            self._move_on(n)
            if planes is not None:
                yield planes

    def _planes(self, n: int) -> Planes | None:
        """Turn the first sums into probabilities, in the scan's order of axes, i fastest as there; none of padding."""
        a, b = self._inner.lo[self._axis], self._inner.hi[self._axis]
        lo, hi = (self._n_planes - b, self._n_planes - a) if self._descending else (a, b)
        first, end = max(lo, self._first), min(hi, self._first + n)
        if first >= end:
            return None
        here = list(self._inner.slices)
        here[self._axis] = slice(first - self._first, end - self._first)
        counted = self._in_scan_order(self._weight[None, *here])[0]
        unseen = counted == 0
        divisor = np.where(unseen, np.float32(1), counted)
        totals = self._in_scan_order(self._totals[(slice(None), *here)])
        means = np.empty((len(totals), *divisor.shape), np.float32)
        for total, mean in zip(totals, means, strict=True):
            np.divide(total, divisor, out=mean)
        if self._scheme.blends == "logits":
            means = probabilities_of(means[None], self._card)[0]
            means[:, unseen] = 0
        for each in self._card.classes:
            if each.role == "background":
                means[each.channel][unseen] = 1
        return Planes(first - lo, means.transpose(0, 3, 2, 1))

    def _in_scan_order(self, held: np.ndarray) -> np.ndarray:
        """View what is held (c, x, y, z) as (c, k, j, i)."""
        if self._descending:
            held = np.flip(held, 1 + self._axis)  # as the network's axis runs
        return self._route.from_network(held).transpose(0, 3, 2, 1)

    def _move_on(self, n: int) -> None:
        """Forget the first planes, and make room for as many after the last."""
        for held in (self._weight, *self._totals):  # class by class: numpy makes a copy of what it moves onto itself
            planes = np.moveaxis(held, self._axis, 0)
            planes[: len(planes) - n] = planes[n:]
            planes[len(planes) - n :] = 0
        self._first += n
