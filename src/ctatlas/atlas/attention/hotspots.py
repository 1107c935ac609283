"""From a structure's maps to the boxes that a person looks at, with what is gained there and how long it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cc3d
import numpy as np

from ctatlas.anatomy import structures
from ctatlas.atlas.attention.boxed import Boxed
from ctatlas.atlas.attention.limits import limits, minutes
from ctatlas.atlas.attention.maps import Cause, Doubt, Prior
from ctatlas.atlas.records import AttentionRecord, HotSpot
from ctatlas.kernels.boxes import Box
from ctatlas.volume import Grid

_REASONS = {
    Cause.DISAGREEMENT: "members disagree",
    Cause.ENTROPY: "members are unsure",
    Cause.CONTRADICTION: "the mask is not what members are sure of",
    Cause.OVERLAP: "overlaps a structure that it may not",
}
_WORTH_TELLING = 0.2  # share of a hot spot's voxels


@dataclass(frozen=True, slots=True, eq=False)
class StructureAttention:
    """Where to look at one structure.

    Attributes
    ----------
    heat : Boxed
        uint8, what stays of the map when small pieces are gone.
    record : AttentionRecord
    hotspots : tuple of HotSpot
        The most expected gain a minute first.
    """

    heat: Boxed
    record: AttentionRecord
    hotspots: tuple[HotSpot, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Voxels:
    """The voxels that need eyes: where (n, 3) in the scan, which map, the chance to be wrong, which piece."""

    at: np.ndarray
    cause: np.ndarray
    risk: np.ndarray
    piece: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Voxels that are looked at together: their numbers, their box, mL, and what is expected to be wrong and gained."""

    voxels: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    ml: float
    wrong_ml: float
    score: float
    extent_mm: float

    @classmethod
    def around(cls, part: np.ndarray, voxels: _Voxels, scale: float, grid: Grid) -> _Place:
        at = voxels.at[part]
        lo, hi = at.min(axis=0), at.max(axis=0) + 1
        wrong_ml = float(voxels.risk[part].sum()) * grid.voxel_ml
        extent_mm = float((hi - lo)[2] * grid.spacing_mm[2])
        return cls(part, lo, hi, len(part) * grid.voxel_ml, wrong_ml, wrong_ml * scale, extent_mm)

    @property
    def minutes(self) -> float:
        """What it takes to find it, look through it and paint."""
        return minutes().of_spot(self.extent_mm, self.wrong_ml, self.score)

    @property
    def gain_a_minute(self) -> float:
        return self.score / self.minutes

    @property
    def is_worth_it(self) -> bool:
        """Painting is not counted: without it nothing is gained anywhere."""
        look = float(minutes().of_look(np.float64(self.extent_mm)))
        return self.score >= look * limits().hot_spot_at_least_score_a_minute

    def meets(self, box: Box) -> bool:
        return bool((np.maximum(self.lo, box.lo) < np.minimum(self.hi, box.hi)).all())


def attention_of(
    structure: str, doubt: Doubt, mask_ml: float, grid: Grid, priors: Sequence[Prior] = ()
) -> StructureAttention:
    """Keep the pieces that matter, and cut them into hot spots.

    Parameters
    ----------
    structure : str
    doubt : Doubt
    mask_ml : float
        Volume of the mask that would go into the atlas: gain is counted against it, so that small organs count too.
    grid : Grid
        Of the scan.
    priors : sequence of Prior
        As given to `doubt`; one without a box becomes a hot spot of the whole scan.

    Notes
    -----
    Hot spots are the pieces and their neighbours, together where that is quicker (`together`). Those with too little to
    gain, or one too many for their structure, are summed up as one more if that is worth it; else they are not listed.
    The score is w / (w + v), with w the volume that is expected to be wrong and v that of the mask: near 0 it is about
    twice the Dice that a correction would gain, and it is 1 for a structure that nobody found.
    """
    heat, voxels = _kept(doubt, grid)
    wrong_ml = float(voxels.risk.sum()) * grid.voxel_ml
    missing = [prior for prior in priors if prior.box is None and prior.severity in limits().prior_risk]
    marking = [prior for prior in priors if prior.marks]
    missed_ml = (structures()[structure].at_least_ml or 1.0) if missing else 0.0
    if len(voxels.at) * grid.voxel_ml >= missed_ml:  # members say where it is: nobody needs to search the scan
        missing, missed_ml = [], 0.0
    scale = 1 / max(mask_ml + wrong_ml + missed_ml, 1e-9)
    spots = [_absence(structure, missing[0], missed_ml, missed_ml * scale, grid)] if missing else []
    spots += _spots(structure, voxels, scale, grid, marking)
    record = AttentionRecord(
        ml=len(voxels.at) * grid.voxel_ml,
        score=min(1.0, (wrong_ml + missed_ml) * scale),
        entropy_ml=_ml(voxels, Cause.ENTROPY, grid),
        disagreement_ml=_ml(voxels, Cause.DISAGREEMENT, grid),
        overlap_ml=_ml(voxels, Cause.OVERLAP, grid),
        contradiction_ml=_ml(voxels, Cause.CONTRADICTION, grid),
        prior_ml=_ml(voxels, Cause.PRIOR, grid),
    )
    return StructureAttention(heat, record, tuple(sorted(spots, key=by_gain)))


