"""The published attention of AbdomenAtlas-8K, to the last bit: its blind spots are its own.

It is there to compare with and to go on with work begun elsewhere; what ctatlas does by default is in `maps`. Arrays
are (i, j, k) uint8 on the scan's grid: `soft` 255 times the probability, `entropy` 255 times -p ln p, one a model.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ctatlas.anatomy import label_set
from ctatlas.atlas.attention.boxed import Boxed, around, slabs
from ctatlas.kernels.boxes import Box, Index
from ctatlas.kernels.brick import opened


@dataclass(frozen=True, slots=True)
class PublishedRules:
    """The table `data/published.toml`."""

    source: str
    label_set: str
    targets: tuple[str, ...]
    rivals: tuple[str, ...]
    std_above: float
    entropy_above: float
    opening_radius: int

    def native_name(self, structure: str) -> str:
        """Return how the published files spell a structure; one that they do not have keeps its name."""
        known = label_set(self.label_set)
        return known.name_of(structure) if structure in known.labels.values() else structure


@dataclass(frozen=True, slots=True, eq=False)
class PublishedMaps:
    """The four maps of one structure, uint8, and what the lists are sorted by.

    Attributes
    ----------
    attention : Boxed
        255 times the sum of the other three over its maximum.
    inconsistency, uncertainty : Boxed
        255 times the standard deviation and the mean entropy, inside what the opening left.
    overlap : Boxed
        0 or 1.
    size : int
        Voxels where any map is above zero: what cases are sorted by.
    heat : int
        Sum of `attention`: what structures are sorted by.
    """

    attention: Boxed
    inconsistency: Boxed
    uncertainty: Boxed
    overlap: Boxed
    size: int
    heat: int


@cache
def published_rules() -> PublishedRules:
    """Read the table."""
    table = tomllib.loads((Path(__file__).parent / "data" / "published.toml").read_text(encoding="utf-8"))
    return PublishedRules(
        source=table["source"],
        label_set=table["label_set"],
        targets=tuple(table["targets"]),
        rivals=tuple(table["rivals"]),
        std_above=table["std_above"],
        entropy_above=table["entropy_above"],
        opening_radius=table["opening_radius"],
    )


def published_entropy(soft: np.ndarray) -> np.ndarray:
    """Return 255 times -p ln p of a probability map (uint8, 255 = 1), rounded down as the published files are."""
    share = np.arange(256) / 255
    table = np.zeros(256)
    table[1:] = -share[1:] * np.log(share[1:])
    return np.asarray((255 * table).astype(np.uint8)[soft])


def published_overlaps(masks: Mapping[str, Boxed], targets: Sequence[str], shape: Index) -> Iterator[tuple[str, Boxed]]:
    """Yield where each target's mask meets any rival's: (structure, uint8 0 or 1).

    Every mask is asked for once and added to one count (uint8) of the scan's size; a second time for targets.
    """
    rules = published_rules()
    claims = np.zeros(shape, np.uint8, order="F")
    for name in rules.rivals:
        if name in masks:
            mask = masks[name]
            claims[mask.box.slices] += mask.values != 0
    for name in targets:
        own = masks[name]
        others = claims[own.box.slices] > (1 if name in rules.rivals else 0)
        yield name, Boxed(shape, own.box, (others & (own.values != 0)).view(np.uint8))


def published_attention(soft: Sequence[Boxed], entropy: Sequence[Boxed], overlap: Boxed) -> PublishedMaps:
    """Work out the published maps of one structure.

    Parameters
    ----------
    soft, entropy : sequence of Boxed
        One a model, uint8.
    overlap : Boxed
        uint8 0 or 1, from `published_overlaps`.

    Notes
    -----
    Source: create_attention.py. Thresholds are found in whole numbers; the floating-point arithmetic of the original is
    repeated where a voxel is kept, and where a threshold is met exactly. A map that is zero everywhere stays zero,
    where the original divides by zero.
    """
    rules = published_rules()
    radius = (rules.opening_radius,) * 3
    spread = _kept(soft, lambda stack: _std_above(stack, rules.std_above), radius)
    doubt = _kept(entropy, lambda stack: _mean_above(stack, rules.entropy_above), radius)
    box = around([spread.box, doubt.box, overlap.box])
    shape = overlap.shape
    attention, inconsistency, uncertainty = (Boxed.zeros(shape, box, np.uint8) for _ in range(3))
    hot = np.flatnonzero((spread.within(box) | doubt.within(box) | (overlap.within(box) > 0)).ravel(order="F"))
    at = np.unravel_index(hot, box.shape, order="F")
    s = np.std(_values(soft, box, at), axis=0) * spread.within(box)[at]
    e = np.mean(_values(entropy, box, at), axis=0) * doubt.within(box)[at]
    heat = s + e + overlap.within(box)[at]
    top = heat.max(initial=0.0)
    inconsistency.values[at] = (s * 255).astype(np.uint8)
    uncertainty.values[at] = (e * 255).astype(np.uint8)
    attention.values[at] = (heat / top * 255 if top else heat).astype(np.uint8)
    total = int(attention.values.sum(dtype=np.int64))
    return PublishedMaps(attention, inconsistency, uncertainty, overlap, size=int(hot.size), heat=total)


def published_total(maps: Sequence[PublishedMaps], n_slices: int) -> float:
    """Return a case's attention a slice, every structure's map scaled to a maximum of 1.

    Notes
    -----
    Source: calculate_attention.py.
    """
    tops = [(found.heat, int(found.attention.values.max(initial=0))) for found in maps]
    return sum(heat / top for heat, top in tops if top) / n_slices


def _kept(maps: Sequence[Boxed], above: Callable[[np.ndarray], np.ndarray], radius: Index) -> Boxed:
    """Return where the models' values are above a threshold, opened; boxes include every voxel that could be."""
    shape = maps[0].shape
    found = Boxed.zeros(shape, around([each.box for each in maps]), np.bool_)
    for slab in slabs(found.box):
        stack = np.stack([each.within(slab) for each in maps])
        start = slab.lo[2] - found.box.lo[2]
        found.values[:, :, start : start + slab.shape[2]] = above(stack)
    tight = found.tight()  # outside of a tight box nothing is set, as outside the scan
    return Boxed(shape, tight.box, opened(tight.values, radius)).tight()


