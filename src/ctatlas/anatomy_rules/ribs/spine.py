"""The spine as a curve through the bodies of its vertebrae: how high along it, how far beside it a point lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from ctatlas.anatomy_rules.landmarks import RIGHT
from ctatlas.anatomy_rules.ribs.pieces import Piece, vertebra_names

if TYPE_CHECKING:
    from ctatlas.volume import Grid

CORE_MM = 5.0  # deeper than any arch or process is thick; what is left is the inside of the body
BODY_MM = 7.5  # around the core, within the vertebra: the body and the roots of the arch
LOOK_MM = 1.5  # as densely as a vertebra is looked at
FINE_MM = 1.0  # between points of the curve
CUT_OFF = 0.6  # of the next one's volume: what the scan cuts and is smaller may lack its body
BEYOND_MM = 150.0  # it goes straight on above and below


@dataclass(frozen=True, slots=True, eq=False)
class Spine:
    """A curve from above down, and what lies on it.

    Attributes
    ----------
    names : tuple of str
        Vertebrae in order of height, from above.
    centres_mm : (n, 3) float64
        Of their bodies, world.
    levels_mm : (n,) float64
        How far down the curve they lie.
    bodies_mm : tuple of (m, 3) float64
        Points of each body, world.
    curve_mm, right : (c, 3) float64
        The curve, and toward the patient's right at each of its points.
    along_mm : (c,) float64
        How far down each point of the curve lies.
    backward : (3,) float64
        From the bodies to the spinous processes, of length 1.
    """

    names: tuple[str, ...]
    centres_mm: np.ndarray
    levels_mm: np.ndarray
    bodies_mm: tuple[np.ndarray, ...]
    curve_mm: np.ndarray
    right: np.ndarray
    along_mm: np.ndarray
    backward: np.ndarray

    def down_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return how far down the curve points (…, 3) lie."""
        return np.asarray(self.along_mm[self._nearest(points_mm)])

    def rightward_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return how far on the patient's right of the curve points (…, 3) lie; negative on the left."""
        at = self._nearest(points_mm)
        return np.asarray(((points_mm - self.curve_mm[at]) * self.right[at]).sum(axis=-1))

    def body(self, name: str) -> np.ndarray:
        """Return the points of a vertebra's body, (n, 3) world mm; none where it is not in view."""
        return self.bodies_mm[self.names.index(name)] if name in self.names else np.zeros((0, 3))

    def level_of(self, name: str) -> float | None:
        """Return how far down a vertebra's body lies; None where it is not in view."""
        return float(self.levels_mm[self.names.index(name)]) if name in self.names else None

    def pitch_mm(self, down_mm: float) -> float:
        """Return the way from one vertebra to the next near a height."""
        if len(self.levels_mm) < 2:
            return 25.0
        at = int(np.clip(np.searchsorted(self.levels_mm, down_mm), 1, len(self.levels_mm) - 1))
        return float(self.levels_mm[at] - self.levels_mm[at - 1])

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Return the vertebrae whose number is left out although there is no room for them."""
        known = vertebra_names()
        ranks = [known.index(name) for name in self.names]
        steps = np.diff(self.levels_mm)
        found: list[str] = []
        for at, (a, b) in enumerate(pairwise(ranks)):
            around = np.median(steps[max(0, at - 3) : at + 4])
            if b - a > 1 and steps[at] < (b - a - 0.5) * around:
                found += known[a + 1 : b]
        return tuple(found)

    def _nearest(self, points_mm: np.ndarray) -> np.ndarray:
        return np.asarray(KDTree(self.curve_mm).query(points_mm)[1])


def spine_of(vertebrae: Sequence[Piece], grid: Grid) -> Spine | None:
    """Find the spine in the largest pieces of vertebrae; None where there are fewer than two whole ones."""
    main, spacing_mm = _whole(_largest(vertebrae), grid), grid.spacing_mm
    if len(main) < 2:
        return None
    bodies = {name: body_of(each, spacing_mm) for name, each in main.items()}
    centres = np.array([body.mean(axis=0) for body in bodies.values()])
    order = _in_order(centres, list(main))
    names, centres = tuple(np.array(list(main))[order].tolist()), centres[order]
    curve, along, levels = _curve(centres)
    backward = np.array([main[name].points_mm.mean(axis=0) - bodies[name].mean(axis=0) for name in names])
    back = backward.sum(axis=0) / max(float(np.linalg.norm(backward.sum(axis=0))), 1e-9)
    held = tuple(bodies[name] for name in names)
    return Spine(names, centres, levels, held, curve, _rightward(curve, back), along, back)


def body_of(piece: Piece, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Return points of a vertebra's body, (n, 3) world mm: what lies around its deepest inside.

    Source: erosion and a wider dilation within the vertebra, as in the reference's prototype of rib repair.
    """
    strides = np.maximum(1, (LOOK_MM / np.array(spacing_mm) + 0.25).astype(int))
    low = piece.voxels.min(axis=0)
    chosen = ((piece.voxels - low) % strides == 0).all(axis=1)
    if not chosen.any():
        return piece.points_mm
    voxels, points = (piece.voxels[chosen] - low) // strides + 1, piece.points_mm[chosen]
    mask = np.zeros(voxels.max(axis=0) + 2, dtype=bool)
    mask[tuple(voxels.T)] = True
    step_mm = strides * np.array(spacing_mm)
    deep_mm = ndimage.distance_transform_edt(mask, sampling=step_mm)
    core, n_cores = ndimage.label(deep_mm > min(CORE_MM, 0.6 * float(deep_mm.max())))
    sizes = ndimage.sum_labels(deep_mm, core, range(1, n_cores + 1))
    away_mm = ndimage.distance_transform_edt(core != 1 + int(np.argmax(sizes)), sampling=step_mm)
    return np.asarray(points[away_mm[tuple(voxels.T)] <= BODY_MM])


