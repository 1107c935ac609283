"""Label maps of structures → tissues: walls and cores for hollow organs and bones, merged classes split by place."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from scipy import ndimage

from ctatlas.synthesis.tables import tissue_id, tissues


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


@dataclass(frozen=True, slots=True)
class Split:
    """A box in which a merged structure of a label map is one of its parts; mm from the first voxel along each axis."""

    structure: str
    part: str
    low_mm: tuple[float, float, float]
    high_mm: tuple[float, float, float]


def split_by_place(
    labels: np.ndarray, names: Mapping[int, str], splits: Sequence[Split], spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """Return a label map whose merged structures are named by their place; the first box that holds a voxel decides."""
    ids = {name: number for number, name in names.items()}
    out = labels.copy()
    for split in splits:
        bounds = zip(split.low_mm, split.high_mm, spacing_mm, strict=True)
        box = tuple(
            slice(math.ceil(low / s), None if high == math.inf else math.ceil(high / s)) for low, high, s in bounds
        )
        here = out[box]
        here[here == ids[split.structure]] = ids[split.part]
    return out


def _split_heart_blood(labels: np.ndarray) -> None:
    """Give the right third of the heart's blood to the right heart."""
    blood = labels == tissue_id("heart_left_blood")
    if blood.any():
        x, y, _ = np.nonzero(blood)
        right_front = (x - x.mean()) + 0.8 * (y - y.mean()) < 0
        where = tuple(axis[right_front] for axis in np.nonzero(blood))
        labels[where] = tissue_id("heart_right_blood")