def by_gain(spot: HotSpot) -> tuple[float, str, tuple[int, ...]]:
    """Sort hot spots by expected gain a minute, the highest first; ties by name and place."""
    return -spot.score / spot.minutes, spot.structure, spot.lo


def _kept(doubt: Doubt, grid: Grid) -> tuple[Boxed, _Voxels]:
    """Drop pieces in which little is expected to be wrong."""
    labels = cc3d.connected_components(doubt.causes.values > 0, connectivity=26, out_dtype=np.uint32)
    flat = np.flatnonzero(labels.ravel(order="F"))
    at = np.unravel_index(flat, labels.shape, order="F")
    piece, risk = labels[at], doubt.risk.values[at].astype(np.float64) / 255
    wrong_ml = np.bincount(piece, weights=risk) * grid.voxel_ml
    stays = wrong_ml[piece] >= limits().piece_at_least_wrong_ml if len(piece) else np.zeros(0, np.bool_)
    at = tuple(axis[stays] for axis in at)
    heat = Boxed.zeros(doubt.heat.shape, doubt.heat.box, np.uint8)
    heat.values[at] = doubt.heat.values[at]
    places = np.stack(at, axis=1) + doubt.heat.box.lo
    return heat.tight(), _Voxels(places, doubt.causes.values[at], risk[stays], piece[stays])


def _spots(structure: str, voxels: _Voxels, scale: float, grid: Grid, priors: Sequence[Prior]) -> list[HotSpot]:
    """List what is worth a look, and sum up the rest as one more hot spot if that is worth it."""
    places = sorted(_places(voxels, scale, grid), key=lambda place: -place.gain_a_minute)
    n = min(sum(place.is_worth_it for place in places), limits().hot_spots_of_a_structure)
    spots = [_spot(structure, place, _reason(voxels.cause[place.voxels], place, priors), grid) for place in places[:n]]
    if rest := places[n:]:
        whole = _Place.around(np.concatenate([place.voxels for place in rest]), voxels, scale, grid)
        if whole.is_worth_it:
            reason = f"{len(rest)} more places" if spots else f"{len(rest)} places with little in each"
            spots.append(_spot(structure, whole, reason, grid))
    return spots


def _places(voxels: _Voxels, scale: float, grid: Grid) -> list[_Place]:
    """Cut large pieces into blocks, and take near ones together."""
    if not len(voxels.at):
        return []
    block = np.maximum(1, limits().hot_spot_at_most_mm / np.array(grid.spacing_mm)).astype(int)
    keys = np.column_stack([voxels.piece.astype(np.int64), _blocks(voxels, block)])
    _, group = np.unique(keys, axis=0, return_inverse=True)
    parts = [_Place.around(part, voxels, scale, grid) for part in _split(group)]
    taken = together(np.array([part.lo for part in parts]), np.array([part.hi for part in parts]),
                     np.array([part.wrong_ml for part in parts]), grid.spacing_mm)  # fmt: skip
    return [_Place.around(part, voxels, scale, grid) for part in _split(taken[group])]