def _largest(vertebrae: Sequence[Piece]) -> Mapping[str, Piece]:
    main: dict[str, Piece] = {}
    for each in vertebrae:
        if each.name not in main or each.volume_mm3 > main[each.name].volume_mm3:
            main[each.name] = each
    known = vertebra_names()
    return {name: main[name] for name in sorted(main, key=known.index)}


def _whole(main: Mapping[str, Piece], grid: Grid) -> Mapping[str, Piece]:
    """Leave out vertebrae at both ends of which the scan cuts off more than half: their bodies may not be in view."""
    names = list(main)
    for end, inner in ((0, 1), (-1, -2)):
        while len(names) > 2:
            voxels, shape = main[names[end]].voxels, np.array(grid.shape)
            is_cut = bool(((voxels.min(axis=0) == 0) | (voxels.max(axis=0) == shape - 1)).any())
            if not is_cut or main[names[end]].volume_mm3 >= CUT_OFF * main[names[inner]].volume_mm3:
                break
            names.pop(end)
    return {name: main[name] for name in names}


def _in_order(centres: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return the order from above: along the main direction of the centres, whose sign most of the numbers tell."""
    middle = centres - centres.mean(axis=0)
    along = np.linalg.svd(middle, full_matrices=False)[2][0]
    heights = middle @ along
    ranks = np.arange(len(names))
    return np.argsort(heights if float(np.corrcoef(heights, ranks)[0, 1]) >= 0 else -heights)


def _curve(centres: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a fine curve through the centres and beyond, how far down its points lie, and the centres."""
    lengths = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    levels = np.concatenate([[0.0], np.cumsum(lengths)])
    reach = min(3, len(centres) - 1)
    first, last = centres[0] - centres[reach], centres[-1] - centres[-1 - reach]
    above = centres[0] + first / np.linalg.norm(first) * BEYOND_MM
    below = centres[-1] + last / np.linalg.norm(last) * BEYOND_MM
    knots = np.concatenate([above[None], centres, below[None]])
    at = np.concatenate([[-BEYOND_MM], levels, [levels[-1] + BEYOND_MM]])
    along = np.arange(at[0], at[-1], FINE_MM)
    curve = np.stack([np.interp(along, at, knots[:, axis]) for axis in range(3)], axis=1)
    return curve, along, levels


def _rightward(curve: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """Return the patient's right at each point of the curve: across the curve and the way to the spinous processes."""
    tangents = ndimage.gaussian_filter1d(np.gradient(curve, axis=0), 20.0, axis=0, mode="nearest")
    right = np.cross(tangents, backward)
    right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-9)
    return np.asarray(right if right[:, RIGHT].sum() >= 0 else -right)
