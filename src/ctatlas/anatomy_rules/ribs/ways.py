"""Ways of bone: the cheapest way between two places in a box, and the rod around it that becomes bone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import KDTree

from ctatlas.anatomy import may_share_voxels
from ctatlas.anatomy_rules.components import Box
from ctatlas.anatomy_rules.ribs.pieces import nearest_of, ways_mm

if TYPE_CHECKING:
    from ctatlas.volume import Grid, Segmentation

LATTICE_MM = 2.0  # between the places that a way may lead over
MARGIN_MM = 14.0  # beside both ends that a way may swerve
SMOOTH_MM = 0.7  # against noise, less than bone is thick
BONE_HU, BONE_SPREAD_HU, NO_BONE = 170.0, 25.0, 15.0  # a mm of no bone costs so much more than one of bone
OFF_MM = 5.0  # from the drawn curve: there a mm costs twice
_NEIGHBOURS = [(a, b, c) for a, b, c in product((-1, 0, 1), repeat=3) if (a, b, c) > (0, 0, 0)]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What is where in a scan, for those who look for a way.

    Attributes
    ----------
    segmentation : Segmentation
    hu : (i, j, k) int16 or float32, or None
        The scan itself, on the same grid.
    """

    segmentation: Segmentation
    hu: np.ndarray | None

    @property
    def grid(self) -> Grid:
        """The grid of both."""
        return self.segmentation.grid

    def box_around(self, points_mm: np.ndarray, margin_mm: float) -> Box:
        """Return the part of the grid around points, (n, 3) world mm; empty where they lie beyond it."""
        corners = np.array(list(product(*zip(points_mm.min(axis=0), points_mm.max(axis=0), strict=True))))
        voxels, reach = self.grid.voxel(corners), margin_mm / np.array(self.grid.spacing_mm)
        low = np.clip(np.floor(voxels.min(axis=0) - reach), 0, self.grid.shape).astype(int)
        high = np.clip(np.ceil(voxels.max(axis=0) + reach) + 1, low, self.grid.shape).astype(int)
        i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        return i, j, k

    def taken(self, box: Box, name: str) -> np.ndarray:
        """Return the voxels of a box that a structure may not have, because another one has them; bool."""
        shape = tuple(side.stop - side.start for side in box)
        taken = np.zeros(shape, dtype=bool)
        for number, layer in enumerate(self.segmentation.layers):
            table = np.zeros(256, dtype=bool)
            for other, place in self.segmentation.places.items():
                if place.layer == number:
                    table[place.value] = not (other == name or may_share_voxels(name, other))
            taken |= table[layer[box]]
        return taken

    def hounsfield(self, box: Box) -> np.ndarray | None:
        """Return the smoothed scan in a box, float32."""
        if self.hu is None:
            return None
        sigma = SMOOTH_MM / np.array(self.grid.spacing_mm)
        return np.asarray(ndimage.gaussian_filter(self.hu[box].astype(np.float32), sigma, mode="nearest"))


def curve_between(
    from_mm: np.ndarray, from_way: np.ndarray, to_mm: np.ndarray, to_way: np.ndarray, *, bend: float = 0.6
) -> np.ndarray:
    """Draw a curve that leaves one end as it points and comes to the other as that points outward, (n, 3) world mm.

    Cubic Hermite; `bend` is the share of the distance for which the ends hold their directions.
    """
    reach = bend * float(np.linalg.norm(to_mm - from_mm))
    t = np.linspace(0.0, 1.0, 24)[:, None]
    h = 2 * t**3 - 3 * t**2 + 1, t**3 - 2 * t**2 + t, -2 * t**3 + 3 * t**2, t**3 - t**2
    return np.asarray(h[0] * from_mm + h[1] * reach * from_way + h[2] * to_mm - h[3] * reach * to_way)


