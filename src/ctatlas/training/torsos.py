"""Real CTs without organ labels: what calibrated HU tells of every voxel, which is often only what it is not.

Air, fat and lung are known. Bone is known as bone, but not which; soft tissue as neither bone nor lung. What bone or
metal is near, and the blur along the lungs, stay open. All torsos of the table were looked at slice by slice.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import numpy as np
from scipy import ndimage

from ctatlas.errors import ScanError
from ctatlas.inference.calibrated import Calibrated, find_calibrated
from ctatlas.training.classes import set_codes, trained_classes
from ctatlas.volume import Grid, Volume

FAT_HU = (-150.0, -50.0)
SOFT_HU = (-30.0, 130.0)  # above it spongiosa and enhanced organs are alike
BONE_HU = 180.0
CORTEX_HU = 350.0  # bone has some within two voxels; enhanced kidneys and lung vessels have not
ABOVE_BLOOD_HU = 150.0  # what noise, and the blur of contrast medium in a vein, add to blood
BLOOD_ML = 30.0  # a piece of the aorta, a ventricle
ROUGH_HU = 60.0  # s.d. among neighbours; enhanced blood, kidneys and the core of spongiosa are smoother
SKELETON_ML = 40.0  # smaller pieces of bone are cut ribs, but calcifications and contrast in the bowel as well
PERHAPS_BONE_HU = 150.0
CANAL_MM2 = 2500.0  # what bone encloses in a slice up to this is marrow or canal: a vertebra across. Trunks are larger
METAL_HU = 1800.0
STREAKS_MM = 30.0
GAS_HU = -400.0
LUNG_HU = -250.0  # what is denser inside a lung may be its vessels, but a rib or the hilum, too
BELOW_LUNG_MM = 30.0  # up to here above the lung's lower end, gas is the gut's; higher it may be collapsed lung
EDGE_MM = 6.0  # along a lung: its vessels, partial volume


@cache
def fields_of_view() -> Mapping[str, str]:
    """Return what each torso shows, by its name: rows of `fields_of_view.csv`."""
    text = files("ctatlas.training").joinpath("data", "torsos.csv").read_text(encoding="utf-8")
    return {row["name"]: row["field_of_view"] for row in csv.DictReader(text.splitlines())}


def partial_labels(ct: np.ndarray, spacing_mm: float, field_of_view: str) -> np.ndarray:
    """Label what HU decides without learning.

    Parameters
    ----------
    ct : (right, front, head) int16
        HU on an isotropic grid.
    spacing_mm : float
    field_of_view : str
        A row of `fields_of_view.csv`.

    Returns
    -------
    (right, front, head) uint8
        Channels of classes and codes of sets (see `classes`).

    Raises
    ------
    ScanError
        When there is no torso in the scan.
    """
    grid = Grid(ct.shape, np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0]))
    known = find_calibrated(Volume(np.asfortranarray(ct), grid))
    if known.why_nothing:
        raise ScanError(f"a CT to learn texture from shows {known.why_nothing}; expected a torso: leave it out")
    code = {name: value for (name, view), value in set_codes().items() if view == field_of_view}
    channel = {each.name: each.channel for each in trained_classes()}
    steps = max(1, round(EDGE_MM / spacing_mm))
    lungs = known.lung_left | known.lung_right
    near_lung = ndimage.binary_dilation(lungs | known.trachea, iterations=steps)
    bone, near_bone = find_bone(ct, known.body, lungs, spacing_mm)
    streaks = _near_metal(ct, spacing_mm)
    fat = ndimage.binary_erosion((ct > FAT_HU[0]) & (ct < FAT_HU[1])) & known.body
    soft = (ct > SOFT_HU[0]) & (ct < SOFT_HU[1]) & known.body
    labels = np.full(ct.shape, code["anything"], dtype=np.uint8)
    labels[known.body & (ct > SOFT_HU[0]) & ~near_lung] = code["no_lung"]
    labels[soft & ~near_lung & ~near_bone] = code["soft_tissue"]
    labels[_gut_gas(ct, known, near_lung, spacing_mm)] = code["gut_gas"]
    labels[fat & ~near_bone & ~ndimage.binary_dilation(lungs)] = channel["background"]
    labels[bone] = code["bone"]
    labels[streaks] = code["no_lung"]
    labels[near_lung & streaks] = code["anything"]
    labels[ndimage.binary_erosion(known.trachea)] = channel["background"]
    labels[lungs & (ct < LUNG_HU)] = channel["lungs"]
    labels[~ndimage.binary_dilation(known.body)] = channel["background"]
    return labels


def find_bone(ct: np.ndarray, body: np.ndarray, lungs: np.ndarray, spacing_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Find what is bone for sure, and all that may be bone or marrow.

    Enhanced blood and kidneys are as dense as bone, but smooth; contrast in the bowel is rough, but in small pieces.

    Returns
    -------
    bone, near_bone : (right, front, head) bool
    """
    hu = ct.astype(np.float32)
    mean = ndimage.uniform_filter(hu, 3)
    rough = ndimage.uniform_filter(hu**2, 3) - mean**2 > ROUGH_HU**2
    dense = body & (ct > BONE_HU)
    core = ndimage.binary_opening(dense & ~rough)
    rough_dense = dense & ~ndimage.binary_dilation(core, iterations=2) & ~lungs
    near_cortex = ndimage.binary_dilation(rough_dense & (ct > _cortex_hu(hu, core, spacing_mm)), iterations=2)
    pieces, n = ndimage.label(rough_dense & near_cortex, np.ones((3, 3, 3)))
    large = np.bincount(pieces.ravel(), minlength=n + 1) * spacing_mm**3 / 1000 >= SKELETON_ML
    large[0] = False
    bone = large[pieces] & ~ndimage.binary_dilation(ct > METAL_HU, iterations=2)
    closed = ndimage.binary_closing(body & (ct > PERHAPS_BONE_HU), iterations=3)
    for k in range(closed.shape[2]):
        section = closed[:, :, k]
        holes, n = ndimage.label(ndimage.binary_fill_holes(section) & ~section)
        small = np.bincount(holes.ravel(), minlength=n + 1) * spacing_mm**2 <= CANAL_MM2
        small[0] = False
        section |= small[holes]
    return np.asarray(bone), ndimage.binary_dilation(closed)


