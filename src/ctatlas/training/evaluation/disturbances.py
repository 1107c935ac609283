"""The same scan otherwise stored, cropped, noisier, with thicker slices, in another phase: how much that changes.

What was found in the undisturbed scan goes through the same cropping and thickening before both are scored, so that the
difference is the model's alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage

from ctatlas.measure.overlap import dice
from ctatlas.training.evaluation.cases import Case, phantom
from ctatlas.training.evaluation.scores import comparable, find
from ctatlas.training.evaluation.store import Store
from ctatlas.volume import Grid, Segmentation, Volume

AT_LEAST_ML = 1.0  # of a structure that a disturbance leaves: less says nothing of the model
PHASES = ("native", "arterial", "portal", "delayed")


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What is done to a scan, and what follows for masks on its grid: nothing, where the grid stays."""

    name: str
    scan: Callable[[Volume], Volume]
    masks: Callable[[Segmentation], Segmentation] = lambda masks: masks


@dataclass(frozen=True, slots=True)
class Change:
    """Dice of one structure in one case, undisturbed and disturbed."""

    disturbance: str
    case: str
    structure: str
    plain: float
    disturbed: float


def turned(code: str) -> Disturbance:
    """Store the same scan with its axes in another order and direction."""
    return Disturbance(f"axes stored {code}", lambda v: v.reoriented(code), lambda m: m.reoriented(code))


def cropped(name: str, low: tuple[float, float, float], high: tuple[float, float, float]) -> Disturbance:
    """Keep a box of the scan, given in shares of its sides toward left, back and head."""

    def box(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        shape = np.array(grid.shape)
        return np.floor(shape * low).astype(int), np.ceil(shape * high).astype(int)

    def masks(segmentation: Segmentation) -> Segmentation:
        upright = segmentation.reoriented("LPS")
        lo, hi = box(upright.grid)
        part = tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))
        grid = upright.grid.crop(lo, hi)
        return Segmentation(grid, tuple(layer[part] for layer in upright.layers), upright.places)

    def scan(volume: Volume) -> Volume:
        upright = volume.reoriented("LPS")
        return upright.crop(*box(upright.grid))

    return Disturbance(name, scan, masks)


def noisy(sd_hu: float) -> Disturbance:
    """Add white noise, smoothed over a voxel and a half as a soft kernel does; the same on every call."""

    def scan(volume: Volume) -> Volume:
        white = np.random.default_rng(0).standard_normal(volume.array.shape, dtype=np.float32)
        smooth = ndimage.gaussian_filter(white, 0.6)
        return _with_hu(volume, volume.array + smooth * (sd_hu / smooth.std()))

    return Disturbance(f"noise of {sd_hu:g} HU added", scan)


def blurred(sd_mm: float) -> Disturbance:
    """Blur the scan evenly."""

    def scan(volume: Volume) -> Volume:
        sigma = [sd_mm / spacing for spacing in volume.grid.spacing_mm]
        return _with_hu(volume, ndimage.gaussian_filter(volume.array.astype(np.float32), sigma))

    return Disturbance(f"blurred by {sd_mm:g} mm", scan)


def shifted(by_hu: float) -> Disturbance:
    """Add a constant to every voxel inside of the body and around it."""
    return Disturbance(f"{by_hu:+g} HU everywhere", lambda v: _with_hu(v, v.array.astype(np.float32) + by_hu))


def thickened(slice_mm: float) -> Disturbance:
    """Average slices until they are about so thick; a mask keeps what fills at least half of a thick slice."""

    def scan(volume: Volume) -> Volume:
        upright = volume.reoriented("LPS")
        n = _slices_in(upright.grid, slice_mm)
        return _with_hu(replace(upright, array=_averaged(upright.array, n), grid=_thick(upright.grid, n)))

    def masks(segmentation: Segmentation) -> Segmentation:
        upright = segmentation.reoriented("LPS")
        n = _slices_in(upright.grid, slice_mm)
        thick = ((name, _averaged(mask, n) >= 0.5) for name, mask in upright.items())
        return Segmentation.from_masks(_thick(upright.grid, n), thick)

    return Disturbance(f"slices of {slice_mm:g} mm", scan, masks)


def _slices_in(grid: Grid, slice_mm: float) -> int:
    return max(1, round(slice_mm / grid.spacing_mm[2]))


