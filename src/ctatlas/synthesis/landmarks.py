"""Where organs lie, and how one person's places are carried onto another's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from ctatlas.synthesis.cases import structure_ids

SCALE_LIMITS = (0.85, 1.2)
RIDGE_MM2 = 30.0**2
LEAST_MM3 = 2000
# Of what is longer than a scan, the end that a scan may show.
HEAD_MM = 45.0
HEADED = ("femur_left", "femur_right")
NEAR_MM = 70.0  # how far a landmark's own shift is felt
AT_MOST_MM = 30.0

Centres = Mapping[str, np.ndarray]


def landmarks(labels: np.ndarray, spacing_mm: float) -> dict[str, np.ndarray]:
    """Return the centre of every structure in mm along the array's own axes.

    Left out are structures smaller than 2 mL and those that the array's first or last slice cuts, whose centre says
    more about the cut than about the person; of a femur the upper end is taken.
    """
    lookup, names = structure_ids()
    structures = lookup[labels]
    found: dict[str, np.ndarray] = {}
    for number, box in enumerate(ndimage.find_objects(structures), start=1):
        if box is None:
            continue
        headed = names[number] in HEADED
        low, high = box[2].start, box[2].stop
        if high == labels.shape[2] or (low == 0 and not headed):
            continue
        if headed:
            low = max(low, high - round(HEAD_MM / spacing_mm))
        voxels = np.argwhere(structures[box[0], box[1], low:high] == number)
        if len(voxels) * spacing_mm**3 > LEAST_MM3:
            found[names[number]] = np.add(voxels.mean(axis=0), (box[0].start, box[1].start, low)) * spacing_mm
    return found


def fit(person: Centres, patient: Centres) -> tuple[np.ndarray, np.ndarray]:
    """Fit scale and shift per axis (ridge towards scale 1) that carry a person's organ centres onto a patient's."""
    shared = sorted(person.keys() & patient.keys())
    if not shared:
        return np.ones(3), np.zeros(3)
    a = np.array([person[name] for name in shared])
    b = np.array([patient[name] for name in shared])
    da, db = a - a.mean(axis=0), b - b.mean(axis=0)
    n = len(shared)
    scale = ((da * db).sum(axis=0) + n * RIDGE_MM2) / ((da * da).sum(axis=0) + n * RIDGE_MM2)
    scale = np.clip(scale, *SCALE_LIMITS)
    return scale, b.mean(axis=0) - scale * a.mean(axis=0)


def pull(person: Centres, patient: Centres, scale: np.ndarray, shift: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return what is still to be added to a person's coordinates near each landmark after the fit.

    Parameters
    ----------
    person, patient : mapping
        Organ centres in mm.
    scale, shift : (3,) float
        Of `fit`.
    points : (3, i, j, k) float32
        Places in the patient, mm.

    Returns
    -------
    (3, i, j, k) float32
        In mm; the organs that both have come to lie on each other, what lies between follows them.
    """
    total, weight = np.zeros_like(points), np.full(points.shape[1:], 0.3, dtype=np.float32)
    for name in sorted(person.keys() & patient.keys()):
        missing = np.clip(person[name] - (patient[name] - shift) / scale, -AT_MOST_MM, AT_MOST_MM)
        away = points - patient[name].astype(np.float32)[:, None, None, None]
        near = np.exp(-(away**2).sum(axis=0) / np.float32(2 * NEAR_MM**2 / 4))
        weight += near
        total += near * missing.astype(np.float32)[:, None, None, None]
    pulled: np.ndarray = total / weight
    return pulled
