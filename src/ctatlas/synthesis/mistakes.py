"""Mistakes in masks, as models and people make them: each a pure function of a labelled scan and drawn numbers.

They prove the checks of `anatomy_rules.checks`: whoever makes a mistake on purpose knows where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ctatlas.anatomy import structures
from ctatlas.synthesis.labelled import (
    LabelledScan,
    axis_along,
    ball,
    centre_mm,
    cropped,
    depth_mm,
    distance_mm,
    heights_mm,
    rod,
    scaled_about_centre,
    shifted,
    somewhere_in,
    touches_end,
)
from ctatlas.volume import Grid, box_of

Mistake = Callable[[LabelledScan, str, np.random.Generator], "LabelledScan | None"]
"""`(scan, structure, rng) -> the scan with the mistake`, or None where it can't be made."""


def emptied(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Lose a structure but for a few voxels, and its partner with it: one of a pair may be missing."""
    partner = structures()[name].partner
    lost = [each for each in (name, partner) if each in scan.masks]
    return scan.holding(**{each: _crumb(scan.masks[each], rng) for each in lost}) if scan.has(name) else None


def scaled(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Shrink or grow a structure to a volume that nobody has."""
    known, mask = structures()[name], scan.masks[name]
    volume_ml = np.count_nonzero(mask) * scan.grid.voxel_ml
    low, high = known.at_least_ml, known.at_most_ml
    if not volume_ml or low is None or high is None or scan.is_cut(name):
        return None
    grows = rng.random() < 0.5 or low < 60 * scan.grid.voxel_ml
    wanted = rng.uniform(1.3, 2.0) * high if grows else rng.uniform(0.3, 0.75) * low
    larger = scaled_about_centre(scan, name, (wanted / volume_ml) ** (1 / 3))
    found_ml = np.count_nonzero(larger) * scan.grid.voxel_ml
    is_wrong = found_ml > 1.05 * high or (0 < found_ml < 0.95 * low and not touches_end(larger))
    return scan.holding(**{name: larger}) if is_wrong else None


def shrunk(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Leave a small rest of one side of a pair."""
    partner = structures()[name].partner
    if not (scan.has(name) and scan.has(partner)) or scan.is_cut(name) or scan.is_cut(partner):
        return None
    rest = scaled_about_centre(scan, name, rng.uniform(0.35, 0.5))
    return scan.holding(**{name: rest}) if rest.any() else None


def scattered(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Strew a dozen balls of 5 to 8 mm over the body, away from the structure."""
    far = scan.body & (distance_mm(scan, scan.masks[name]) > 20) if scan.has(name) else None
    if far is None:
        return None
    mask = scan.masks[name].copy()
    for _ in range(12):
        if not far.any():
            break
        at = somewhere_in(far, scan.grid, rng)
        mask |= ball(scan.grid, at, rng.uniform(5, 8))
        far &= ~ball(scan.grid, at, 30.0)
    return scan.holding(**{name: mask})


def hollowed(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Leave out a ball amid the structure."""
    deep_mm = depth_mm(scan, name)
    radius_mm = rng.uniform(7.0, 9.0)
    deep = deep_mm > radius_mm + 1.5 * max(scan.grid.spacing_mm)
    if not deep.any():
        return None
    return scan.holding(**{name: scan.masks[name] & ~ball(scan.grid, somewhere_in(deep, scan.grid, rng), radius_mm)})


def exchanged_with(other: str) -> Mistake:
    """Make the mistake of two structures that bear each other's names; `partner` is the other side."""

    def exchanged(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
        del rng
        second = structures()[name].partner if other == "partner" else other
        if not (scan.has(name, 2.0) and scan.has(second, 2.0)):
            return None
        return scan.holding(**{name: scan.masks[second], second: scan.masks[name]})

    return exchanged


def copied_from(other: str) -> Mistake:
    """Make the mistake of a structure that is a copy of another one."""

    def copied(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
        del rng
        return scan.holding(**{name: scan.masks[other].copy()}) if scan.has(other) and scan.has(name) else None

    return copied


def stray_at(level: str) -> Mistake:
    """Make the mistake of a ball of 12 to 18 mm far from where the structure can be.

    `level` is a structure at whose height, or `aside`, 110 mm from the middle at its own height.
    """

    def stray(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
        if not scan.has(name) or (level != "aside" and not scan.has(level, 30.0)):
            return None
        centre = centre_mm(scan, name if level == "aside" else level)
        if level == "aside":
            spine = centre_mm(scan, "vertebrae")
            side = 1.0 if rng.random() < 0.5 else -1.0
            centre = np.array([spine[0] + side * rng.uniform(140, 160), centre[1], centre[2]])
        drop = ball(scan.grid, centre + rng.normal(0, 3, 3), rng.uniform(12, 18))
        return scan.holding(**{name: scan.masks[name] | drop}) if drop.any() else None

    return stray


def moved(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Move a structure away by 70 to 100 mm within the scan, 15 mm at least from what it is a part of."""
    if not scan.has(name):
        return None
    parent = structures()[name].parent
    near = distance_mm(scan, scan.masks[parent]) < 15 if parent in scan.masks else np.zeros(scan.grid.shape, dtype=bool)
    for _ in range(10):
        direction = rng.normal(0, 1, 3)
        shift = np.rint(rng.uniform(70, 100) * direction / np.linalg.norm(direction) / scan.grid.spacing_mm)
        mask = shifted(scan.masks[name], shift.astype(int))
        is_in_view = np.count_nonzero(mask) > 0.9 * np.count_nonzero(scan.masks[name])
        at_end = any(
            side.start < 3 or side.stop > n - 3 for side, n in zip(box_of(mask) or (), mask.shape, strict=False)
        )
        if is_in_view and not at_end and not (mask & near).any():
            return scan.holding(**{name: mask})
    return None


def grown_into(other: str, at_least_ml: float = 2.0) -> Mistake:
    """Make the mistake of a structure that takes a part of another one, which keeps it, too."""

    def grown(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
        if not (scan.has(name) and scan.has(other, 3 * at_least_ml)):
            return None
        way_mm = np.where(scan.masks[other], distance_mm(scan, scan.masks[name]), np.inf)
        n_voxels = int(rng.uniform(1, 3) * at_least_ml / scan.grid.voxel_ml) + 1
        reach = np.sort(way_mm, axis=None)[n_voxels]
        return scan.holding(**{name: scan.masks[name] | (way_mm <= reach)})

    return grown


def bridged(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Join a structure to its partner by a rod of 8 mm, or give it the partner's voxels and leave that empty."""
    partner = structures()[name].partner
    if not (scan.has(name, 20.0) and scan.has(partner, 20.0)):
        return None
    mine, other = scan.masks[name], scan.masks[partner]
    if rng.random() < 0.4:
        return scan.holding(**{name: mine | other, partner: np.zeros_like(other)})
    bridge = rod(scan.grid, centre_mm(scan, name), centre_mm(scan, partner), 8.0)
    return scan.holding(**{name: (mine | bridge) & ~other})


def leaked(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Let a structure seep into its surroundings as region growing does: a sponge of half its volume around it."""
    if not scan.has(name, 5.0):
        return None
    mask = scan.masks[name]
    way_mm = distance_mm(scan, mask)
    pores = scan.body & (rng.random(mask.shape) < 0.45)
    reach = np.sort(way_mm[pores & ~mask])[int(1.2 * np.count_nonzero(mask))]
    seeped = ndimage.binary_propagation(mask, mask=mask | (pores & (way_mm <= reach)))
    return scan.holding(**{name: np.asfortranarray(seeped)})


def swollen(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Put a large ball on a tube, where the scan does not cut it."""
    inner = np.zeros(scan.grid.shape, dtype=bool)
    reach = np.ceil(60 / np.array(scan.grid.spacing_mm)).astype(int)
    inner[tuple(slice(int(n), -int(n)) for n in reach)] = True
    inner &= scan.masks[name]
    if not inner.any():
        return None
    return scan.holding(
        **{name: scan.masks[name] | ball(scan.grid, somewhere_in(inner, scan.grid, rng), rng.uniform(48, 55))}
    )


def cut_flat(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Lose what lies beyond a plane through the middle of a structure, as at the border of a window."""
    box = box_of(scan.masks[name])
    if box is None or not scan.has(name, 5.0) or scan.is_cut(name):
        return None
    axis = int(rng.integers(3))
    areas = np.count_nonzero(scan.masks[name], axis=tuple(at for at in range(3) if at != axis))
    thick = np.flatnonzero(areas > 0.75 * areas.max())
    at = int(rng.choice(thick))
    kept = [slice(None)] * 3
    kept[axis] = slice(0, at + 1) if rng.random() < 0.5 else slice(at, None)
    mask = np.zeros_like(scan.masks[name])
    mask[tuple(kept)] = scan.masks[name][tuple(kept)]
    return scan.holding(**{name: mask})


def interrupted(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Lose a stretch of 20 to 30 mm of a tube along the body, amid its lower half."""
    if not scan.has(name):
        return None
    z = heights_mm(scan.grid)
    low, high = np.quantile(z[scan.masks[name]], [0.02, 0.98])
    if high - low < 100:
        return None
    at = low + rng.uniform(0.2, 0.4) * (high - low)
    return scan.holding(**{name: scan.masks[name] & (np.abs(z - at) > rng.uniform(10, 15))})


def stepped(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Shift the upper part of a structure by 18 to 25 mm in its slices."""
    if not scan.has(name, 5.0) or scan.is_cut(name):
        return None
    mask, axis = scan.masks[name], axis_along(scan.grid)
    areas = np.count_nonzero(mask, axis=tuple(at for at in range(3) if at != axis))
    thick = np.flatnonzero(areas > 0.6 * areas.max())[2:-2]
    if not len(thick):
        return None
    angle, way_mm = rng.uniform(0, 2 * np.pi), rng.uniform(18, 25)
    others = [at for at in range(3) if at != axis]
    shift = np.zeros(3, dtype=int)
    shift[others] = np.rint(way_mm * np.array([np.cos(angle), np.sin(angle)]) / np.array(scan.grid.spacing_mm)[others])
    above = [slice(None)] * 3
    above[axis] = slice(int(rng.choice(thick)), None)
    result, upper = mask.copy(), np.zeros_like(mask)
    upper[tuple(above)] = mask[tuple(above)]
    result[tuple(above)] = shifted(upper, shift)[tuple(above)]
    return scan.holding(**{name: np.asfortranarray(result)})


def blurred(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Make a structure's outline ragged: noise decides near its surface."""
    if not scan.has(name):
        return None
    deep_mm = depth_mm(scan, name) - distance_mm(scan, scan.masks[name])
    noise_mm = rng.normal(0, 9.0, deep_mm.shape)
    return scan.holding(**{name: np.asfortranarray((deep_mm + noise_mm > 0) & (np.abs(deep_mm) < 12))})


def cut_beside(other: str) -> Mistake:
    """Make the mistake of a tube annotated from another level on: lost above, or below, a level amid another organ."""

    def cut(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
        if not (scan.has(name) and scan.has(other, 50.0)):
            return None
        z = heights_mm(scan.grid)
        low, high = np.quantile(z[scan.masks[other]], [0.0, 1.0])
        at = low + rng.uniform(0.25, 0.75) * (high - low)
        return scan.holding(**{name: scan.masks[name] & ((z < at) if rng.random() < 0.6 else (z > at))})

    return cut


def lumen_left_out(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Leave out what lies deeper in a hollow organ than its wall."""
    return _left_out(scan, name, depth_mm(scan, name) > rng.uniform(1.1, 1.6) * max(scan.grid.spacing_mm))


def gas_left_out(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Leave out the gas in a hollow organ."""
    del rng
    return _left_out(scan, name, np.asarray(ndimage.binary_opening(scan.masks[name] & (scan.hu < -300))))


def _left_out(scan: LabelledScan, name: str, inner: np.ndarray) -> LabelledScan | None:
    """Take voxels from a structure, where they are 10 mL at least."""
    inner_ml = np.count_nonzero(inner) * scan.grid.voxel_ml
    return scan.holding(**{name: scan.masks[name] & ~inner}) if inner_ml >= 10.0 else None


def filled_with_gas(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Put gas into a structure: the scan changes, as if the mask lay on bowel."""
    deep_mm = depth_mm(scan, name)
    deep = deep_mm > 0.6 * deep_mm.max()
    if deep_mm.max() < 8:
        return None
    gas = ball(scan.grid, somewhere_in(deep, scan.grid, rng), rng.uniform(11, 14))
    hu = np.where(gas, rng.normal(-800, 30, gas.shape), scan.hu).astype(scan.hu.dtype)
    return replace(scan, hu=hu)


def rescaled_wrong(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Forget the intercept of 1024 HU, one way or the other."""
    if not scan.has(name, 5.0):
        return None
    sign = 1 if rng.random() < 0.5 else -1
    return replace(scan, hu=np.clip(scan.hu.astype(np.int32) + sign * 1024, -2048, 3071).astype(scan.hu.dtype))


def put_on(other: str) -> Mistake:
    """Make the mistake of a structure that lies on another tissue: a ball there in its stead."""

    def put(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
        if not (scan.has(other, 200.0) and scan.has(name)):
            return None
        deep = depth_mm(scan, other) > 20
        if not deep.any():
            return None
        return scan.holding(**{name: ball(scan.grid, somewhere_in(deep, scan.grid, rng), 16.0)})

    return put


def on_the_table(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Add a ball of 12 to 16 mm outside the skin."""
    way_mm = distance_mm(scan, scan.body)
    outside = way_mm > 16
    if not scan.has(name, 10.0) or not outside.any():
        return None
    drop = ball(scan.grid, somewhere_in(outside, scan.grid, rng), rng.uniform(12, 16)) & ~scan.body
    return scan.holding(**{name: scan.masks[name] | drop}) if np.count_nonzero(drop) * scan.grid.voxel_ml > 4 else None


def slices_misplaced(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Get the spacing of slices wrong by a factor of 2.2 to 3, up or down."""
    if not scan.has(name, 5.0) or scan.is_cut(name):
        return None
    factor = rng.uniform(2.2, 3.0) ** (1 if rng.random() < 0.5 else -1)
    affine = scan.grid.affine.copy()
    affine[:, axis_along(scan.grid)] *= factor
    return replace(scan, grid=Grid(scan.grid.shape, affine))


def cropped_through(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """End the scan amid a structure, along the body."""
    box = box_of(scan.masks[name])
    axis = axis_along(scan.grid)
    if box is None or box[axis].stop - box[axis].start < 6:
        return None
    low, high = box[axis].start, box[axis].stop
    at = int(rng.integers(low + (high - low) // 4, high - (high - low) // 4))
    sides = [slice(0, n) for n in scan.grid.shape]
    sides[axis] = slice(at, None) if rng.random() < 0.5 else slice(0, at)
    return cropped(scan, (sides[0], sides[1], sides[2]))


def _crumb(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return nothing, or a few voxels of a mask."""
    crumb = np.zeros_like(mask)
    if rng.random() < 0.5:
        voxels = np.argwhere(mask)
        at = voxels[rng.integers(len(voxels), size=3)] if len(voxels) else voxels
        crumb[tuple(at.T)] = True
    return crumb
