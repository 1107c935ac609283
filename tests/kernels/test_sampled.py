"""The nearest voxel, along the axes and across them, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ctatlas.kernels.sampled import nearest
from tests.volume.strategies import rotation

SHAPE = (11, 7, 5)
OTHER = (9, 13, 6)


def labels(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 9, SHAPE, np.uint8)


def affine(matrix: np.ndarray, shift: tuple[float, float, float]) -> np.ndarray:
    found = np.eye(4)
    found[:3, :3] = matrix
    found[:3, 3] = shift
    return found


def by_scipy(array: np.ndarray, source_from_target: np.ndarray) -> np.ndarray:
    """Take the nearest voxel as scipy does, which needs a margin to see zero beyond the outer voxels' edges."""
    padded = np.pad(array, 2)
    matrix, offset = source_from_target[:3, :3], source_from_target[:3, 3] + 2
    found: np.ndarray = ndimage.affine_transform(padded, matrix, offset, OTHER, order=0, cval=0)
    return found


@pytest.mark.parametrize(
    "matrix",
    [np.diag([1.13, 0.47, 0.81]), np.diag([-1.13, 0.47, -0.81]), rotation(3) * [0.9, 0.53, 0.71]],
    ids=["along the axes", "flipped", "across"],
)
def test_like_scipy(matrix: np.ndarray) -> None:
    shift = (10.3, 0.2, 4.4) if matrix[0, 0] < 0 else (0.21, 0.13, 0.37)
    source_from_target = affine(matrix, shift)
    found = nearest(labels(), source_from_target, OTHER)
    assert np.array_equal(found, by_scipy(labels(), source_from_target))
    assert found.any()


def test_along_the_axes_gives_what_the_general_way_gives() -> None:
    along = affine(np.diag([0.83, 1.21, 0.37]), (-1.4, 0.31, 0.22))
    tilted = along.copy()
    tilted[0, 1] = 1e-9  # too little to change a voxel, enough for the general way
    assert np.array_equal(nearest(labels(), along, OTHER), nearest(labels(), tilted, OTHER))


def test_the_same_voxels_come_back() -> None:
    assert np.array_equal(nearest(labels(), np.eye(4), SHAPE), labels())


def test_outside_is_background() -> None:
    assert not nearest(np.ones(SHAPE, np.uint8), affine(np.eye(3), (50.0, 0.0, 0.0)), OTHER).any()


def test_half_way_takes_the_higher_index() -> None:
    line = np.arange(1, 12, dtype=np.uint8).reshape(SHAPE[0], 1, 1)
    found = nearest(line, affine(np.eye(3), (0.5, 0.0, 0.0)), (3, 1, 1))
    assert found.ravel().tolist() == [2, 3, 4]
