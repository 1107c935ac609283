"""Gas in stomach and bowel: it stands in front of what is liquid, with a level, in someone who lies on the back."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ctatlas.synthesis.deformation import COARSE_MM, coarse_shape, refined
from ctatlas.synthesis.tables import tissue_id

# What gas stands over, and in what share of people there is any. Source: estimates, as for drawn people.
GAS = (
    ("stomach_content", "stomach_gas", 0.7),
    ("small_bowel_content", "small_bowel_gas", 0.4),
    ("colon_content", "colon_gas", 0.8),
    ("rectum_content", "rectum_gas", 0.5),
    ("unknown_bowel_content", "unknown_bowel_gas", 0.8),
)
FILLED = (-0.3, 0.5)  # mean share of a loop's depth that is gas, drawn per organ
VARYING, PITCH_MM = 0.45, 60.0  # s.d. of that share among loops, and how far alike loops reach
IN_PLANE = np.zeros((3, 3, 3), dtype=bool)  # neighbours of the same slice
IN_PLANE[1, :, 1] = IN_PLANE[:, 1, 1] = True


def set_gas_levels(labels: np.ndarray, spacing_mm: float, rng: np.random.Generator) -> None:
    """Redistribute gas in hollow organs, in place.

    Parameters
    ----------
    labels : (left, back, head) uint8
        Tissue ids; gas that is there counts as content.
    spacing_mm : float
    rng : np.random.Generator
    """
    for content, gas, share in GAS:
        lumen = (labels == tissue_id(content)) | (labels == tissue_id(gas))
        if not lumen.any():
            continue
        labels[lumen] = tissue_id(content)
        if rng.random() < share:
            labels[_in_front(lumen, spacing_mm, rng)] = tissue_id(gas)


def _in_front(lumen: np.ndarray, spacing_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Return the front part of the section of every loop in every slice; loops near each other are filled alike."""
    box = ndimage.find_objects(lumen.astype(np.uint8))[0]
    sections, n = ndimage.label(lumen[box], IN_PLANE)
    numbers = np.arange(1, n + 1)
    back = np.broadcast_to(np.arange(sections.shape[1])[None, :, None], sections.shape)
    first, last = (f(back, sections, numbers) for f in (ndimage.minimum, ndimage.maximum))
    filled = rng.uniform(*FILLED) + VARYING * _field(rng, lumen.shape, spacing_mm)[box]
    share = np.clip(ndimage.mean(filled, sections, numbers), 0, 0.95)
    levels = np.concatenate([[-1.0], np.asarray(first) + share * (np.asarray(last) - np.asarray(first) + 1)])
    gas = np.zeros(lumen.shape, dtype=bool)
    gas[box] = (sections > 0) & (back < levels[sections])
    return gas


def _field(rng: np.random.Generator, shape: tuple[int, ...], spacing_mm: float) -> np.ndarray:
    """Return a smooth random field of unit variance."""
    noise = ndimage.gaussian_filter(rng.normal(size=coarse_shape(shape, spacing_mm)), PITCH_MM / 2 / COARSE_MM)
    field: np.ndarray = refined((noise / noise.std())[None], shape, spacing_mm)[0]
    return field