def _cortex_hu(hu: np.ndarray, core: np.ndarray, spacing_mm: float) -> float:
    """Return from where on a rough voxel is cortex: well above the blood of the scan, which fills the large cores."""
    pieces, n = ndimage.label(core)
    sizes_ml = np.bincount(pieces.ravel(), minlength=n + 1)[1:] * spacing_mm**3 / 1000
    blood = [float(np.median(hu[pieces == label])) for label in np.flatnonzero(sizes_ml >= BLOOD_ML) + 1]
    return max([CORTEX_HU, *(hu_of + ABOVE_BLOOD_HU for hu_of in blood)])


def _near_metal(ct: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Return where streaks of metal make HU worthless: within 30 mm in its slices."""
    metal = ndimage.binary_dilation(ct > METAL_HU)
    if not metal.any():
        return metal
    far = ndimage.distance_transform_edt(~metal, sampling=(spacing_mm, spacing_mm, 1e6))
    return np.asarray(far <= STREAKS_MM)


def _gut_gas(ct: np.ndarray, known: Calibrated, near_lung: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Return the air inside the body that lies too low to be lung."""
    gas: np.ndarray = known.body & (ct < GAS_HU) & ~near_lung
    levels = np.flatnonzero((known.lung_left | known.lung_right).any(axis=(0, 1)))
    if len(levels):
        gas[:, :, int(levels[0]) + round(BELOW_LUNG_MM / spacing_mm) :] = False
    return gas
