"""Patients' label maps and a drawn person → one complete anatomy: the maps' organs in one body.

Arrays here are indexed (left, back, head): index 0 grows to the patient's left, 1 to the back, 2 to the head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ctatlas.synthesis.deformation import COARSE_MM, Deformation, coarse_shape
from ctatlas.synthesis.landmarks import fit, landmarks, pull
from ctatlas.synthesis.outlines import hull_of_slices, in_outline
from ctatlas.synthesis.paint import close_lungs, other_sides, paint
from ctatlas.synthesis.phantom import Phantom
from ctatlas.synthesis.tables import tissue_id, tissues

PERSON_MM = 6.0
UNDER_SKIN_MM = (6.0, 24.0)
CHEST = frozenset(("lung_left", "lung_right", "ribs"))  # of the person, where the patient's skin is a guess
MARGIN_MM = 12.0  # from organs that lie outside of another patient's outline to the skin
# What has the same form on both sides, so that its mirror image is a body as usual.
TWO_SIDED = ("vertebrae", "sacrum", "hip", "femur", "ribs", "sternum", "costal", "gluteus", "autochthon", "iliopsoas")


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Organs of one patient on an isotropic grid, as tissues; 0 where nothing is known."""

    tissues: np.ndarray
    known: frozenset[str]  # structures the map outlines wherever they lie in its field of view
    body: np.ndarray
    spacing_mm: float
    skin_seen: bool = True  # else the body is a guess around the organs


def mirrored(label_map: LabelMap, *, organs: bool = False) -> LabelMap:
    """Return the mirror image, each structure named by the side on which it comes to lie.

    Parameters
    ----------
    label_map : LabelMap
    organs : bool
        Whether liver, spleen, stomach and all else change sides, too: a person with situs inversus. Otherwise only the
        frame is mirrored (outline, bones and muscles, which are alike on both sides) and organs stay where they were.
    """
    frame = _tissues_of(frozenset(s for s in _structures() if s.startswith(TWO_SIDED))) | {tissue_id("muscle")}
    own = label_map.tissues
    flip = _flipped_about(_among(own, frame))
    turned, body = other_sides()[flip(own)], flip(label_map.body)
    if not organs:
        turned = np.where(_among(turned, frame), turned, 0).astype(np.uint8)
        stays = (own > 0) & ~_among(own, frame)
        turned[stays] = own[stays]
    return replace(label_map, tissues=turned, body=body | (turned > 0))


