"""Where voxels lie in the patient: shape and affine, and the operations that only need those."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.volume.orientation import orientation_of, turn_between

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# Two columns further from a right angle than this are sheared. Source: reference rule for NIfTI, |cos| > 1e-3, which is
# 0.5 mm over 500 mm: less than any CT voxel.
SHEAR_COSINE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Which voxel lies where in the patient.

    Attributes
    ----------
    shape : (3,) int
        Number of voxels along i, j, k.
    affine : (4, 4) float64
        Voxel index (i, j, k) of voxel centres -> world mm, x toward the patient's right, y anterior, z superior (RAS+).
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    def __post_init__(self) -> None:
        i, j, k = (int(n) for n in self.shape)
        affine = np.array(self.affine, dtype=np.float64)
        if min(i, j, k) < 1:
            raise ValueError(f"grid of shape {(i, j, k)}; expected at least one voxel along each axis")
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or (affine[3] != (0, 0, 0, 1)).any():
            raise ValueError("the affine is not a finite (4, 4) matrix with the last row 0 0 0 1")
        if np.linalg.matrix_rank(affine[:3, :3]) < 3:
            raise ValueError("the affine is singular: its voxel axes do not span space")
        affine.flags.writeable = False
        object.__setattr__(self, "shape", (i, j, k))
        object.__setattr__(self, "affine", affine)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return self.shape == other.shape and bool((self.affine == other.affine).all())

    def __hash__(self) -> int:
        return hash((self.shape, (self.affine + 0.0).tobytes()))  # + 0.0: -0.0 equals 0.0, so it must hash alike

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along i, j, k."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return i, j, k

    @property
    def orientation(self) -> str:
        """Side of the patient toward which i, j, k grow, such as ``"RAS"`` or ``"LPS"``."""
        return orientation_of(self.affine)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000

    @property
    def n_voxels(self) -> int:
        """Number of voxels, as an integer that cannot overflow."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def corners_mm(self) -> np.ndarray:
        """Centres of the eight corner voxels, (8, 3) mm; the last axis runs fastest."""
        i, j, k = self.shape
        return self.world(list(product((0, i - 1), (0, j - 1), (0, k - 1))))

    @property
    def is_sheared(self) -> bool:
        """Whether two voxel axes are not at right angles (such as after a gantry tilt)."""
        directions = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        cosines = directions.T @ directions
        return bool(np.abs(cosines[np.triu_indices(3, 1)]).max() > SHEAR_COSINE)

    def world(self, voxels: ArrayLike) -> np.ndarray:
        """Return where voxel indices (..., 3) lie, in mm; fractions are between voxel centres."""
        points: np.ndarray = np.asarray(voxels, np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]
        return points

    def voxel(self, points_mm: ArrayLike) -> np.ndarray:
        """Return the fractional voxel indices (..., 3) of points in world mm."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(points_mm, np.float64) @ inverse[:3, :3].T + inverse[:3, 3]

    def same_place(self, other: Grid, tolerance_mm: float = 1e-3) -> bool:
        """Tell whether both grids have the same shape and every corner voxel within the tolerance.

        Source: the default lets pass what float32 headers do to an affine (1e-4 mm at 1 m), and nothing one could see.
        """
        if self.shape != other.shape:
            return False
        return bool(np.linalg.norm(self.corners_mm - other.corners_mm, axis=1).max() <= tolerance_mm)

    def is_like(self, other: Grid) -> bool:
        """Tell whether masks on one grid can be taken for masks on the other: what files round off does not count.

        Source: reference/volumes.md §4: every corner within 0.001 mm + 0.0001 of the extent.
        """
        extent_mm = float(np.ptp(self.corners_mm, axis=0).max())
        return self.same_place(other, 1e-3 + 1e-4 * extent_mm)

    def reoriented(self, code: str) -> Grid:
        """Return the same voxels with the axes in the order and direction of a code such as ``"RAS"``."""
        turn = turn_between(self.orientation, code)
        i, j, k = (self.shape[axis] for axis in turn.axes)
        return Grid((i, j, k), self.affine @ turn.matrix(self.shape))

    def crop(self, lo: ArrayLike, hi: ArrayLike) -> Grid:
        """Return the part with lo <= index < hi, both (3,) int; it may reach beyond the grid."""
        low, high = np.asarray(lo, int), np.asarray(hi, int)
        i, j, k = (high - low).tolist()
        affine = self.affine.copy()
        affine[:3, 3] = self.world(low)
        return Grid((i, j, k), affine)

    def resampled(self, spacing_mm: ArrayLike) -> Grid:
        """Return a grid of this spacing over the same box, from outer voxel edge to outer voxel edge.

        The number of voxels is the box divided by the spacing, rounded, at least 1; the spacing is exactly as asked,
        and the centres of both boxes coincide, so that an edge moves by at most half a voxel.
        """
        wanted, present = np.asarray(spacing_mm, np.float64), np.asarray(self.spacing_mm)
        if wanted.shape != (3,) or not (wanted > 0).all():
            raise ValueError(f"spacing {wanted.tolist()} is not three lengths above 0 mm")
        shape = np.maximum(1, np.rint(np.array(self.shape) * present / wanted)).astype(int)
        affine = self.affine.copy()
        affine[:3, :3] *= wanted / present
        centre = self.world((np.array(self.shape) - 1) / 2)
        affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
        i, j, k = shape.tolist()
        return Grid((i, j, k), affine)
