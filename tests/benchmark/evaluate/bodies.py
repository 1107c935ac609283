"""Small bodies of balls on an oblique, anisotropic grid with odd sizes; predictions are the same balls, moved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ctatlas.volume import Grid, Segmentation, write

SHAPE = (31, 27, 19)
SPACING_MM = (0.9, 0.8, 2.5)
NAMES = {1: "liver", 2: "kidney_left", 3: "kidney_right", 4: "spleen"}
# id -> centre in voxels (index 0 grows toward the right) and radius in mm
BALLS = {1: ((21, 14, 10), 6.0), 2: ((7, 18, 8), 4.0), 3: ((24, 19, 4), 3.5), 4: ((6, 8, 14), 4.5)}


def grid(shape: tuple[int, int, int] = SHAPE) -> Grid:
    """Return a grid that leans by some degrees, in RAS order."""
    turn = np.array([[0.98, -0.19, 0.05], [0.19, 0.98, 0.02], [-0.05, -0.01, 0.998]])
    columns, _ = np.linalg.qr(turn)
    columns *= np.sign(np.diagonal(columns))
    affine = np.eye(4)
    affine[:3, :3] = columns * SPACING_MM
    affine[:3, 3] = (-12.0, -7.0, 30.0)
    return Grid(shape, affine)


def labels(moved: tuple[int, int, int] = (0, 0, 0)) -> np.ndarray:
    """Return a label map of balls, all moved by so many voxels."""
    found = np.zeros(SHAPE, np.uint8, order="F")
    places = np.indices(SHAPE).transpose(1, 2, 3, 0)
    for number, (centre, radius) in BALLS.items():
        off_mm = (places - centre - np.array(moved)) * SPACING_MM
        found[np.linalg.norm(off_mm, axis=3) < radius] = number
    return found


def body(moved: tuple[int, int, int] = (0, 0, 0), names: Mapping[int, str] = NAMES) -> Segmentation:
    """Return the balls under names of structures."""
    return Segmentation.from_labels(grid(), labels(moved), names)


def case_folder(root: Path, case: str, masks: Segmentation) -> Path:
    """Write `<root>/<case>/segmentations/<structure>.nii.gz`."""
    write(masks, root / case / "segmentations")
    return root / case


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Measure overlap, plainly."""
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())
