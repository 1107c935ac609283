"""Texture of real scans for drawn anatomies: what fat, soft tissue, lung and bone look like beside their mean.

From a scan without labels one can tell by HU, depth and surroundings what is surely fat, soft tissue, lung or bone.
What is there beside the mean (noise as scanners make it, streaks, strands and small vessels in fat, vessels in lungs)
is laid over the same sort of tissue of a drawn anatomy, from shifted copies of the scan until little is left open.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from scipy import ndimage

from ctatlas.synthesis.tables import tissues

TRIES = 5  # with each scan
SKIN_MM, UNDER_SKIN_MM = 4.0, 22.0
FAT_HU, LUNG_HU = -100.0, -850.0
INNER_FAT_SHARE = 0.6  # of the surroundings, so that what is not fat there is strands and small vessels
SURROUNDINGS_MM = 9.0
LOCAL_MM = 10.0  # what varies more slowly than this is the organ, not its texture
LIMITS = {
    "subcutaneous": (-50, 120),
    "inner_fat": (-50, 150),
    "soft": (-80, 80),
    "lung": (-140, 900),
    "bone": (-250, 350),
}


@dataclass(frozen=True, slots=True)
class Texture:
    """What a scan shows beside the mean of each sort of tissue.

    Attributes
    ----------
    sort : (i, j, k) uint8
        Number of the texture that is surely there; 0 where one cannot tell.
    hu : (i, j, k) int16
        Beside the mean.
    """

    sort: np.ndarray
    hu: np.ndarray


@cache
def textures() -> Mapping[str, tuple[str, ...]]:
    """Return the materials of each texture; textures are numbered from 1 in this order."""
    text = files("ctatlas.synthesis").joinpath("data", "textures.csv").read_text(encoding="utf-8")
    return {row["texture"]: tuple(row["materials"].split()) for row in csv.DictReader(text.splitlines())}


def texture_of(hu: np.ndarray, body: np.ndarray, spacing_mm: float) -> Texture:
    """Tell textures apart in a scan.

    Parameters
    ----------
    hu : (i, j, k) int16
        A scan on an isotropic grid.
    body : (i, j, k) bool
        All inside the skin.
    spacing_mm : float
    """
    image = hu.astype(np.float32)
    flat = (spacing_mm, spacing_mm, 1e3)
    depth = ndimage.distance_transform_edt(np.pad(body, ((1, 1), (1, 1), (0, 0))), sampling=flat)[1:-1, 1:-1]
    fat = body & (hu > -150) & (hu < -50)
    fat_share = ndimage.gaussian_filter(fat.astype(np.float32), SURROUNDINGS_MM / spacing_mm)
    lung = _eroded(ndimage.binary_closing(body & (hu < -600) & (depth > 10), iterations=2))
    bone = _eroded(ndimage.binary_opening(body & (hu > 180)))
    soft = _eroded(body & (hu > -20) & (hu < 180) & ~bone & (depth > 6))
    sorts = {
        "subcutaneous": body
        & (depth > SKIN_MM)
        & (depth < UNDER_SKIN_MM)
        & (fat_share > 0.5)
        & (hu > -180)
        & (hu < 20),
        "inner_fat": body & (depth >= UNDER_SKIN_MM) & (fat_share > INNER_FAT_SHARE) & (hu > -180) & (hu < 150),
        "soft": soft,
        "lung": lung,
        "bone": bone,
    }
    beside = {
        "subcutaneous": image - FAT_HU,
        "inner_fat": image - FAT_HU,
        "soft": image - _local_mean(image, soft, LOCAL_MM / spacing_mm),
        "lung": image - LUNG_HU,
        "bone": image - _local_mean(image, bone, LOCAL_MM / spacing_mm),
    }
    sort, out = np.zeros(hu.shape, dtype=np.uint8), np.zeros(hu.shape, dtype=np.int16)
    for number, name in enumerate(textures(), start=1):
        where = sorts[name] & (sort == 0)
        sort[where] = number
        out[where] = np.rint(np.clip(beside[name][where], *LIMITS[name]))
    return Texture(sort, out)


def _eroded(mask: np.ndarray) -> np.ndarray:
    eroded: np.ndarray = ndimage.binary_erosion(mask)
    return eroded


def _local_mean(image: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    weight = ndimage.gaussian_filter(mask.astype(np.float32), sigma)
    mean: np.ndarray = ndimage.gaussian_filter(np.where(mask, image, 0), sigma) / np.maximum(weight, 1e-3)
    return mean


def real_texture(labels: np.ndarray, scans: Sequence[Texture], rng: np.random.Generator) -> np.ndarray:
    """Lay the texture of real scans over a drawn anatomy.

    Parameters
    ----------
    labels : (i, j, k) uint8
        Tissue ids on the scans' voxel size.
    scans : sequence of Texture
        The first gives what it can, the others what it has not.
    rng : np.random.Generator

    Returns
    -------
    (i, j, k) int16
        HU to add to the tissue's mean; 0 where nothing was found.
    """
    wanted = _sort_of_tissue()[labels]
    out = np.zeros(labels.shape, dtype=np.int16)
    for scan in [scan for scan in scans for _ in range(TRIES)]:
        index = np.ix_(*(_positions(rng, n, m) for n, m in zip(labels.shape, scan.sort.shape, strict=True)))
        hit = (scan.sort[index] == wanted) & (wanted > 0)
        out[hit] = scan.hu[index][hit]
        wanted[hit] = 0
    return out


def _positions(rng: np.random.Generator, wanted: int, there: int) -> np.ndarray:
    """Return where along one axis of a scan each voxel looks: middle over middle, then shifted; around at the end."""
    start = (there - wanted) // 2 + int(np.rint(rng.normal(0, 0.1 * there)))
    positions: np.ndarray = np.abs((np.arange(wanted) + start + there) % (2 * there) - there).clip(0, there - 1)
    return positions


@cache
def _sort_of_tissue() -> np.ndarray:
    lookup = np.zeros(256, dtype=np.uint8)
    number = {material: n for n, materials in enumerate(textures().values(), start=1) for material in materials}
    for tissue in tissues().values():
        lookup[tissue.id] = number.get(tissue.material, 0)
    return lookup
