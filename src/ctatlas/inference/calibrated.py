"""What calibrated HU gives without learning: the body inside its skin, lungs, windpipe; or why there is nothing.

Everything is found on a copy of about 3 mm (`coarse`, `skin`, `torso`, `midline`, `lungs`, `airway`) and brought back
to the scan's grid, where the scan's own voxels decide along the borders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ctatlas.inference.coarse import Coarse, coarse_copy
from ctatlas.inference.lungs import AIR_HU, Lungs, both_lungs, lung_tissue
from ctatlas.inference.midline import midline_of
from ctatlas.inference.skin import SOLID_HU, body_inside_skin
from ctatlas.inference.torso import why_not_torso
from ctatlas.volume import not_hounsfield

if TYPE_CHECKING:
    from ctatlas.volume import Volume

LUMEN_HU = -500.0  # half-way between air and the wall of the windpipe


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """What HU gives, on the scan's grid.

    Attributes
    ----------
    body, lung_left, lung_right, trachea : (i, j, k) bool
        No two but the body share a voxel; sides are the patient's, in world space.
    why_nothing : str
        Empty when a torso was found; else a few words that say what the scan shows instead, and all masks are empty.
    """

    body: np.ndarray
    lung_left: np.ndarray
    lung_right: np.ndarray
    trachea: np.ndarray
    why_nothing: str = ""

    def masks(self) -> dict[str, np.ndarray]:
        """Return the masks by the name of their structure."""
        return {name: getattr(self, name) for name in ("body", "lung_left", "lung_right", "trachea")}


def find_calibrated(volume: Volume) -> Calibrated:
    """Find body, lungs and windpipe in one pass.

    Parameters
    ----------
    volume : Volume
        In any orientation. Its head must point along +z of the world (which DICOM and NIfTI promise), not of the array.

    Returns
    -------
    Calibrated
        With empty masks where the scan shows no torso: air or noise alone, a water phantom, a head, values that are no
        HU (an MR). Lungs are empty where the scan starts below them.
    """
    coarse = coarse_copy(volume)
    spacing_mm = coarse.grid.spacing_mm
    body = body_inside_skin(coarse.hu, spacing_mm)
    tissue = lung_tissue(coarse.hu, body, spacing_mm)
    if why := why_not_torso(coarse.hu, body, tissue, spacing_mm):
        nothing = np.zeros(volume.grid.shape, dtype=bool, order="F")
        doubt = not_hounsfield(volume)
        return Calibrated(nothing, nothing, nothing, nothing, f"{why} ({doubt})" if doubt else why)
    midline = midline_of(coarse.hu, body, spacing_mm)
    lungs = both_lungs(coarse.hu, body, tissue, midline=midline, spacing_mm=spacing_mm)
    left, right, trachea = _refined_lungs(volume, coarse, lungs, air=tissue | lungs.airway, body=body)
    return Calibrated(_refined_body(volume, coarse, body, cavities=tissue), left, right, trachea)


def find_body(volume: Volume) -> np.ndarray:
    """Find what is inside the skin, (i, j, k) bool; empty when the scan shows no torso (see `find_calibrated`)."""
    return find_calibrated(volume).body


def find_lungs(volume: Volume) -> dict[str, np.ndarray]:
    """Find `lung_left`, `lung_right` and `trachea`, (i, j, k) bool each (see `find_calibrated`)."""
    masks = find_calibrated(volume).masks()
    del masks["body"]
    return masks


def _refined_body(volume: Volume, coarse: Coarse, body: np.ndarray, *, cavities: np.ndarray) -> np.ndarray:
    """Bring the body to the scan's grid; one block to either side of the skin the scan's HU decides.

    A solid block that is not body was taken away on purpose (table, clothes) and stays out; lung at the edge of the
    field of view is body.
    """
    inside = ndimage.binary_erosion(body, border_value=1) | cavities
    near = body | (ndimage.binary_dilation(body) & (coarse.hu <= SOLID_HU))
    level = coarse.in_scan_order(np.where(inside, np.uint8(2), near.astype(np.uint8)))
    fine = np.zeros(volume.grid.shape, dtype=bool, order="F")
    for box in coarse.slabs(level > 0):
        here = coarse.enlarged(level, box)
        fine[box] = (here == 2) | ((here == 1) & (volume.array[box] > SOLID_HU))
    return fine


def _refined_lungs(
    volume: Volume, coarse: Coarse, lungs: Lungs, *, air: np.ndarray, body: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Bring left lung, right lung and airway to the scan's grid; along their borders the scan's HU decides."""
    owner = np.zeros(coarse.hu.shape, dtype=np.uint8)
    for value, part in ((1, lungs.left), (2, lungs.right), (3, lungs.airway)):
        owner[ndimage.binary_dilation(part) & body & (owner == 0)] = value
    sure = np.zeros(coarse.hu.shape, dtype=bool)
    for value, part in ((1, lungs.left), (2, lungs.right), (3, lungs.airway)):
        owner[part] = value
        # What closing added (vessels) is no air, and stays as it is.
        sure |= part & (ndimage.binary_erosion(part, border_value=1) | ~air)
    owner, sure = coarse.in_scan_order(owner), coarse.in_scan_order(sure)
    found = tuple(np.zeros(volume.grid.shape, dtype=bool, order="F") for _ in range(3))
    for box in coarse.slabs(owner > 0):
        whose, known, hu = coarse.enlarged(owner, box), coarse.enlarged(sure, box), volume.array[box]
        inside = known | (hu < np.where(whose == 3, LUMEN_HU, AIR_HU))
        for value, mask in enumerate(found, start=1):
            mask[box] = inside & (whose == value)
    return found
