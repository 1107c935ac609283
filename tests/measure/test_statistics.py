from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.measure.statistics import statistics
from ctatlas.volume import Grid, Segmentation, Volume

SHAPE = (7, 9, 5)
AFFINE = np.diag([0.8, 1.1, 2.5, 1.0])
FACES = {
    "left": (0, 0),
    "right": (0, -1),
    "posterior": (1, 0),
    "anterior": (1, -1),
    "inferior": (2, 0),
    "superior": (2, -1),
}


def scan() -> Volume:
    hu = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.int16)
    return Volume(hu, Grid(SHAPE, AFFINE))


def box(lo: tuple[int, int, int], hi: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))] = True
    return mask


def test_volume_and_mean_are_those_of_the_voxels() -> None:
    volume = scan()
    mask = box((1, 2, 1), (4, 4, 3))
    (row,) = statistics(Segmentation.from_masks(volume.grid, {"liver": mask}), volume)
    assert row.n_voxels == 3 * 2 * 2
    assert row.volume_ml == pytest.approx(12 * 0.8 * 1.1 * 2.5 / 1000)
    assert row.mean_hu == pytest.approx(volume.array[mask].mean())
    assert (row.status, row.cut_at, row.touches_border) == ("complete", (), False)


def test_a_structure_without_voxels_is_absent_and_has_no_mean() -> None:
    volume = scan()
    (row,) = statistics(Segmentation.from_masks(volume.grid, {"liver": np.zeros(SHAPE, bool)}), volume)
    assert (row.status, row.n_voxels, row.volume_ml, row.mean_hu) == ("absent", 0, 0.0, None)


@pytest.mark.parametrize("face", FACES)
def test_a_mask_at_one_face_is_cut_there(face: str) -> None:
    volume = scan()
    axis, end = FACES[face]
    lo, hi = [2, 2, 2], [3, 3, 3]
    lo[axis], hi[axis] = (0, 1) if end == 0 else (SHAPE[axis] - 1, SHAPE[axis])
    (row,) = statistics(Segmentation.from_masks(volume.grid, {"liver": box(tuple(lo), tuple(hi))}), volume)  # type: ignore[arg-type]
    assert (row.status, row.cut_at) == ("cut", (face,))


@given(st.permutations("RAS"), st.tuples(*[st.booleans()] * 3))
def test_the_sides_are_the_patients_whatever_the_order_of_axes(axes: list[str], flips: tuple[bool, bool, bool]) -> None:
    opposite = {"R": "L", "A": "P", "S": "I"}
    code = "".join(opposite[axis] if flip else axis for axis, flip in zip(axes, flips, strict=True))
    volume = scan()
    found = Segmentation.from_masks(volume.grid, {"liver": box((0, 3, 2), (2, 5, 5))})
    expected = statistics(found, volume)
    assert statistics(found.reoriented(code), volume.reoriented(code)) == expected
    assert expected[0].cut_at == ("left", "superior")


def test_another_grid_is_refused() -> None:
    volume = scan()
    moved = Grid(SHAPE, AFFINE + np.eye(4, k=3) * 5)
    with pytest.raises(ValueError, match="one grid"):
        statistics(Segmentation.from_masks(moved, {"liver": box((1, 1, 1), (2, 2, 2))}), volume)
