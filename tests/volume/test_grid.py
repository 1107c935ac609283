from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.volume import Grid
from tests.volume.strategies import CODES, grids, oblique_grid


def straight(spacing: tuple[float, float, float] = (0.7, 0.9, 2.5), shape: tuple[int, int, int] = (5, 7, 4)) -> Grid:
    return Grid(shape, np.diag([*spacing, 1.0]))


def test_spacing_volume_and_count() -> None:
    grid = oblique_grid()
    assert grid.spacing_mm == pytest.approx((0.7, 0.9, 2.5))
    assert grid.voxel_ml == pytest.approx(0.7 * 0.9 * 2.5 / 1000)
    assert grid.n_voxels == 5 * 7 * 4


def test_corners_of_a_straight_grid() -> None:
    corners = straight((1, 2, 3), (2, 3, 4)).corners_mm
    assert {tuple(corner) for corner in corners.tolist()} == {(x, y, z) for x in (0, 1) for y in (0, 4) for z in (0, 9)}


@given(grids(), st.tuples(*[st.floats(-20, 20)] * 3))
def test_voxel_is_the_way_back_from_world(grid: Grid, point: tuple[float, float, float]) -> None:
    assert grid.voxel(grid.world(point)) == pytest.approx(point, abs=1e-6)


@given(grids(), st.sampled_from(CODES))
def test_turning_moves_no_voxel(grid: Grid, code: str) -> None:
    turned = grid.reoriented(code)
    ours, theirs = (sorted(map(tuple, one.corners_mm.round(6).tolist())) for one in (grid, turned))
    assert np.allclose(ours, theirs, atol=1e-5)
    assert turned.reoriented(grid.orientation).same_place(grid, 1e-6)


def test_equal_needs_the_shape() -> None:
    assert straight() == straight()
    assert straight() != straight(shape=(5, 7, 5))


def test_equal_needs_the_affine() -> None:
    moved = straight().affine.copy()
    moved[1, 3] += 1e-9
    assert straight() != Grid((5, 7, 4), moved)


def test_equal_grids_hash_alike() -> None:
    assert hash(straight()) == hash(Grid((5, 7, 4), straight().affine * np.where(straight().affine == 0, -1.0, 1.0)))


def test_a_grid_is_no_number() -> None:
    assert straight() != 3


@pytest.mark.parametrize("what", ["shape", "origin", "spacing", "direction"])
def test_same_place_sees_every_difference(what: str) -> None:
    grid = oblique_grid()
    affine = grid.affine.copy()
    shape = (5, 7, 5) if what == "shape" else grid.shape
    affine[0, 3] += 0.002 * (what == "origin")
    affine[:3, 2] *= 1.001 if what == "spacing" else 1
    other = grid.reoriented("RPS") if what == "direction" else Grid(shape, affine)
    assert not grid.same_place(other)


def test_same_place_lets_float32_pass() -> None:
    grid = oblique_grid(shape=(512, 512, 900))
    assert grid.same_place(Grid(grid.shape, grid.affine.astype(np.float32)))


def test_same_place_takes_a_tolerance() -> None:
    affine = straight().affine.copy()
    affine[2, 3] += 0.4
    assert straight().same_place(Grid((5, 7, 4), affine), tolerance_mm=0.5)


def test_crop_keeps_voxels_where_they_are() -> None:
    grid = oblique_grid()
    part = grid.crop((1, 2, 0), (4, 7, 3))
    assert part.shape == (3, 5, 3)
    assert part.world((0, 0, 0)) == pytest.approx(grid.world((1, 2, 0)))
    assert part.world((2, 4, 2)) == pytest.approx(grid.world((3, 6, 2)))


def test_crop_may_reach_outside() -> None:
    grid = oblique_grid()
    assert grid.crop((-2, 0, 0), (5, 7, 4)).world((2, 0, 0)) == pytest.approx(grid.world((0, 0, 0)))


@given(grids(), st.tuples(*[st.floats(0.4, 5.0)] * 3))
def test_resampling_keeps_the_box_at_the_spacing_asked_for(grid: Grid, spacing: tuple[float, float, float]) -> None:
    other = grid.resampled(spacing)
    centres = [one.world((np.array(one.shape) - 1) / 2) for one in (grid, other)]
    extents = [np.array(one.shape) * one.spacing_mm for one in (grid, other)]
    assert other.spacing_mm == pytest.approx(spacing)
    assert centres[1] == pytest.approx(centres[0], abs=1e-6)
    assert (np.abs(extents[1] - extents[0]) <= np.maximum(0.5 * np.array(spacing), spacing - extents[0]) + 1e-6).all()


def test_resampling_to_the_same_spacing_changes_nothing() -> None:
    grid = oblique_grid()
    assert grid.resampled(grid.spacing_mm).same_place(grid, 1e-9)


def test_resampling_never_loses_an_axis() -> None:
    assert oblique_grid(shape=(2, 7, 1)).resampled((50, 50, 50)).shape == (1, 1, 1)


@pytest.mark.parametrize("spacing", [(0, 1, 1), (-1, 1, 1), (1, 1), (float("nan"), 1, 1)])
def test_resampling_refuses_what_is_no_spacing(spacing: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="three lengths"):
        oblique_grid().resampled(spacing)


def leaning(degrees: float) -> Grid:
    affine = np.diag([0.8, 0.8, 2.5, 1.0])
    affine[1, 2] = 2.5 * np.tan(np.radians(degrees))
    return Grid((5, 7, 4), affine)


@pytest.mark.parametrize("degrees", [0.5, -2.0, 18.5])
def test_shear_is_seen(degrees: float) -> None:
    assert leaning(degrees).is_sheared


@pytest.mark.parametrize("degrees", [0.0, 0.02])
def test_rounding_is_no_shear(degrees: float) -> None:
    assert not leaning(degrees).is_sheared


def test_the_affine_cannot_be_written_to() -> None:
    affine = np.eye(4)
    grid = Grid((2, 3, 4), affine)
    affine[0, 3] = 5
    assert grid.affine[0, 3] == 0
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 3] = 1


@pytest.mark.parametrize(
    "affine",
    [
        np.zeros((4, 4)),
        np.eye(3),
        np.full((4, 4), np.nan),
        np.diag([1, 1, 0, 1]),
        np.diag([1, 1, 1, 2]),
    ],
)
def test_what_is_no_affine_is_refused(affine: np.ndarray) -> None:
    with pytest.raises(ValueError, match="affine"):
        Grid((2, 3, 4), affine)


def test_an_empty_axis_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one voxel"):
        Grid((2, 0, 4), np.eye(4))
