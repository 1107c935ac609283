"""Organs that grow, shrink and move on their own: velocity fields around each of them.

The surroundings follow, so that what an organ leaves is filled with what lay beside it and no two organs overlap.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from scipy import ndimage

from ctatlas.synthesis.cases import structure_ids
from ctatlas.synthesis.deformation import COARSE_MM, Shape, coarse_shape
from ctatlas.synthesis.tables import organ_sizes

IMPLAUSIBLE_SD = 2.5  # a volume so far from the mean is drawn anew for all
DRAWN_SHARE = 0.7  # of organs that take a volume drawn from the table; the others vary around their own
LOG_SCALE_LIMIT = 0.24  # half or twice the volume
BLUR = 1.2  # of an organ's reach, in coarse voxels


@dataclass(frozen=True, slots=True)
class OrganMove:
    """One row of `organ_moves.csv`: what moves together, how far (s.d. per axis), and how its size varies."""

    organ: str
    structures: tuple[str, ...]
    shift_mm: float
    log_scale_sd: float


@cache
def organ_moves() -> tuple[OrganMove, ...]:
    """Return how organs move."""
    text = files("ctatlas.synthesis").joinpath("data", "organ_moves.csv").read_text(encoding="utf-8")
    return tuple(
        OrganMove(row["organ"], tuple(row["structures"].split()), float(row["shift_mm"]), float(row["log_scale_sd"]))
        for row in csv.DictReader(text.splitlines())
    )


def organ_velocity(rng: np.random.Generator, tissues: np.ndarray, spacing_mm: float, sex: str) -> np.ndarray:
    """Draw how the organs of an anatomy move and grow.

    Parameters
    ----------
    rng : np.random.Generator
    tissues : (i, j, k) uint8
        Tissue ids.
    spacing_mm : float
        Of the isotropic grid.
    sex : {"female", "male"}
        Whose volumes are drawn.

    Returns
    -------
    (3, ., ., .) float32
        Velocities in mm on the coarse grid of `deformation`.
    """
    lookup, names = structure_ids()
    structures = lookup[tissues]
    boxes = ndimage.find_objects(structures)
    number = {name: n for n, name in names.items()}
    coarse = coarse_shape(tissues.shape, spacing_mm)
    total = np.zeros((3, *coarse), dtype=np.float32)
    weight = np.zeros(coarse, dtype=np.float32)
    for move in organ_moves():
        voxels = _voxels(structures, boxes, [number[name] for name in move.structures])
        log_scale, shift = _drawn(rng, move, len(voxels) * spacing_mm**3 / 1000, sex)
        if not len(voxels) or _is_cut(voxels, tissues.shape):
            log_scale = 0.0
        if len(voxels):
            near = _near(voxels, coarse, spacing_mm)
            weight += near
            total += near * _towards(voxels, coarse, spacing_mm, log_scale, shift)
    velocity: np.ndarray = total / np.maximum(weight, 1)
    return velocity


def _voxels(structures: np.ndarray, boxes: Sequence[tuple[slice, ...] | None], numbers: list[int]) -> np.ndarray:
    found = [np.zeros((0, 3), dtype=np.int64)]
    for n in numbers:
        box = boxes[n - 1] if n <= len(boxes) else None
        if box is not None:
            found.append(np.argwhere(structures[box] == n) + [side.start for side in box])
    return np.concatenate(found)


def _is_cut(voxels: np.ndarray, shape: Shape) -> bool:
    return bool(voxels[:, 2].min() == 0 or voxels[:, 2].max() == shape[2] - 1)


def _drawn(rng: np.random.Generator, move: OrganMove, volume_ml: float, sex: str) -> tuple[float, np.ndarray]:
    """Draw one organ's change of length (logarithm) and its way in mm."""
    log_scale, lot, size = rng.normal(0, move.log_scale_sd), rng.random(), organ_sizes().get(move.organ)
    z, shift = rng.normal(), rng.normal(0, move.shift_mm, 3)
    if size and volume_ml > 0:
        mean, sd = (size.men_ml, size.men_sd) if sex == "male" else (size.women_ml, size.women_sd)
        lot = 0.0 if abs(volume_ml - mean) > IMPLAUSIBLE_SD * sd else lot
        sigma = np.sqrt(np.log(1 + (sd / mean) ** 2))
        drawn = (np.log(mean) - sigma**2 / 2 + sigma * z - np.log(volume_ml)) / 3
        log_scale = drawn if lot < DRAWN_SHARE else log_scale
    return float(np.clip(log_scale, -LOG_SCALE_LIMIT, LOG_SCALE_LIMIT)), shift


def _near(voxels: np.ndarray, coarse: Shape, spacing_mm: float) -> np.ndarray:
    """Return 1 on and right beside an organ, falling to 0 some 20 mm away."""
    mask = np.zeros(coarse, dtype=bool)
    at = np.rint(voxels * (spacing_mm / COARSE_MM)).astype(int)
    mask[at[:, 0], at[:, 1], at[:, 2]] = True
    near: np.ndarray = ndimage.gaussian_filter(ndimage.binary_dilation(mask).astype(np.float32), BLUR)
    return np.minimum(1.3 * near, 1)


def _towards(voxels: np.ndarray, coarse: Shape, spacing_mm: float, log_scale: float, shift: np.ndarray) -> np.ndarray:
    """Return the velocity that fetches content from where the organ was: against its growth and its way."""
    centre = voxels.mean(axis=0) * spacing_mm
    here = np.indices(coarse, dtype=np.float32) * np.float32(COARSE_MM)
    away = here - centre.astype(np.float32)[:, None, None, None]
    fetched: np.ndarray = -np.float32(log_scale) * away - shift.astype(np.float32)[:, None, None, None]
    return fetched
