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
from ctatlas.volume import Grid

_REASONS = {
    Cause.DISAGREEMENT: "members disagree",
    Cause.ENTROPY: "members are unsure",
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
    The score is w / (w + v), with w the volume that is expected to be wrong and v that of the mask: near 0 it is about
    twice the Dice that a correction would gain, and it is 1 for a structure that nobody found.
    """
    heat, voxels = _kept(doubt, grid)
    wrong_ml = float(voxels.risk.sum()) * grid.voxel_ml
    missing = [prior for prior in priors if prior.box is None and prior.severity in limits().prior_risk]
    missed_ml = (structures()[structure].at_least_ml or 1.0) if missing else 0.0
    scale = 1 / max(mask_ml + wrong_ml + missed_ml, 1e-9)
    spots = [_absence(structure, missing[0], missed_ml, missed_ml * scale, grid)] if missing else []
    rules = tuple(dict.fromkeys(prior.rule for prior in priors))
    spots += _spots(structure, voxels, scale, grid, rules)
    record = AttentionRecord(
        ml=len(voxels.at) * grid.voxel_ml,
        score=min(1.0, (wrong_ml + missed_ml) * scale),
        entropy_ml=_ml(voxels, Cause.ENTROPY, grid),
        disagreement_ml=_ml(voxels, Cause.DISAGREEMENT, grid),
        overlap_ml=_ml(voxels, Cause.OVERLAP, grid),
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


def _spots(structure: str, voxels: _Voxels, scale: float, grid: Grid, rules: tuple[str, ...]) -> list[HotSpot]:
    if not len(voxels.at):
        return []
    block = np.maximum(1, limits().hot_spot_at_most_mm / np.array(grid.spacing_mm)).astype(int)
    keys = np.column_stack([voxels.piece.astype(np.int64), _blocks(voxels, block)])
    _, group = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    spots = []
    for part in np.split(order, starts[1:]):
        wrong_ml = float(voxels.risk[part].sum()) * grid.voxel_ml
        reason = _reason(voxels.cause[part], rules)
        spots.append(_spot(structure, voxels.at[part], (wrong_ml, wrong_ml * scale), reason, grid))
    return spots


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


def _spot(structure: str, places: np.ndarray, gain: tuple[float, float], reason: str, grid: Grid) -> HotSpot:
    """Make a hot spot around places (n, 3); `gain` is the expected wrong mL and the score."""
    wrong_ml, score = gain
    lo, hi = places.min(axis=0), places.max(axis=0) + 1
    extent_mm = float((hi - lo)[2] * grid.spacing_mm[2])
    x, y, z = (round(each, 2) for each in grid.world((lo + hi - 1) / 2).tolist())
    return HotSpot(
        structure=structure,
        lo=tuple(lo.tolist()),
        hi=tuple(hi.tolist()),
        center_mm=(x, y, z),
        ml=len(places) * grid.voxel_ml,
        score=score,
        reason=reason,
        minutes=minutes().of_spot(extent_mm, wrong_ml),
    )


def _absence(structure: str, prior: Prior, missed_ml: float, score: float, grid: Grid) -> HotSpot:
    """Make a hot spot of a structure that ought to be somewhere."""
    corners = np.array([(0, 0, 0), np.array(grid.shape) - 1])
    reason = f"rule {prior.rule}: not found although it must be in view"
    spot = _spot(structure, corners, (missed_ml, score), reason, grid)
    return spot.model_copy(update={"ml": missed_ml, "minutes": minutes().draw_structure})


def _reason(causes: np.ndarray, rules: tuple[str, ...]) -> str:
    told = [text for cause, text in _REASONS.items() if np.mean(causes & cause > 0) >= _WORTH_TELLING]
    if np.mean(causes & Cause.PRIOR > 0) >= _WORTH_TELLING:
        told += [f"rule {rule}" for rule in rules]
    return "; ".join(told) or "several small reasons"


def _ml(voxels: _Voxels, cause: Cause, grid: Grid) -> float:
    return int(np.count_nonzero(voxels.cause & cause)) * grid.voxel_ml
