"""Whole phantom cases: a CT, its true segmentation, and a record of everything that was drawn."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ctatlas.synthesis.imaging import Scanner, draw_scanner, render
from ctatlas.synthesis.intensities import Intensities, draw_intensities
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import Phantom, draw_phantom
from ctatlas.synthesis.tables import tissues
from ctatlas.volume import Grid, ScanFacts, Segmentation, Volume, write_labels, write_volume

SHAPE = (256, 256, 112)
SLICE_MM = (2.0, 2.5, 3.0, 4.0, 5.0)
SLICE_SHARES = (0.1, 0.25, 0.25, 0.15, 0.25)
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

    def record(self) -> dict[str, Any]:
        """Return every drawn parameter in plain types, for JSON."""
        return {
            "seed": self.seed,
            "number": self.number,
            "shape": list(self.shape),
            "spacing_mm": list(self.spacing_mm),
            "first_voxel_mm": list(self.first_voxel_mm),
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


def draw_case(seed: int, number: int, *, shape: tuple[int, int, int] = SHAPE, phase: str | None = None) -> PhantomPlan:
    """Draw case `number` of the series that `seed` names; the same two numbers always give the same case."""
    rng = np.random.default_rng([seed, number])
    phantom = draw_phantom(rng)
    intensities = draw_intensities(rng, randomise=False, spread=1.0, phase=phase)
    scanner = draw_scanner(rng)
    girth_mm = 2 * (178 + phantom.subject.fat_mm) * phantom.scale
    in_plane = float(np.clip(girth_mm * rng.uniform(0.98, 1.12), 320, 500)) / shape[0]
    slice_mm = float(rng.choice(SLICE_MM, p=SLICE_SHARES))
    spacing = (in_plane, in_plane * shape[0] / shape[1], slice_mm)
    middle = (float(rng.normal(0, 6)), float(rng.normal(-12, 8)), float(rng.uniform(*MIDDLE_MM)))
    first = tuple(m - s * (n - 1) / 2 for m, s, n in zip(middle, spacing, shape, strict=True))
    return PhantomPlan(seed, number, phantom, intensities, scanner, spacing, (first[0], first[1], first[2]), shape)


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
    middle = np.asfortranarray(ids[labels[:, :, thick // 2 :: thick]])
    truth = Segmentation.from_labels(grid, middle, names)
    facts = ScanFacts(source=f"phantom {plan.seed}-{plan.number}", modality="CT")
    return PhantomCase(Volume(image, grid, facts), truth, plan)


@cache
def structure_ids() -> tuple[np.ndarray, dict[int, str]]:
    """Return the (256,) uint8 look-up from tissue to structure id, and the structures by id (1, 2, …)."""
    structures = sorted({tissue.structure for tissue in tissues().values()} - {"", "unknown"})
    number = {name: n for n, name in enumerate(structures, start=1)}
    lookup = np.zeros(256, dtype=np.uint8)
    for tissue in tissues().values():
        lookup[tissue.id] = number.get(tissue.structure, 0)
    return lookup, {n: name for name, n in number.items()}


def write_case(case: PhantomCase, folder: Path) -> None:
    """Write `ct.nii.gz`, `combined_labels.nii.gz` with `labels.json`, and `phantom.json` into an existing folder."""
    _, names = structure_ids()
    write_volume(case.volume, folder / "ct.nii.gz")
    ids = {name: n for n, name in names.items()}
    write_labels(case.truth.combined(ids), case.truth.grid, folder / "combined_labels.nii.gz")
    (folder / "labels.json").write_text(json.dumps({str(n): name for n, name in names.items()}, indent=1) + "\n")
    (folder / "phantom.json").write_text(json.dumps(case.plan.record()) + "\n")
