"""A phantom's vertebrae and ribs one by one: the painter makes one structure of each kind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctatlas.synthesis.cases import PAINTED, PhantomCase
from ctatlas.synthesis.frame import frame_of
from ctatlas.synthesis.shapes import Shape
from ctatlas.synthesis.skeleton import rib_cage, spine
from ctatlas.synthesis.tables import columns, other_side
from ctatlas.volume import turn_between

# From below, as the spine is painted
LEVELS = (
    *(f"L{n}" for n in range(5, 0, -1)),
    *(f"T{n}" for n in range(12, 0, -1)),
    *(f"C{n}" for n in range(7, 2, -1)),
)


def numbered_bones(case: PhantomCase) -> dict[str, np.ndarray]:
    """Part the vertebrae and ribs of a phantom.

    Returns
    -------
    dict of str to (i, j, k) bool
        `vertebrae_C3` to `vertebrae_L5` and `rib_left_1` to `rib_right_12`; what is not in view is empty. Every voxel
        of `vertebrae` and `ribs` goes to the bone in which it lies deepest.
    """
    masks: dict[str, np.ndarray] = {}
    stored = case.truth.grid.orientation
    as_painted = case.truth.reoriented(PAINTED)
    back = turn_between(PAINTED, stored)
    for whole, shapes in (("vertebrae", dict(_vertebrae())), ("ribs", dict(_ribs(case.plan.phantom.subject.visceral)))):
        voxels = np.nonzero(as_painted.mask(whole))
        x, y, z = _in_the_person(case, voxels)
        depths = [np.max([shape.depth(x, y, z) for shape in each], axis=0) for each in shapes.values()]
        owner = np.argmax(depths, axis=0)
        for number, drawn in enumerate(shapes):
            name = other_side(drawn) if case.plan.phantom.mirrored else drawn
            mask = np.zeros(as_painted.grid.shape, dtype=bool, order="F")
            mask[tuple(axis[owner == number] for axis in voxels)] = True
            masks[name] = back.array(mask)
    return masks


def bones_by_name(visceral: float = 1.0) -> dict[str, list[Shape]]:
    """Return the shapes of each vertebra, `vertebrae_L5` first, and of each rib around a cavity of some girth."""
    return dict(_vertebrae()) | dict(_ribs(visceral))


def _in_the_person(case: PhantomCase, voxels: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the person's coordinates of voxels, as the painter had them."""
    plan = case.plan
    starts = list(plan.first_voxel_mm)
    starts[2] += plan.spacing_mm[2] / 4 if plan.spacing_mm[2] > 2.2 else 0.0  # thick slices show their upper half
    axes = [s + mm * np.arange(n) for s, mm, n in zip(starts, plan.spacing_mm, plan.shape, strict=True)]
    frame = frame_of(plan.phantom, axes[0], axes[1], axes[2])
    x, y, z = (
        axis[at] + warp[voxels] for axis, at, warp in zip((frame.x, frame.y, frame.z), voxels, frame.warp, strict=True)
    )
    return x, y, z


def _vertebrae() -> Iterator[tuple[str, list[Shape]]]:
    parts = [part.shape for part in spine() if part.tissue == "vertebra_cortex"]
    levels = [f"vertebrae_{level}" for level in LEVELS]
    each = len(parts) // len(columns("spine.csv")["z"])
    yield from ((name, parts[n * each : (n + 1) * each]) for n, name in enumerate(levels))


def _ribs(visceral: float) -> Iterator[tuple[str, list[Shape]]]:
    shapes = [part.shape for part in rib_cage(visceral) if part.tissue == "rib_cortex"]
    for at, shape in enumerate(shapes):
        yield f"rib_{'right' if at % 2 else 'left'}_{at // 2 + 1}", [shape]