def _std_above(stack: np.ndarray, limit: float) -> np.ndarray:
    """Tell where the standard deviation of (model, …) uint8 over 255 is above a limit, as float64 would."""
    n = len(stack)
    total = stack.sum(axis=0, dtype=np.int32)
    squares = np.zeros_like(total)
    for values in stack:
        wide = values.astype(np.int32)
        wide *= wide
        squares += wide
    squares *= n
    total *= total
    squares -= total  # n² times the variance
    return _above(squares, (255 * limit * n) ** 2, stack, lambda exact: np.std(exact, axis=0) > limit)


def _mean_above(stack: np.ndarray, limit: float) -> np.ndarray:
    """Tell where the mean of (model, …) uint8 over 255 is above a limit, as float64 would."""
    total = stack.sum(axis=0, dtype=np.int32)
    return _above(total, 255 * limit * len(stack), stack, lambda exact: np.mean(exact, axis=0) > limit)


def _above(
    whole: np.ndarray, limit: float, stack: np.ndarray, exactly: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Compare whole numbers with a limit; where they meet it, let the rounding of floating point decide."""
    found = whole > limit
    nearest = round(limit)
    if abs(nearest - limit) < 1e-6:
        meets = whole == nearest
        found[meets] = exactly(stack[:, meets] / 255)
    return np.asarray(found)


def _values(maps: Sequence[Boxed], box: Box, at: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.stack([each.within(box)[at] / 255 for each in maps])
