"""Whole phantom cases: a CT, its true segmentation, and a record of everything that was drawn."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

from ctatlas.synthesis.fitting import fitted
from ctatlas.synthesis.imaging import Scanner, draw_scanner, field_of_view, render
from ctatlas.synthesis.intensities import Intensities, draw_intensities
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import Phantom, draw_phantom
from ctatlas.synthesis.tables import tissues
from ctatlas.volume import Grid, ScanFacts, Segmentation, Volume

SHAPE = (256, 256, 112)
SLICE_MM = (2.0, 2.5, 3.0, 4.0, 5.0)
SLICE_SHARES = (0.1, 0.25, 0.25, 0.15, 0.25)
PAINTED, FEET_FIRST = "LPS", "LPI"  # orders of the axes
FEET_FIRST_SHARE = 0.05
# Lowest and highest middle of the scan along the body, in mm from L1; thin slices cover only a part of the trunk.
MIDDLE_MM = (-110.0, 130.0)


@dataclass(frozen=True, slots=True)
class PhantomPlan:
    """One drawn case: who, how bright, which scanner, and where the voxels lie (mm left, back, head of L1)."""

    seed: int
    number: int
    phantom: Phantom
    intensities: Intensities
    scanner: Scanner
    spacing_mm: tuple[float, float, float]
    first_voxel_mm: tuple[float, float, float]
    shape: tuple[int, int, int]
    feet_first: bool = False  # slices stored from the head down

    def record(self) -> dict[str, Any]:
        """Return every drawn parameter in plain types, for JSON."""
        return {
            "seed": self.seed,
            "number": self.number,
            "shape": list(self.shape),
            "spacing_mm": list(self.spacing_mm),
            "first_voxel_mm": list(self.first_voxel_mm),
            "feet_first": self.feet_first,
            "scanner": asdict(self.scanner),
            "intensities": self.intensities.record(),
            "phantom": self.phantom.record(),
        }


@dataclass(frozen=True, slots=True)
class PhantomCase:
    """A synthetic scan, the truth about it, and its plan."""

    volume: Volume
    truth: Segmentation
    plan: PhantomPlan


def draw_case(
    seed: int,
    number: int,
    *,
    shape: tuple[int, int, int] = SHAPE,
    phase: str | None = None,
    conditions: Collection[str] | None = None,
    exact: bool = True,
) -> PhantomPlan:
    """Draw case `number` of the series that `seed` names; the same two numbers always give the same case.

    Parameters
    ----------
    seed, number : int
    shape : tuple of int, optional
    phase : str, optional
        The contrast phase; drawn when not given.
    conditions : collection of str, optional
        Exactly these of `conditions.csv`; drawn when not given.
    exact : bool, optional
        Whether organs are fitted to the volumes drawn for them, which takes some seconds.
    """
    rng = np.random.default_rng([seed, number])
    phantom = draw_phantom(rng, conditions=conditions)
    intensities = draw_intensities(rng, randomise=False, spread=1.0, phase=phase)
    scanner = draw_scanner(rng)
    girth_mm = 2 * (178 + phantom.subject.fat_mm) * phantom.scale
    in_plane = float(np.clip(girth_mm * rng.uniform(0.98, 1.12), 320, 500)) / shape[0]
    slice_mm = float(rng.choice(SLICE_MM, p=SLICE_SHARES))
    spacing = (in_plane, in_plane * shape[0] / shape[1], slice_mm)
    middle = (float(rng.normal(0, 6)), float(rng.normal(-12, 8)), float(rng.uniform(*MIDDLE_MM)))
    first = tuple(m - s * (n - 1) / 2 for m, s, n in zip(middle, spacing, shape, strict=True))
    feet_first = bool(rng.random() < FEET_FIRST_SHARE)
    phantom = fitted(phantom) if exact else phantom
    first_voxel = (first[0], first[1], first[2])
    return PhantomPlan(seed, number, phantom, intensities, scanner, spacing, first_voxel, shape, feet_first)


def make_case(plan: PhantomPlan) -> PhantomCase:
    """Paint and scan a drawn case; a pure function of the plan."""
    thick = 2 if plan.spacing_mm[2] > 2.2 else 1
    steps = (plan.spacing_mm[0], plan.spacing_mm[1], plan.spacing_mm[2] / thick)
    counts = (plan.shape[0], plan.shape[1], plan.shape[2] * thick)
    starts = (*plan.first_voxel_mm[:2], plan.first_voxel_mm[2] - plan.spacing_mm[2] / 2 + steps[2] / 2)
    x, y, z = (start + step * np.arange(n) for start, step, n in zip(starts, steps, counts, strict=True))
    labels = paint(plan.phantom, x, y, z)
    image = render(labels, plan.intensities, plan.scanner, plan.spacing_mm, thick=thick)
    affine = np.diag([-plan.spacing_mm[0], -plan.spacing_mm[1], plan.spacing_mm[2], 1.0])
    affine[:3, 3] = (-plan.first_voxel_mm[0], -plan.first_voxel_mm[1], plan.first_voxel_mm[2])
    grid = Grid(plan.shape, affine)
    ids, names = structure_ids()
    seen = field_of_view(plan.scanner, plan.shape, plan.spacing_mm)
    middle = np.asfortranarray(ids[labels[:, :, thick // 2 :: thick]] * seen[:, :, None])
    truth = Segmentation.from_labels(grid, middle, names)
    facts = ScanFacts(source=f"phantom {plan.seed}-{plan.number}", modality="CT")
    stored = FEET_FIRST if plan.feet_first else PAINTED
    return PhantomCase(Volume(image, grid, facts).reoriented(stored), truth.reoriented(stored), plan)


@cache
def structure_ids() -> tuple[np.ndarray, dict[int, str]]:
    """Return the (256,) uint8 look-up from tissue to structure id, and the structures by id (1, 2, …)."""
    structures = sorted({tissue.structure for tissue in tissues().values()} - {"", "unknown"})
    number = {name: n for n, name in enumerate(structures, start=1)}
    lookup = np.zeros(256, dtype=np.uint8)
    for tissue in tissues().values():
        lookup[tissue.id] = number.get(tissue.structure, 0)
    return lookup, {n: name for name, n in number.items()}
