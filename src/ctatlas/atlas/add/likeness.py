"""Compare small pictures of scans: as they lie, cut, mirrored, with turned axes, with voxels of other lengths.

Copies that were only cut or resampled are found slab by slab. Where a header lost its axes or its spacing the picture
is another one, though of the same body: then scans are compared as a whole, in all positions that slabs can have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from ctatlas.atlas.add.fingerprint import CELLS

NEARLY = 0.93  # correlation; measured by benchmarks/atlas_add.py: different people at most 0.86
AT_LEAST_SLABS = 6  # that two scans share
AT_LEAST_SHARE = 0.5  # of the shorter scan's slabs

LOOKED_AT_AGAIN = 40  # scans, part on part; 14 ms each
MAY_BE = 0.4  # frame on frame: a copy that lost a fifth of the body on one side has 0.53 or more
LOOKED_AT_TURNED, MAY_BE_TURNED = (
    10,
    0.6,
)  # the same of wholes: a mirrored copy that lost a fifth above has 0.69 or more

_CUTS = np.arange(0, 0.33, 0.04)  # of the body's frame, on each side
_AT_MOST_CUT = 0.4  # of it, on both sides together
_WHOLE_SLABS = 12  # of all pictures alike, to find out which may be the same
_OTHER_LENGTH = 1.15  # in slabs: what was not cut has voxels of other lengths
_OTHER_VOXELS = "with voxels of other lengths"
_POSITIONS = (
    # along the body, left and right exchanged for front and back, left to right, front to back
    (1, False, 1, 1, ""),
    (1, False, -1, 1, "mirrored left to right"),
    (1, False, 1, -1, "mirrored front to back"),
    (1, False, -1, -1, "turned by 180 degrees"),
    (-1, False, 1, 1, "mirrored head to feet"),
    *((-1, False, x, y, "with turned axes") for x, y in ((-1, 1), (1, -1), (-1, -1))),
    *((z, True, x, y, "with turned axes") for z in (1, -1) for x in (1, -1) for y in (1, -1)),
)


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two scans are, -1 to 1, and in which way other than as they lie; "" for as they lie."""

    value: float
    way: str = ""


class Pictures:
    """The small pictures of many scans, to compare a new one with all of them at once.

    All are compared frame on frame, which takes one product of matrices; the most alike also part on part.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._pictures: list[str] = []
        self._slabs: list[np.ndarray] = []
        self._wholes: list[np.ndarray] = []
        self._stacked: np.ndarray | None = None

    def add(self, name: str, picture: str) -> None:
        """Remember a scan's picture; an empty one is passed over."""
        if picture:
            self._names.append(name)
            self._pictures.append(picture)
            slabs = _slabs(picture)
            self._slabs.append(_standardised(slabs))
            self._wholes.append(_whole(slabs, _WHOLE_SLABS))
            self._stacked = None

    def like(self, picture: str) -> list[tuple[str, Likeness]]:
        """Return the scans that are nearly the same, the most alike first."""
        if not self._names or not picture:
            return []
        found = [Likeness(float(value)) for value in self._as_they_lie(picture)]
        for n in self._maybe_turned(picture):
            found[n] = max(found[n], turned_likeness(picture, self._pictures[n]), key=lambda one: one.value)
        alike = [(name, one) for name, one in zip(self._names, found, strict=True) if one.value >= NEARLY]
        return sorted(alike, key=lambda pair: -pair[1].value)

    def _as_they_lie(self, picture: str) -> np.ndarray:
        if self._stacked is None:
            self._stacked = np.concatenate(self._slabs)
        products = _standardised(_slabs(picture)) @ self._stacked.T  # (slabs, slabs of all others)
        ends = np.cumsum([len(other) for other in self._slabs])
        values = np.array([_best_shift(part) for part in np.split(products, ends[:-1], axis=1)])
        for n in np.argsort(-values)[:LOOKED_AT_AGAIN]:
            if values[n] >= MAY_BE:
                values[n] = likeness(picture, self._pictures[n])
        return values

    def _maybe_turned(self, picture: str) -> list[int]:
        """Return those that are worth a closer look in other positions."""
        mine = np.array([_whole(turned, _WHOLE_SLABS) for _, turned in _positions(_slabs(picture))])
        values = (mine @ np.array(self._wholes).T).max(axis=0)
        return [int(n) for n in np.argsort(-values)[:LOOKED_AT_TURNED] if values[n] >= MAY_BE_TURNED]


def likeness(one: str, other: str) -> float:
    """Return how alike two pictures are, -1 to 1.

    Returns
    -------
    float
        The highest mean correlation of their slabs over all shifts along the body, of either picture as a whole or of
        a part of it that the other may have been cut to.
    """
    slabs, others = _slabs(one), _slabs(other)
    return max(_best_part(slabs, others), _best_part(others, slabs))