def _averaged(array: np.ndarray, n: int) -> np.ndarray:
    whole = array[:, :, : array.shape[2] // n * n].astype(np.float32)
    thick: np.ndarray = whole.reshape(*array.shape[:2], -1, n).mean(axis=3)
    return thick


def _thick(grid: Grid, n: int) -> Grid:
    affine = grid.affine.copy()
    affine[:3, 3] = grid.world((0, 0, (n - 1) / 2))
    affine[:3, 2] *= n
    return Grid((*grid.shape[:2], grid.shape[2] // n), affine)


def _with_hu(volume: Volume, hu: np.ndarray | None = None) -> Volume:
    hu = volume.array if hu is None else hu
    return replace(volume, array=np.clip(np.rint(hu), -1024, 3071).astype(np.int16))


DISTURBANCES = (
    turned("RAS"),
    turned("LPI"),
    turned("SAR"),
    cropped("upper half", (0, 0, 0.5), (1, 1, 1)),
    cropped("lower half", (0, 0, 0), (1, 1, 0.5)),
    cropped("middle third along the body", (0, 0, 1 / 3), (1, 1, 2 / 3)),
    cropped("sides cut off by a seventh", (1 / 7, 0, 0), (6 / 7, 1, 1)),
    noisy(20.0),
    noisy(40.0),
    blurred(2.0),
    shifted(20.0),
    shifted(-20.0),
    thickened(5.0),
    thickened(8.0),
)


def changes(case: Case, models: Sequence[str], disturbances: Sequence[Disturbance] = DISTURBANCES) -> list[Change]:
    """Ask the models for a case as it is and after each disturbance."""
    plain = find(case.volume, models)
    found = []
    for each in disturbances:
        truth, before = comparable(each.masks(case.truth), each.masks(plain))
        _, after = comparable(truth, _on(truth.grid, find(each.scan(case.volume), models)))
        found += _compared(each.name, case.name, truth, before, after)
    return found


def phase_changes(store: Store, number: int, models: Sequence[str]) -> list[Change]:
    """Ask the models for an unseen phantom in the phase it was drawn in and in every other."""
    case = phantom(store, number)
    plain = find(case.volume, models)
    found = []
    for phase in PHASES:
        other = phantom(store, number, phase)
        truth, before = comparable(case.truth, plain)
        _, after = comparable(truth, find(other.volume, models))
        found += _compared(f"phase {phase}", case.name, truth, before, after)
    return found


def _on(grid: Grid, found: Segmentation) -> Segmentation:
    if found.grid.shape != grid.shape or not found.grid.is_like(grid):
        raise ValueError("a disturbance leaves scan and masks on different grids")
    return found


def _compared(name: str, case: str, truth: Segmentation, before: Segmentation, after: Segmentation) -> list[Change]:
    large = [each for each, n in truth.n_voxels().items() if n * truth.grid.voxel_ml >= AT_LEAST_ML]
    shared = sorted(set(large) & set(before.names) & set(after.names))
    masks = ((each, truth.mask(each), before.mask(each), after.mask(each)) for each in shared)
    return [Change(name, case, each, dice(true, one), dice(true, other)) for each, true, one, other in masks]


def summary_of(found: Sequence[Change]) -> list[dict[str, Any]]:
    """Return for each disturbance the mean change of Dice over cases and structures, and the worst structure's."""
    rows = []
    for name in dict.fromkeys(each.disturbance for each in found):
        own = [each for each in found if each.disturbance == name]
        by_structure: dict[str, list[float]] = {}
        for each in own:
            by_structure.setdefault(each.structure, []).append(each.disturbed - each.plain)
        means = {structure: float(np.mean(values)) for structure, values in by_structure.items()}
        worst = min(means, key=means.__getitem__)
        rows.append(
            {
                "disturbance": name,
                "n_cases": len({each.case for each in own}),
                "mean_dice": float(np.mean([each.plain for each in own])),
                "mean_change": float(np.mean([each.disturbed - each.plain for each in own])),
                "worst_structure": worst,
                "worst_change": means[worst],
            }
        )
    return rows


def table_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the changes as Markdown."""
    lines = ["| disturbance | n | Dice before | mean change | worst structure |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {row['disturbance']} | {row['n_cases']} | {row['mean_dice']:.3f} | {row['mean_change']:+.3f} "
        f"| {row['worst_structure']} {row['worst_change']:+.3f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"