def _flipped_about(mask: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return what flips an array left to right about the middle of a mask."""
    across = np.arange(len(mask))
    counts = np.count_nonzero(mask, axis=(1, 2))
    middle = float((across * counts).sum() / max(counts.sum(), 1)) if counts.any() else (len(mask) - 1) / 2
    index = round(2 * middle) - across
    inside = (index >= 0) & (index < len(mask))

    def flip(array: np.ndarray) -> np.ndarray:
        flipped: np.ndarray = array[index.clip(0, len(mask) - 1)] * inside[:, None, None].astype(array.dtype)
        return flipped

    return flip


def complete(maps: Sequence[LabelMap], phantom: Phantom, rng: np.random.Generator) -> np.ndarray:
    """Put patients' organs together and fill what their label maps leave open with a drawn person's.

    The person is carried onto the first patient's organs; so is every further patient. Their own copies of organs
    that a later map outlines vanish; skin, fat and muscle follow the first patient's outline.

    Parameters
    ----------
    maps : sequence of LabelMap
        The first gives the grid and the body; what a later one outlines goes before.
    phantom : Phantom
        Gives all that no map has.
    rng : np.random.Generator
        Draws the thickness of the fat under the skin.

    Returns
    -------
    (left, back, head) uint8
        Tissues on the first map's grid.
    """
    first = maps[0]
    spacing = first.spacing_mm
    painted = _painted(phantom, first)
    layers = [first]
    for label_map in maps[1:]:
        layers.append(_laid(label_map, first, _stacked(painted, layers)))
    body = first.body.copy()
    for layer in layers[1:]:
        body |= layer.body
    if not first.skin_seen:
        body |= hull_of_slices(_among(painted, _tissues_of(CHEST)), MARGIN_MM, spacing)
    whole = _stacked(in_outline(painted, body, spacing, float(rng.uniform(*UNDER_SKIN_MM))), layers)
    whole[~body] = tissue_id("air")
    close_lungs(whole, spacing)
    return whole


def _painted(phantom: Phantom, patient: LabelMap) -> np.ndarray:
    """Paint the person on the patient's grid, organ upon organ."""
    axes = [np.arange(-260, 261, PERSON_MM), np.arange(-190, 191, PERSON_MM), np.arange(-420, 381, PERSON_MM)]
    person = {
        name: centre + [axis[0] for axis in axes]
        for name, centre in landmarks(paint(phantom, *axes), PERSON_MM).items()
    }
    shape, spacing = patient.tissues.shape, patient.spacing_mm
    centres = landmarks(patient.tissues, spacing)
    scale, shift = fit(person, centres)
    x, y, z = ((np.arange(n) * spacing - t) / s for n, t, s in zip(shape, shift, scale, strict=True))
    points = np.indices(coarse_shape(shape, spacing), dtype=np.float32) * np.float32(COARSE_MM)
    pulled = pull(person, centres, scale, shift, points) * scale.astype(np.float32)[:, None, None, None]
    (painted,) = Deformation(pulled, shape, spacing).carried(paint(phantom, x, y, z))
    return painted


def _laid(label_map: LabelMap, onto: LabelMap, whole: np.ndarray) -> LabelMap:
    """Return a map on another one's grid, carried onto the anatomy that lies there."""
    spacing = label_map.spacing_mm
    scale, shift = fit(landmarks(label_map.tissues, spacing), landmarks(whole, onto.spacing_mm))
    index, inside = [], []
    for n, count, s, t in zip(whole.shape, label_map.tissues.shape, scale, shift, strict=True):
        at = np.rint((np.arange(n) * onto.spacing_mm - t) / s / spacing).astype(int)
        index.append(at.clip(0, count - 1))
        inside.append((at >= 0) & (at < count))
    picked = label_map.tissues[np.ix_(*index)] * np.logical_and.outer(np.logical_and.outer(*inside[:2]), inside[2])
    skin = hull_of_slices(picked > 0, MARGIN_MM, onto.spacing_mm)
    return LabelMap(picked.astype(np.uint8), label_map.known, skin, onto.spacing_mm)


def _stacked(painted: np.ndarray, layers: Sequence[LabelMap]) -> np.ndarray:
    """Return an anatomy with each layer's organs in place of those that were there."""
    out = painted.copy()
    muscles = _tissues_of(frozenset(s for s in _structures() if s.startswith(TWO_SIDED)))
    for layer in layers:
        shown = np.flatnonzero((layer.tissues > 0).any(axis=(0, 1)))
        if not shown.size:
            continue
        low, high = int(shown[0]), int(shown[-1]) + 1
        cut = frozenset(
            name
            for name in layer.known
            for end in (low, high - 1)
            if _among(layer.tissues[:, :, end], _tissues_of(frozenset((name,)))).any()
        )
        for names, part in ((layer.known - cut, slice(None)), (cut, slice(low, high))):
            gone = _among(out[:, :, part], _tissues_of(names))
            wall = gone & _among(out[:, :, part], muscles)
            out[:, :, part][gone] = tissue_id("visceral_fat")
            out[:, :, part][wall] = tissue_id("muscle")
        placed = layer.tissues > 0
        out[placed] = layer.tissues[placed]
    return out


def _structures() -> frozenset[str]:
    return frozenset(tissue.structure for tissue in tissues().values())


def _tissues_of(structures: frozenset[str]) -> set[int]:
    return {tissue.id for tissue in tissues().values() if tissue.structure in structures}


def _among(labels: np.ndarray, ids: set[int]) -> np.ndarray:
    lookup = np.zeros(256, dtype=bool)
    lookup[list(ids)] = True
    among: np.ndarray = lookup[labels]
    return among