def turned_likeness(one: str, other: str) -> Likeness:
    """Return how alike two pictures are in any other position of slabs, and as wholes of one length in every position.

    This is what finds copies whose header lost its axes or its spacing.
    """
    slabs, others = _slabs(one), _slabs(other)
    fixed, length = _standardised(others), min(len(slabs), len(others))
    same_length = max(len(slabs), len(others)) <= _OTHER_LENGTH * length
    found, shifted = Likeness(-1.0), [(-1.0, "", slabs)]
    for way, turned in _positions(slabs):
        if way:
            shifted.append((_best_shift(_standardised(turned) @ fixed.T), way, turned))
        if length >= AT_LEAST_SLABS:
            value = float(_whole(turned, length) @ _whole(others, length))
            ways = [way, "" if same_length else _OTHER_VOXELS]
            found = max(found, Likeness(value, ", ".join(filter(None, ways))), key=lambda one: one.value)
    _, way, turned = max(shifted, key=lambda one: one[0])
    parts = Likeness(max(_best_part(turned, others), _best_part(others, turned)), way)
    return max(found, parts, key=lambda one: one.value)


def _positions(slabs: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield slabs in all positions that they can have, with what that is called."""
    for along, is_swapped, x, y, way in _POSITIONS:
        turned = slabs[::along].swapaxes(1, 2) if is_swapped else slabs[::along]
        yield way, turned[:, ::x, ::y]


def _whole(slabs: np.ndarray, n: int) -> np.ndarray:
    """Return a picture stretched to so many slabs, (n * 64,) float32, of length 1 unless slabs lack contrast."""
    stretched = _stretch(len(slabs), n) @ slabs.reshape(len(slabs), -1)
    return _standardised(stretched).ravel() / np.float32(math.sqrt(n))


@cache
def _stretch(n: int, to: int) -> np.ndarray:
    """Return the matrix that averages n slabs into others that are as long together, (to, n) float32."""
    return _shares(np.linspace(0, n, to + 1), n)


def _shares(edges: np.ndarray, n: int) -> np.ndarray:
    """Return which part of each bin between edges each of n cells of length 1 fills, (bins, n) float32."""
    below, above = np.arange(n), np.arange(n) + 1
    shared = np.minimum(edges[1:, None], above) - np.maximum(edges[:-1, None], below)
    return np.asarray(shared.clip(0) / np.diff(edges)[:, None], np.float32)


def _best_part(slabs: np.ndarray, others: np.ndarray) -> float:
    """Compare parts of one picture with the other: the best between left and right, then between back and front."""
    fixed = _standardised(others)
    parts = slabs[None]
    best = -1.0
    for axis in (1, 2, 1):  # the first again, because the best of the second may show a better one
        values = [_best_shift(_standardised(part) @ fixed.T) for part in parts]
        best = max(best, *values)
        chosen = parts[int(np.argmax(values))]
        parts = np.moveaxis(np.tensordot(_windows(), chosen, (2, axis)), 1, axis + 1)
    return max(best, *(_best_shift(_standardised(part) @ fixed.T) for part in parts))


@cache
def _windows() -> np.ndarray:
    """Return matrices that stretch a part of 8 cells over 8 cells, (windows, 8, 8) float32; the whole comes first."""
    cuts = [(low, high) for low in _CUTS for high in _CUTS if low + high <= _AT_MOST_CUT]
    return np.array([_shares(np.linspace(low, 1 - high, CELLS + 1) * CELLS, CELLS) for low, high in cuts])


def _best_shift(products: np.ndarray) -> float:
    """Return the best mean of a diagonal of slab correlations that is long enough."""
    n, m = products.shape
    needed = min(n, m, max(AT_LEAST_SLABS, math.ceil(AT_LEAST_SHARE * min(n, m))))
    totals = _diagonal_sums(products)
    places = np.arange(1, n + m)
    lengths = np.minimum(np.minimum(places, places[::-1]), min(n, m))
    return float(np.max(totals / lengths, where=lengths >= needed, initial=-1.0))


def _diagonal_sums(matrix: np.ndarray) -> np.ndarray:
    """Sum along all n + m - 1 diagonals of an (n, m) matrix."""
    n, m = matrix.shape
    padded = np.zeros((n, n + m), matrix.dtype)
    padded[:, :m] = matrix[::-1]
    sheared = padded.ravel()[: n * (n + m - 1)].reshape(n, n + m - 1)  # each row one further to the right
    return np.asarray(sheared.sum(axis=0))


def _slabs(picture: str) -> np.ndarray:
    """Return a picture's slabs, (slabs, 8, 8) float32."""
    return np.frombuffer(bytes.fromhex(picture), np.uint8).reshape(-1, CELLS, CELLS).astype(np.float32)


def _standardised(slabs: np.ndarray) -> np.ndarray:
    """Return (slabs, 64) float32, each slab of mean 0 and length 1; one without contrast is all 0."""
    flat = slabs.reshape(len(slabs), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(np.divide(flat, lengths, out=np.zeros_like(flat), where=lengths > 1e-3))
