"""Where a structure's mask is probably wrong: the default attention.

Five maps speak: entropy of the ensemble's mean, disagreement of its members, overlap with what may not overlap,
places where a rule of anatomy is broken, and those where the mask is not what the members are sure of. Each has a share
of risk, the chance that the voxel is wrong; a map's pieces are kept by the volume that is expected to be wrong in them,
so that neither thickness nor voxel size decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np

from ctatlas.atlas.attention.boxed import Boxed, around
from ctatlas.atlas.attention.ensemble import Ensemble, entropy_of
from ctatlas.atlas.attention.limits import limits
from ctatlas.kernels.boxes import Box, Index
from ctatlas.kernels.brick import dilated
from ctatlas.volume import Grid


class Cause(IntFlag):
    """Which maps speak at a voxel."""

    ENTROPY = 1
    DISAGREEMENT = 2
    OVERLAP = 4
    PRIOR = 8
    CONTRADICTION = 16


@dataclass(frozen=True, slots=True)
class Prior:
    """A rule of anatomy that a structure breaks.

    Attributes
    ----------
    rule : str
    severity : str
        "error", "warning" or "note"; a note marks nothing.
    box : Box or None
        Where; None where nothing is there although it must be.
    at_most_ml : float or None
        How much of it can be wrong at all, where the rule measured a volume.
    """

    rule: str
    severity: str
    box: Box | None
    at_most_ml: float | None = None

    @property
    def marks(self) -> bool:
        """Tell whether voxels are in doubt because of it."""
        return self.box is not None and self.severity in limits().prior_risk

    def risk(self, ml: float) -> float:
        """Return the chance that a voxel is wrong, where so many mL of the structure lie in the box."""
        share = limits().prior_risk[self.severity]
        return share if self.at_most_ml is None else min(share, self.at_most_ml / max(ml, 1e-9))


@dataclass(frozen=True, slots=True, eq=False)
class Doubt:
    """The maps of one structure, in one box.

    Attributes
    ----------
    causes : Boxed
        uint8, flags of `Cause`; 0 where nobody needs to look.
    risk : Boxed
        uint8, 255 times the chance that the voxel is wrong.
    heat : Boxed
        uint8, what an annotator is shown: the largest of the maps, 255 = 1.
    """

    causes: Boxed
    risk: Boxed
    heat: Boxed


def doubt(
    ensemble: Ensemble, mask: Boxed, grid: Grid, overlap: Boxed | None = None, priors: tuple[Prior, ...] = ()
) -> Doubt:
    """Draw the maps of one structure; small pieces are still in them.

    Parameters
    ----------
    ensemble : Ensemble
    mask : Boxed
        bool: what would go into the atlas as it is.
    grid : Grid
        Of the scan.
    overlap : Boxed, optional
        bool, from `overlaps`.
    priors : tuple of Prior
    """
    limit = limits()
    marked = [prior for prior in priors if prior.marks]
    box = around([ensemble.mean.box, mask.box, *(prior.box for prior in marked if prior.box)])
    mean, spread = ensemble.mean.within(box), ensemble.spread.within(box)
    bits = np.rint(255 * entropy_of(np.arange(256))).astype(np.uint8)[mean]
    edge_mm = limit.edge_model_voxels * ensemble.coarsest_mm
    unsure = (bits >= 255 * limit.entropy_at_least) & ~plain_edges(mean, _voxels(edge_mm, grid))
    disagree = spread >= 255 * limit.disagreement_at_least
    causes = unsure.view(np.uint8) * np.uint8(Cause.ENTROPY) + disagree.view(np.uint8) * np.uint8(Cause.DISAGREEMENT)
    risk = np.minimum(mean, 255 - mean) * (causes > 0)
    heat = np.maximum(bits * unsure, spread * disagree)
    contrary = contradicted(mask.within(box), mean, _voxels(edge_mm, grid))
    if overlap is not None:
        contrary &= ~overlap.within(box)  # the other one has it
    _mark(causes, risk, contrary, Cause.CONTRADICTION, limit.contradiction_risk)
    if overlap is not None:
        _mark(causes, risk, overlap.within(box), Cause.OVERLAP, limit.overlap_risk)
    body = (mask.within(box) | (mean > 0)) if marked else np.zeros(0, np.bool_)
    for prior in marked:
        where = np.zeros(box.shape, np.bool_, order="F")
        here = Boxed(grid.shape, box, where).within(prior.box or box)
        here[...] = Boxed(grid.shape, box, body).within(prior.box or box)
        ml = int(np.count_nonzero(where)) * grid.voxel_ml
        _mark(causes, risk, where, Cause.PRIOR, prior.risk(ml))
    heat = np.maximum(heat, np.minimum(risk, 127) * np.uint8(2))
    return Doubt(*(Boxed(grid.shape, box, values) for values in (causes, risk, heat)))


def plain_edges(mean: np.ndarray, reach: Index) -> np.ndarray:
    """Tell where unsureness is only the blur of an edge: what is surely inside and surely outside are both near.

    Parameters
    ----------
    mean : (i, j, k) uint8
        Mean probability, 255 = 1; beyond the array nothing is inside.
    reach : (3,) int
        How near, in voxels.

    Notes
    -----
    A vessel that nobody is sure of has no sure inside near, an organ that all miss neither: they stay. The published
    opening instead drops whatever is thinner than five voxels.
    """
    sure = round(255 * limits().edge_sure)
    inside = dilated(mean >= sure, reach)
    padded = np.pad(mean, [(each, each) for each in reach])
    outside = dilated(padded <= 255 - sure, reach)
    middle = tuple(slice(each, each + n) for each, n in zip(reach, mean.shape, strict=True))
    return np.asarray(inside & outside[middle])


def contradicted(mask: np.ndarray, mean: np.ndarray, reach: Index) -> np.ndarray:
    """Tell where a mask leaves out what the members are sure of, or holds what they are sure is something else.

    Parameters
    ----------
    mask : (i, j, k) bool
        What would go into the atlas: tidied, or drawn by somebody.
    mean : (i, j, k) uint8
        Mean probability, 255 = 1.
    reach : (3,) int
        So near to a border, in voxels, it is no contradiction.

    Notes
    -----
    Source: ctatlas. Rules of tidiness drop whole organs in silence, and a wrong label of a dataset is one that members
    doubt together; neither entropy nor disagreement shows that.
    """
    sure = round(255 * limits().edge_sure)
    left_out, put_in = (mean >= sure) & ~mask, mask & (mean <= 255 - sure)
    if left_out.any():
        left_out &= ~dilated(mask, reach)
    if put_in.any():
        put_in &= ~dilated(mean > 127, reach)
    return np.asarray(left_out | put_in)


def _mark(causes: np.ndarray, risk: np.ndarray, where: np.ndarray, cause: Cause, share: float) -> None:
    causes |= where.view(np.uint8) * np.uint8(cause)
    np.maximum(risk, where.view(np.uint8) * np.uint8(round(255 * share)), out=risk)


def _voxels(length_mm: float, grid: Grid) -> Index:
    i, j, k = (max(1, round(length_mm / spacing)) for spacing in grid.spacing_mm)
    return i, j, k
