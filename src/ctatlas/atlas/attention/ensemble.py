"""What the members of an ensemble say together about one structure, on the scan's grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse import csr_array, diags_array

from ctatlas.atlas.attention.boxed import NOWHERE, Boxed, around, slabs
from ctatlas.kernels.boxes import Box, Index, bounding_box
from ctatlas.kernels.resample import along, linear_weights
from ctatlas.kernels.spread import spread
from ctatlas.volume import Grid

# Of 255: what all members hold for less likely than this is never looked at.
_NEGLIGIBLE = 4
_ALIGNED = 1e-4  # of a voxel over the whole scan: grids whose axes run alike are interpolated axis by axis


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """What one member says about one structure.

    Attributes
    ----------
    values : (x, y, z) uint8
        255 times the probability.
    grid : Grid
        Where they lie; often coarser than the scan's.
    """

    values: np.ndarray
    grid: Grid


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """What all members say about one structure: maps on the scan's grid, uint8, 255 = 1.

    Attributes
    ----------
    mean : Boxed
        The mean probability.
    spread : Boxed
        Twice the members' standard deviation: 1 where half are sure of yes and half of no. 0 with one member.
    information : Boxed
        Mutual information in bits: the entropy of the mean less the members' own mean entropy (BALD).
    coarsest_mm : float
        The largest distance between voxels of any member.
    """

    mean: Boxed
    spread: Boxed
    information: Boxed
    coarsest_mm: float

    @property
    def mask(self) -> Boxed:
        """Return where the structure is more likely than not, bool."""
        return Boxed(self.mean.shape, self.mean.box, self.mean.values > 127).tight()


def entropy_of(values: np.ndarray) -> np.ndarray:
    """Return the binary entropy of probabilities (uint8, 255 = 1) in bits, float32."""
    return np.asarray(_BITS[values])


def combined(members: Sequence[Member], grid: Grid) -> Ensemble:
    """Bring the members to a scan's grid and combine them, a slab of slices at a time.

    Parameters
    ----------
    members : sequence of Member
        At least one; each on a grid of its own.
    grid : Grid
        Of the scan.

    Notes
    -----
    Between the centres of a member's voxels its probability is the trilinear mean; half a voxel beyond the outermost
    centres it is that of these, and 0 further out (right behind them where its axes run askew to the scan's).
    """
    samplers = [_Sampler.between(member, grid) for member in members]
    box = around([sampler.box for sampler in samplers])
    mean, spread, information = (Boxed.zeros(grid.shape, box, np.uint8) for _ in range(3))
    for slab in slabs(box):
        start = slab.lo[2] - box.lo[2]
        here = (slice(None), slice(None), slice(start, start + slab.shape[2]))
        told = [sampler.values_in(slab) for sampler in samplers]
        mean.values[here], spread.values[here], information.values[here] = _statistics(told)
    coarsest = max(max(member.grid.spacing_mm) for member in members)
    return Ensemble(mean, spread, information, coarsest)


def _statistics(told: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, twice the standard deviation and mutual information of (i, j, k) uint8 maps, each uint8."""
    n = len(told)
    if n == 1:
        return told[0], np.zeros_like(told[0]), np.zeros_like(told[0])
    total = np.zeros(told[0].shape, np.uint32)
    squares = np.zeros_like(total)
    own = np.zeros(told[0].shape, np.float32)
    for values in told:
        wide = values.astype(np.uint32)
        total += wide
        squares += wide * wide
        own += entropy_of(values)
    mean = ((2 * total + n) // (2 * n)).astype(np.uint8)
    information = (entropy_of(mean) - own / np.float32(n)).clip(0, 1) * 255
    return mean, np.rint(spread(n, total, squares).clip(0, 255)).astype(np.uint8), np.rint(information).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class _Sampler:
    """One member's values at voxels of the scan.

    Attributes
    ----------
    values : (x, y, z) uint8
        With axes in the scan's order where the grids are aligned.
    matrix : (4, 4) float64
        From voxels of the scan to voxels of `values`.
    box : Box
        Of the scan, around all that is not negligible.
    weights : (3,) csr_array or None
        From the values to the scan along i, j, k; None where the axes run askew.
    """

    values: np.ndarray
    matrix: np.ndarray
    box: Box
    weights: tuple[csr_array, csr_array, csr_array] | None

    @classmethod
    def between(cls, member: Member, grid: Grid) -> _Sampler:
        matrix = np.linalg.inv(member.grid.affine) @ grid.affine
        order = np.abs(matrix[:3, :3]).argmax(axis=0)  # which axis of the member runs along i, j, k
        if sorted(order.tolist()) != [0, 1, 2]:
            order = np.arange(3)
        values = member.values.transpose(order)
        matrix = np.vstack([matrix[order], matrix[3]])
        box = _reach(values, matrix, grid.shape)
        askew = (matrix[:3, :3] - np.diag(np.diag(matrix[:3, :3]))) * np.array(grid.shape)
        if np.abs(askew).max() > _ALIGNED:
            return cls(values, matrix, box, None)
        lines = [
            _weights(matrix[axis, axis] * np.arange(low, high) + matrix[axis, 3], values.shape[axis])
            for axis, (low, high) in enumerate(zip(box.lo, box.hi, strict=True))
        ]
        return cls(values, matrix, box, (lines[0], lines[1], lines[2]))

    def values_in(self, slab: Box) -> np.ndarray:
        """Return the member's values in some slices of a box, uint8."""
        lo, hi = max(slab.lo[2], self.box.lo[2]), min(slab.hi[2], self.box.hi[2])
        if lo >= hi:
            return np.zeros(slab.shape, np.uint8, order="F")
        common = Box((*self.box.lo[:2], lo), (*self.box.hi[:2], hi))
        sampled = self._askew(common) if self.weights is None else self._aligned(common, self.weights)
        found = np.rint(sampled).astype(np.uint8)
        return Boxed(slab.hi, common, found).within(slab)

    def _aligned(self, box: Box, weights: tuple[csr_array, csr_array, csr_array]) -> np.ndarray:
        w_i, w_j, w_k = weights
        rows = w_k[box.lo[2] - self.box.lo[2] : box.hi[2] - self.box.lo[2]]
        if not rows.nnz:
            return np.zeros(box.shape, np.float32)
        first, last = int(rows.indices.min()), int(rows.indices.max()) + 1
        planes = self.values[:, :, first:last].astype(np.float32)
        by_k = along(planes.transpose(2, 1, 0), rows[:, first:last])  # (k, y, x)
        by_i = along(by_k.transpose(2, 1, 0), w_i)  # (i, y, k)
        by_j = along(by_i.transpose(1, 2, 0), w_j)  # (j, k, i): i fastest, as in the scan
        return by_j.transpose(2, 0, 1)

    def _askew(self, box: Box) -> np.ndarray:
        offset = self.matrix[:3, :3] @ np.array(box.lo) + self.matrix[:3, 3]
        sampled: np.ndarray = ndimage.affine_transform(
            self.values.astype(np.float32), self.matrix[:3, :3], offset, box.shape, order=1, mode="constant"
        )
        return sampled


def _weights(positions: np.ndarray, n: int) -> csr_array:
    """Return weights of a line whose values end half a voxel beyond its outermost centres."""
    inside = (positions >= -0.5) & (positions <= n - 0.5)
    weights = csr_array(diags_array(inside.astype(np.float32)) @ linear_weights(positions, n))
    weights.eliminate_zeros()
    return weights


def _reach(values: np.ndarray, matrix: np.ndarray, shape: Index) -> Box:
    """Return the box of the scan in which a member's values are not negligible."""
    found = bounding_box(values > _NEGLIGIBLE)
    if found is None:
        return NOWHERE
    ends = np.array([found.lo, [high - 1 for high in found.hi]], np.float64)
    corners = np.stack(np.meshgrid(*ends.T, indexing="ij"), axis=-1).reshape(-1, 3)
    back = np.linalg.inv(matrix)
    voxels = corners @ back[:3, :3].T + back[:3, 3]
    margin = np.abs(back[:3, :3]).sum(axis=1)  # one voxel of the member
    lo = np.clip(np.floor(voxels.min(axis=0) - margin), 0, shape).astype(int).tolist()
    hi = np.clip(np.ceil(voxels.max(axis=0) + margin) + 1, 0, shape).astype(int).tolist()
    box = Box((lo[0], lo[1], lo[2]), (hi[0], hi[1], hi[2]))
    return box if min(box.shape) > 0 else NOWHERE


def _bits() -> np.ndarray:
    share = np.arange(256) / 255
    inner = share[1:-1]
    table = np.zeros(256, np.float32)
    table[1:-1] = -(inner * np.log2(inner) + (1 - inner) * np.log2(1 - inner))
    return table


_BITS = _bits()
