"""Grids and arrays as scanners and converters make them: anisotropic, odd-sized, oblique, left-handed."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
from hypothesis import strategies as st

from ctatlas.volume import Grid

CODES = ["".join(letters) for order in permutations(("RL", "AP", "SI")) for letters in product(*order)]


def rotation(seed: int) -> np.ndarray:
    """Return any rotation, (3, 3)."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diagonal(r))
    return q if np.linalg.det(q) > 0 else -q


def oblique_grid(code: str = "LPS", *, shape: tuple[int, int, int] = (5, 7, 4), degrees: float = 12.0) -> Grid:
    """Return a grid of this orientation, turned a little about an odd axis, with three different spacings."""
    axis = np.array([0.48, 0.6, 0.64])
    x, y, z = axis * np.sin(np.radians(degrees) / 2)
    w = np.cos(np.radians(degrees) / 2)
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn * (0.7, 0.9, 2.5)
    affine[:3, 3] = (-31.5, 17.25, -402.0)
    return Grid(shape, affine).reoriented(code)


def counted(grid: Grid) -> np.ndarray:
    """Return an int16 array in which every voxel has a value of its own."""
    return np.arange(-60, grid.n_voxels - 60, dtype=np.int16).reshape(grid.shape)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Draw a grid: any rotation or reflection, spacings 0.3 to 7 mm, 1 to 9 voxels an axis."""
    spacing = [draw(st.floats(0.3, 7.0)) for _ in range(3)]
    affine = np.eye(4)
    affine[:3, :3] = rotation(draw(st.integers(0, 2**32 - 1))) * spacing * [draw(st.sampled_from([-1, 1])), 1, 1]
    affine[:3, 3] = [draw(st.floats(-900, 900)) for _ in range(3)]
    i, j, k = (draw(st.integers(1, 9)) for _ in range(3))
    return Grid((i, j, k), affine)
