"""Pair the structures of two sets of label maps: one pass over the voxels for all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from ctatlas.kernels.boxes import Box
from ctatlas.kernels.contingency import Contingency, contingency
from ctatlas.measure.counts import Counts
from ctatlas.measure.layers import Layer, Layout
from ctatlas.measure.pair import Masks, Pair
from ctatlas.measure.surface import SurfelPair
from ctatlas.volume import Segmentation

_AT_ONCE = 1000  # structures; the table of who meets whom has its square


def pairs(gt: Segmentation, pred: Segmentation, structures: Iterable[str]) -> Iterator[Pair]:
    """Pair structures that both segmentations name, one after the other.

    Parameters
    ----------
    gt, pred : Segmentation
        On one grid; the caller has checked that.
    structures : iterable of str
    """
    names = tuple(structures)
    if not names:
        return
    layout = Layout.of(gt.layers[0])
    sides = _Side.of(gt, names, layout), _Side.of(pred, names, layout)
    spacing_mm = tuple(_as_written(each) for each in gt.grid.spacing_mm)
    yield from _Pairing(sides, layout, spacing_mm, gt.grid.voxel_ml).pairs(names)


def pairs_of_label_maps(
    gt: np.ndarray, pred: np.ndarray, spacing_mm: Sequence[float], names: Mapping[int, str]
) -> Iterator[Pair]:
    """Pair the structures of two label maps.

    Parameters
    ----------
    gt, pred : (i, j, k) or (i, j) uint8 or uint16
        Of one shape. In C or Fortran order neither is copied.
    spacing_mm : (3,) or (2,) float
        Taken as it is. A pixel of a picture counts as 1 mm thick where volumes are asked for.
    names : mapping of int to str
        Label -> structure; other labels don't matter.
    """
    if gt.shape != pred.shape or gt.ndim not in (2, 3) or len(spacing_mm) != gt.ndim:
        raise ValueError(f"label maps of {gt.shape} and {pred.shape} voxels, spacing along {len(spacing_mm)} axes")
    if not {gt.dtype, pred.dtype} <= {np.dtype(np.uint8), np.dtype(np.uint16)}:
        raise ValueError(f"label maps are {gt.dtype} and {pred.dtype}; expected uint8 or uint16")
    layout, dtype = Layout.of(gt), np.result_type(gt, pred)
    laid = [layout.laid(labels.astype(dtype, copy=False)) for labels in (gt, pred)]
    labels = [label for label in names if 0 < label <= np.iinfo(dtype).max]
    absent = [name for label, name in names.items() if label not in labels]
    voxel_ml = math.prod(spacing_mm) / 1000
    for start in range(0, len(labels), _AT_ONCE):
        number_of = {label: number for number, label in enumerate(labels[start : start + _AT_ONCE], start=1)}
        place = {names[label]: (0, label) for label in number_of}
        sides = (
            _Side((Layer(laid[0], number_of, layout.flat),), place),
            _Side((Layer(laid[1], number_of, layout.flat),), place),
        )
        yield from _Pairing(sides, layout, tuple(spacing_mm), voxel_ml).pairs(tuple(place))
    nothing = np.zeros((0,) * gt.ndim, np.bool_)
    for name in absent:
        yield Pair(name, tuple(spacing_mm), Counts(0, 0, 0, voxel_ml), lambda: Masks(nothing, nothing, (0,) * gt.ndim))


def _as_written(length_mm: float) -> float:
    """Return the decimal number that a float32 header means: 0.8 for 0.800000011920929 or 0.8000000000000002.

    With it three voxels of 0.8 mm are as far as three voxels of 0.8 mm in any other file.
    """
    return float(str(np.float32(length_mm)))


@dataclass(frozen=True, slots=True)
class _Side:
    """The layers of one side, and where in them each structure is: number of the layer, and label."""

    layers: tuple[Layer, ...]
    place: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, segmentation: Segmentation, names: Sequence[str], layout: Layout) -> _Side:
        place = {name: (segmentation.places[name].layer, segmentation.places[name].value) for name in names}
        layers = []
        for n, labels in enumerate(segmentation.layers):
            values = sorted(value for layer, value in place.values() if layer == n)
            number_of = {value: number for number, value in enumerate(values, start=1)}
            layers.append(Layer(layout.laid(labels), number_of, layout.flat))
        return cls(tuple(layers), place)


@dataclass(frozen=True)
class _Pairing:
    """Both sides, and what is known of them at once."""

    sides: tuple[_Side, _Side]
    layout: Layout
    spacing_mm: tuple[float, ...]
    voxel_ml: float

    @cached_property
    def tables(self) -> Mapping[tuple[int, int], Contingency]:
        """Who meets whom in each two layers that share a structure."""
        gt, pred = self.sides
        shared = sorted({(gt.place[name][0], pred.place[name][0]) for name in gt.place})
        return {(a, b): _table(gt.layers[a], pred.layers[b]) for a, b in shared}

    def pairs(self, names: Sequence[str]) -> Iterator[Pair]:
        """Yield the pair of each structure."""
        gt, pred = self.sides
        for name in names:
            (layer_a, label_a), (layer_b, label_b) = gt.place[name], pred.place[name]
            a, b, table = gt.layers[layer_a], pred.layers[layer_b], self.tables[layer_a, layer_b]
            n_a, n_b = a.number_of[label_a], b.number_of[label_b]
            n_gt, n_pred = int(table.counts[n_a].sum()), int(table.counts[:, n_b].sum())
            counts = Counts(n_gt, n_pred, int(table.counts[n_a, n_b]), self.voxel_ml)
            box = _joined(table.boxes_a[n_a], table.boxes_b[n_b])
            cut_out = partial(self._masks, (a.labels, label_a), (b.labels, label_b), box)
            yield Pair(name, self.spacing_mm, counts, cut_out, partial(self._surfels, (a, n_a), (b, n_b)))

    def _masks(self, gt: tuple[np.ndarray, int], pred: tuple[np.ndarray, int], box: Box) -> Masks:
        one, other = (self.layout.image(labels[box.slices] == label) for labels, label in (gt, pred))
        start = box.lo[1:] if self.layout.flat else box.lo
        return Masks(one, other, start[::-1] if self.layout.turned else start)

    def _surfels(self, gt: tuple[Layer, int], pred: tuple[Layer, int]) -> SurfelPair:
        one, other = (layer.surfels[number] for layer, number in (gt, pred))
        return SurfelPair(one, other, self.layout)


def _table(gt: Layer, pred: Layer) -> Contingency:
    return contingency(gt.labels, pred.labels, gt.index, pred.index)


def _joined(one: Box | None, other: Box | None) -> Box:
    boxes = [box for box in (one, other) if box] or [Box((0, 0, 0), (0, 0, 0))]
    (a, b, c), (d, e, f) = np.min([box.lo for box in boxes], 0).tolist(), np.max([box.hi for box in boxes], 0).tolist()
    return Box((a, b, c), (d, e, f))