def rod(grid: Grid, box: Box, line_mm: np.ndarray, radii_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the voxels of a box within a rod around a line, and those on the line itself; bool both.

    The line is the least that joins its ends: on a coarse grid a thin rod would be of loose voxels.
    """
    shape = tuple(side.stop - side.start for side in box)
    points, radii = _dense(line_mm, radii_mm, 0.4 * min(grid.spacing_mm))
    inside, on_line = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    voxels = np.rint(grid.voxel(points)).astype(int) - [side.start for side in box]
    voxels = voxels[((voxels >= 0) & (voxels < shape)).all(axis=1)]
    if not len(voxels):
        return inside, on_line
    on_line[tuple(voxels.T)] = True
    roughly_mm = ndimage.distance_transform_edt(~on_line, sampling=grid.spacing_mm)
    index = np.argwhere(roughly_mm <= float(radii.max()) + float(np.linalg.norm(grid.spacing_mm)))
    tree, around = KDTree(points), grid.world(index + [side.start for side in box])
    held = ways_mm(tree, around) <= radii[nearest_of(tree, around)]
    inside[tuple(index[held].T)] = True
    return inside, on_line


def cheapest_way(
    scene: Scene, start_mm: np.ndarray, goal_mm: np.ndarray, drawn_mm: np.ndarray, *, name: str, lung_hu: float
) -> np.ndarray | None:
    """Find the cheapest way for a bone from a place to one of many goals.

    Parameters
    ----------
    scene : Scene
    start_mm : (3,) float64
    goal_mm : (n, 3) float64
        World.
    drawn_mm : (m, 3) float64
        A curve near which the way is cheap.
    name : str
        The structure that it is for: no way leads through others.
    lung_hu : float
        Nor through what is darker.

    Returns
    -------
    (p, 3) float64 or None
        From the start to a goal, world mm.
    """
    lattice = _Lattice(scene, np.concatenate([start_mm[None], goal_mm, drawn_mm]))
    costs = lattice.costs(drawn_mm, name, lung_hu)
    goals = lattice.nearest(goal_mm)
    start = int(lattice.nearest(start_mm[None])[0])
    costs[start] = np.minimum(costs[start], 1.0)
    costs[goals] = np.minimum(costs[goals], 1.0)
    ways, came = dijkstra(lattice.graph(costs), directed=False, indices=np.array([start]), return_predecessors=True)
    ways, came = ways[0], came[0]
    goal = int(goals[np.argmin(ways[goals])])
    if not np.isfinite(ways[goal]):
        return None
    path = [goal]
    while path[-1] != start:
        path.append(int(came[path[-1]]))
    return np.asarray(lattice.points_mm[path[::-1]])


@dataclass(frozen=True, eq=False)
class _Lattice:
    """Places 2 mm apart in a world box around points."""

    scene: Scene
    around_mm: np.ndarray

    @cached_property
    def _low(self) -> np.ndarray:
        return np.asarray(self.around_mm.min(axis=0) - MARGIN_MM)

    @cached_property
    def _shape(self) -> tuple[int, int, int]:
        i, j, k = np.ceil((self.around_mm.max(axis=0) + MARGIN_MM - self._low) / LATTICE_MM).astype(int) + 1
        return int(i), int(j), int(k)

    @cached_property
    def points_mm(self) -> np.ndarray:
        return np.asarray(self._low + LATTICE_MM * np.indices(self._shape).reshape(3, -1).T)

    def nearest(self, points_mm: np.ndarray) -> np.ndarray:
        """Return the numbers of the places nearest to points."""
        index = np.rint((points_mm - self._low) / LATTICE_MM).astype(int)
        return np.unique(np.ravel_multi_index(tuple(index.T), self._shape, mode="clip"))

    def costs(self, drawn_mm: np.ndarray, name: str, lung_hu: float) -> np.ndarray:
        """Return what a mm costs at each place; inf where no way leads."""
        grid = self.scene.grid
        voxels = np.rint(grid.voxel(self.points_mm)).astype(int)
        inside = ((voxels >= 0) & (voxels < grid.shape)).all(axis=1)
        off = np.minimum(ways_mm(KDTree(drawn_mm), self.points_mm) / OFF_MM, 3.0) ** 2
        costs = np.where(inside, 1.0 + off, np.inf)
        box = self.scene.box_around(self.points_mm[inside], 0.0)
        at = tuple((voxels[inside] - [side.start for side in box]).T)
        costs[inside] = np.where(self.scene.taken(box, name)[at], np.inf, costs[inside])
        hu = self.scene.hounsfield(box)
        if hu is not None:
            bone = NO_BONE / (1 + np.exp(np.clip((hu[at] - BONE_HU) / BONE_SPREAD_HU, -50, 50)))
            costs[inside] = np.where(hu[at] < lung_hu, np.inf, costs[inside] + bone)
        return np.asarray(costs)

    def graph(self, costs: np.ndarray) -> csr_matrix:
        """Join neighbouring places (26), each way as dear as its ends are."""
        numbers = np.arange(len(costs)).reshape(self._shape)
        ends = [_shifted(numbers, step) for step in _NEIGHBOURS]
        lengths = [
            np.full(len(a), LATTICE_MM * float(np.linalg.norm(s))) for (a, _), s in zip(ends, _NEIGHBOURS, strict=True)
        ]
        one, other = (np.concatenate([pair[which] for pair in ends]) for which in (0, 1))
        weights = np.concatenate(lengths) * (costs[one] + costs[other]) / 2
        open_ones = np.isfinite(weights)
        n = len(costs)
        return coo_matrix((weights[open_ones], (one[open_ones], other[open_ones])), shape=(n, n)).tocsr()


def _shifted(numbers: np.ndarray, step: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of all pairs of neighbours that lie one step apart."""
    here = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(step, numbers.shape, strict=True))
    there = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(step, numbers.shape, strict=True))
    return numbers[here].ravel(), numbers[there].ravel()


def _dense(line_mm: np.ndarray, radii_mm: np.ndarray, step_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Return points on a line so near to each other that no voxel is passed over, and the radius at each."""
    at = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line_mm, axis=0), axis=1))])
    fine = np.linspace(0.0, at[-1], max(2, int(np.ceil(at[-1] / step_mm)) + 1))
    points = np.stack([np.interp(fine, at, line_mm[:, axis]) for axis in range(3)], axis=1)
    return points, np.interp(fine, np.linspace(0.0, at[-1], len(radii_mm)), radii_mm)