def together(lo: np.ndarray, hi: np.ndarray, wrong_ml: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Take boxes together that fit a screen and are looked at no slower than one by one.

    Parameters
    ----------
    lo, hi : (n, 3) int
        In voxels.
    wrong_ml : (n,) float
        Those with most to gain take up their neighbours first, each the one that makes it grow least.
    spacing_mm : (3,) float

    Returns
    -------
    (n,) int
        Which hot spot each becomes part of, numbered from 0.
    """
    spacing = np.asarray(spacing_mm)
    low, high, of_box = np.empty((0, 3), int), np.empty((0, 3), int), np.empty(len(lo), int)
    for box in np.argsort(-wrong_ml, kind="stable").tolist():
        joint_low, joint_high = np.minimum(low, lo[box]), np.maximum(high, hi[box])
        extent_mm = (joint_high - joint_low) * spacing
        apart = _look(high - low, spacing) + _look(hi[box] - lo[box], spacing)
        fits = (extent_mm <= limits().hot_spot_at_most_mm).all(axis=1) & (minutes().of_look(extent_mm[:, 2]) <= apart)
        if fits.any():
            grows = np.where(fits, extent_mm.prod(axis=1) - ((high - low) * spacing).prod(axis=1), np.inf)
            taker = int(grows.argmin())
            low[taker], high[taker] = joint_low[taker], joint_high[taker]
        else:
            taker = len(low)
            low, high = np.vstack([low, lo[box]]), np.vstack([high, hi[box]])
        of_box[box] = taker
    return of_box


def _look(extent: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    return minutes().of_look(extent[..., 2] * spacing[2])


def _split(group: np.ndarray) -> list[np.ndarray]:
    """Return the numbers of the members of each group."""
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def _blocks(voxels: _Voxels, block: np.ndarray) -> np.ndarray:
    """Return which block of its piece every voxel lies in, (n, 3): blocks of equal size, as few as the limit allows."""
    order = np.argsort(voxels.piece, kind="stable")
    _, starts, numbers = np.unique(voxels.piece[order], return_index=True, return_inverse=True)
    lo = np.minimum.reduceat(voxels.at[order], starts)[numbers]
    extent = np.maximum.reduceat(voxels.at[order], starts)[numbers] - lo + 1
    size = -(-extent // -(-extent // block))
    found = np.empty_like(voxels.at)
    found[order] = (voxels.at[order] - lo) // size
    return found


def _spot(structure: str, place: _Place, reason: str, grid: Grid) -> HotSpot:
    x, y, z = (round(each, 2) for each in grid.world((place.lo + place.hi - 1) / 2).tolist())
    return HotSpot(
        structure=structure,
        lo=tuple(place.lo.tolist()),
        hi=tuple(place.hi.tolist()),
        center_mm=(x, y, z),
        ml=place.ml,
        score=place.score,
        reason=reason,
        minutes=place.minutes,
    )


def _absence(structure: str, prior: Prior, missed_ml: float, score: float, grid: Grid) -> HotSpot:
    """Make a hot spot of a structure that ought to be somewhere."""
    reason = f"rule {prior.rule}: not found although it must be in view"
    whole = _Place(np.zeros(0, int), np.zeros(3, int), np.array(grid.shape), missed_ml, missed_ml, score, 0.0)
    return _spot(structure, whole, reason, grid).model_copy(
        update={"minutes": minutes().draw_structure, "absent": True}
    )


def _reason(causes: np.ndarray, place: _Place, priors: Sequence[Prior]) -> str:
    told = [text for cause, text in _REASONS.items() if np.mean(causes & cause > 0) >= _WORTH_TELLING]
    if np.mean(causes & Cause.PRIOR > 0) >= _WORTH_TELLING:
        here = [prior.rule for prior in priors if prior.box is not None and place.meets(prior.box)]
        told += [f"rule {rule}" for rule in dict.fromkeys(here)]
    return "; ".join(told) or "several small reasons"


def _ml(voxels: _Voxels, cause: Cause, grid: Grid) -> float:
    return int(np.count_nonzero(voxels.cause & cause)) * grid.voxel_ml
