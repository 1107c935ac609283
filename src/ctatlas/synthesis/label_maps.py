"""A patient's label map and a drawn person → one complete anatomy: the map's organs in the person's body.

Arrays here are indexed (left, back, head): index 0 grows to the patient's left, 1 to the back, 2 to the head.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from scipy import ndimage

from ctatlas.synthesis.paint import close_lungs, paint
from ctatlas.synthesis.phantom import Phantom
from ctatlas.synthesis.tables import tissue_id, tissues

SCALE_LIMITS = (0.85, 1.2)
RIDGE_MM2 = 30.0**2


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Organs of one patient on an isotropic grid, as tissues; 0 where nothing is known."""

    tissues: np.ndarray
    known: frozenset[str]  # structures the map outlines wherever they lie in its field of view
    body: np.ndarray
    spacing_mm: float


@cache
def _rules() -> Mapping[str, tuple[str, str, float]]:
    text = files("ctatlas.synthesis").joinpath("data", "label_map_tissues.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {row["structure"]: (row["tissue"], row["inner"], float(row["wall_mm"] or 0)) for row in rows}


def _rule(structure: str) -> tuple[str, str, float]:
    family = structure.split("_", maxsplit=1)[0] + "_*"
    return _rules().get(structure) or _rules()[family]


def as_tissues(labels: np.ndarray, names: Mapping[int, str], spacing_mm: float) -> tuple[np.ndarray, frozenset[str]]:
    """Translate a map of structures into tissues, giving walls and cores to hollow organs and bones.

    Parameters
    ----------
    labels : (i, j, k) integer
        Structure ids.
    names : mapping
        Id to structure name.
    spacing_mm : float
        Of the isotropic grid.

    Returns
    -------
    tissues : (i, j, k) uint8
        0 where the map has nothing.
    structures : frozenset
        What the map contains, by the structure names of the tissues.
    """
    out = np.zeros(labels.shape, dtype=np.uint8)
    boxes = ndimage.find_objects(labels.astype(np.int32))
    for label, box in enumerate(boxes, start=1):
        if box is None or not _rule(names[label])[0]:
            continue
        tissue, inner, wall = _rule(names[label])
        mask = labels[box] == label
        out[box][mask] = tissue_id(tissue)
        if inner:
            padded = np.pad(mask, 1)
            depth = ndimage.distance_transform_edt(padded, sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
            out[box][mask & (depth > wall)] = tissue_id(inner)
    _split_heart_blood(out)
    present = np.unique(out)
    by_id = {tissue.id: tissue.structure for tissue in tissues().values()}
    return out, frozenset(by_id[int(value)] for value in present if value) - {""}


def _split_heart_blood(labels: np.ndarray) -> None:
    """Give the right third of the heart's blood to the right heart."""
    blood = labels == tissue_id("heart_left_blood")
    if blood.any():
        x, y, _ = np.nonzero(blood)
        right_front = (x - x.mean()) + 0.8 * (y - y.mean()) < 0
        where = tuple(axis[right_front] for axis in np.nonzero(blood))
        labels[where] = tissue_id("heart_right_blood")


def centroids(labels: np.ndarray, spacing_mm: float) -> dict[str, np.ndarray]:
    """Return the centre of every structure in mm of the array's own axes; only structures larger than 2 mL."""
    found: dict[str, np.ndarray] = {}
    by_structure: dict[str, list[int]] = {}
    for tissue in tissues().values():
        if tissue.structure and tissue.structure != "unknown":
            by_structure.setdefault(tissue.structure, []).append(tissue.id)
    for structure, ids in by_structure.items():
        voxels = np.argwhere(np.isin(labels, ids))
        if len(voxels) * spacing_mm**3 > 2000:
            found[structure] = voxels.mean(axis=0) * spacing_mm
    return found


def fit(person: Mapping[str, np.ndarray], patient: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Fit scale and shift per axis (ridge towards scale 1) that carry a person's organ centres onto a patient's."""
    shared = sorted(person.keys() & patient.keys())
    a = np.array([person[name] for name in shared])
    b = np.array([patient[name] for name in shared])
    da, db = a - a.mean(axis=0), b - b.mean(axis=0)
    n = len(shared)
    scale = ((da * db).sum(axis=0) + n * RIDGE_MM2) / ((da * da).sum(axis=0) + n * RIDGE_MM2)
    scale = np.clip(scale, *SCALE_LIMITS)
    return scale, b.mean(axis=0) - scale * a.mean(axis=0)


def complete(label_map: LabelMap, phantom: Phantom, rng: np.random.Generator) -> np.ndarray:
    """Fill what a patient's label map leaves open with a drawn person's organs.

    The person is scaled and shifted onto the patient's organs; its own copies of organs that the map outlines become
    fat; skin, fat and muscle follow the patient's outline; the map's organs go on top.

    Returns
    -------
    (left, back, head) uint8
        Tissues on the map's grid.
    """
    spacing = label_map.spacing_mm
    axes = [np.arange(-260, 261, 6.0), np.arange(-190, 191, 6.0), np.arange(-420, 381, 6.0)]
    person = {
        name: centre + [axis[0] for axis in axes] for name, centre in centroids(paint(phantom, *axes), 6.0).items()
    }
    scale, shift = fit(person, centroids(label_map.tissues, spacing))
    positions = [
        (np.arange(n) * spacing - t) / s for n, t, s in zip(label_map.tissues.shape, shift, scale, strict=True)
    ]
    painted = paint(phantom, positions[0], positions[1], positions[2])
    out = _in_outline(painted, label_map.body, spacing, float(rng.uniform(6, 24)))
    out[np.isin(out, _tissues_of(label_map.known))] = tissue_id("visceral_fat")
    placed = label_map.tissues > 0
    out[placed] = label_map.tissues[placed]
    close_lungs(out, spacing)
    return out


def _tissues_of(structures: frozenset[str]) -> list[int]:
    return [tissue.id for tissue in tissues().values() if tissue.structure in structures]


def _in_outline(painted: np.ndarray, body: np.ndarray, spacing: float, fat_mm: float) -> np.ndarray:
    """Dress the painted inside in skin, fat and muscle that follow another body's outline."""
    depth = ndimage.distance_transform_edt(np.pad(body, ((1, 1), (1, 1), (0, 0))), sampling=(spacing, spacing, 100.0))[
        1:-1, 1:-1
    ]
    outside = np.isin(painted, [tissue_id(n) for n in ("air", "skin", "subcutaneous_fat", "table_foam", "table_shell")])
    out = np.where(
        outside, np.where(depth < fat_mm + 25, tissue_id("muscle"), tissue_id("visceral_fat")), painted
    ).astype(np.uint8)
    out[depth < fat_mm] = tissue_id("subcutaneous_fat")
    out[depth < 2.5] = tissue_id("skin")
    out[~body] = tissue_id("air")
    return out


def hull_of_slices(mask: np.ndarray, margin_mm: float, spacing_mm: float) -> np.ndarray:
    """Return a body outline around organs: every slice closed, filled and widened by `margin_mm`."""
    radius = round(60 / spacing_mm)
    pad = radius + round(margin_mm / spacing_mm)
    body = np.zeros_like(mask)
    for k in range(mask.shape[2]):
        wide = np.pad(mask[:, :, k], pad)
        if not wide.any():
            continue
        closed = ndimage.distance_transform_edt(~wide) <= radius
        closed = ndimage.distance_transform_edt(closed) > radius - margin_mm / spacing_mm
        body[:, :, k] = ndimage.binary_fill_holes(closed | wide)[pad:-pad, pad:-pad]
    return body
