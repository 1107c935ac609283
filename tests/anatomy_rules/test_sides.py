from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.anatomy_rules import apply_rules, rules_from
from ctatlas.volume import Grid, Segmentation
from tests.anatomy_rules.bodies import ellipsoid
from tests.inference.scans import ALL_ORDERS

if TYPE_CHECKING:
    from collections.abc import Mapping

SPLIT = rules_from(
    [{"kind": "split_sides", "structure": "hips", "left": "hip_left", "right": "hip_right", "source": "a test"}]
)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Draw a grid over 320 x 200 x 260 mm that is anisotropic, turned by up to 20 degrees, in any order of axes."""
    spacing = np.array(draw(st.tuples(*[st.floats(5, 8)] * 3)))
    angle = np.deg2rad(draw(st.floats(-20, 20)))
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    shape = np.rint(np.array([320, 200, 260]) / spacing).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing
    affine[:3, 3] = -affine[:3, :3] @ ((shape - 1) / 2) + draw(st.tuples(*[st.floats(-9, 9)] * 3))
    return Grid(tuple(shape.tolist()), affine).reoriented(draw(st.sampled_from(ALL_ORDERS)))


def pelvis(grid: Grid, x_mm: float = 0.0, *, bridge: bool = False) -> dict[str, np.ndarray]:
    """Return both hip bones as one structure, joined where `bridge`, and a spine at x_mm."""
    hips = ellipsoid(grid, (x_mm + 70, 0, -60), (35, 40, 45)) | ellipsoid(grid, (x_mm - 70, 0, -60), (35, 40, 45))
    if bridge:
        hips |= ellipsoid(grid, (x_mm, 20, -70), (60, 18, 18))
    return {"hips": hips, "vertebrae": ellipsoid(grid, (x_mm, -40, 20), (22, 22, 110))}


def spine(grid: Grid) -> np.ndarray:
    return ellipsoid(grid, (0, -60, 0), (20, 20, 120))


def world_x(grid: Grid, mask: np.ndarray) -> np.ndarray:
    return np.asarray(grid.world(np.argwhere(mask))[:, 0])


@given(grid=grids(), x_mm=st.floats(-20, 20), bridge=st.booleans())
def test_hips_part_at_the_spine_whatever_the_grid(grid: Grid, x_mm: float, bridge: bool) -> None:  # noqa: FBT001
    masks = pelvis(grid, x_mm, bridge=bridge)

    tidied = apply_rules(Segmentation.from_masks(grid, masks), SPLIT).segmentation

    left, right = tidied.mask("hip_left"), tidied.mask("hip_right")
    assert "hips" not in tidied.names
    assert ((left | right) == masks["hips"]).all()
    assert not (left & right).any()
    assert world_x(grid, left).max() <= x_mm + 6
    assert world_x(grid, right).min() >= x_mm - 6


@given(grid=grids(), bridge=st.booleans())
def test_a_mirror_swaps_left_and_right(grid: Grid, bridge: bool) -> None:  # noqa: FBT001
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    there = Grid(grid.shape, mirror @ grid.affine)  # the same voxels, in a mirror at x = 0
    masks = pelvis(grid, 3.0, bridge=bridge)

    here = apply_rules(Segmentation.from_masks(grid, masks), SPLIT).segmentation
    beyond = apply_rules(Segmentation.from_masks(there, masks), SPLIT).segmentation

    differ = here.mask("hip_left") ^ beyond.mask("hip_right")
    assert np.ptp(world_x(grid, differ)) < 1e-6 if differ.any() else True  # voxels on the midline are on either side
    assert ((here.mask("hip_right") ^ beyond.mask("hip_left")) == differ).all()


def test_only_a_piece_that_crosses_the_midline_is_cut() -> None:
    grid = Grid((64, 40, 52), np.diag([5.0, 5, 5, 1]) + _moved(-157, -97, -127))
    one_sided = {"hips": ellipsoid(grid, (40, 0, 0), (44, 30, 30)), "vertebrae": spine(grid)}

    tidied = apply_rules(Segmentation.from_masks(grid, one_sided), SPLIT)

    assert world_x(grid, one_sided["hips"]).min() < 0
    assert (tidied.segmentation.mask("hip_right") == one_sided["hips"]).all()
    assert not tidied.segmentation.mask("hip_left").any()


def _moved(x: float, y: float, z: float) -> np.ndarray:
    move = np.zeros((4, 4))
    move[:3, 3] = x, y, z
    return move


def test_without_a_spine_the_skin_tells_the_middle_and_without_skin_the_scan() -> None:
    grid = Grid((64, 40, 52), np.diag([5.0, 5, 5, 1]) + _moved(-120, -97, -127))  # the scan's middle lies at x = 38
    bone = ellipsoid(grid, (20, 0, 0), (12, 30, 30))
    skin = ellipsoid(grid, (0, 0, 0), (110, 90, 400))

    with_skin = apply_rules(Segmentation.from_masks(grid, {"hips": bone, "body": skin}), SPLIT).segmentation
    without = apply_rules(Segmentation.from_masks(grid, {"hips": bone}), SPLIT).segmentation

    assert (with_skin.mask("hip_right") == bone).all()
    assert (without.mask("hip_left") == bone).all()


def test_a_crooked_spine_is_followed() -> None:
    grid = Grid((64, 40, 80), np.diag([5.0, 5, 5, 1]) + _moved(-157, -97, -197))
    bends = ((-60, 150), (-40, 100), (-10, 50), (0, 0), (0, -60))
    pieces = [ellipsoid(grid, (x, -40, z), (20, 20, 22)) for x, z in bends]
    masks = {
        "vertebrae": np.logical_or.reduce(pieces),
        "kidney_right": ellipsoid(grid, (-22, 20, 140), (20, 20, 30)),  # right of the spine there, left of the middle
    }
    rules = rules_from([{"kind": "side", "structure": "kidney_right", "source": "a test"}])

    tidied = apply_rules(Segmentation.from_masks(grid, masks), rules)

    assert tidied.findings == ()


@pytest.mark.parametrize(
    ("x_mm", "tolerance_mm", "kept"), [(40, 0, True), (-10, 0, False), (-10, 15, True), (-40, 15, False)]
)
def test_an_expected_side_has_a_tolerance(x_mm: float, tolerance_mm: float, *, kept: bool) -> None:
    tidied = _gallbladder_at(x_mm, liver_x_mm=80, tolerance_mm=tolerance_mm)

    assert bool(tidied["gallbladder"].any()) is kept


def test_an_expected_side_is_not_asked_for_where_the_liver_is_on_the_left() -> None:
    assert _gallbladder_at(-50, liver_x_mm=-80, tolerance_mm=0)["gallbladder"].any()


def test_a_small_liver_on_the_left_is_no_mirror() -> None:
    tidied = _gallbladder_at(-50, liver_x_mm=-80, tolerance_mm=0, liver_radius_mm=30)

    assert not tidied["gallbladder"].any()


def _gallbladder_at(
    x_mm: float, *, liver_x_mm: float, tolerance_mm: float, liver_radius_mm: float = 55
) -> Mapping[str, np.ndarray]:
    grid = Grid((64, 40, 52), np.diag([5.0, 5, 5, 1]) + _moved(-157, -97, -127))
    masks = {
        "liver": ellipsoid(grid, (liver_x_mm, 0, 40), (liver_radius_mm,) * 3),
        "vertebrae": spine(grid),
        "gallbladder": ellipsoid(grid, (x_mm, 40, -60), (14, 14, 20)),
    }
    row = {"kind": "side", "structure": "gallbladder", "expected": "right", "tolerance_mm": tolerance_mm}
    rules = rules_from([{**row, "source": "a test"}])
    return dict(apply_rules(Segmentation.from_masks(grid, masks), rules).segmentation.items())


@pytest.mark.parametrize("hand_over", [False, True])
def test_a_kidney_on_the_wrong_side_goes_or_is_handed_over(hand_over: bool) -> None:  # noqa: FBT001
    grid = Grid((64, 40, 52), np.diag([5.0, 5, 5, 1]) + _moved(-157, -97, -127))
    kidney = ellipsoid(grid, (70, -20, 0), (25, 25, 50))
    masks = {
        "vertebrae": spine(grid),
        "kidney_left": kidney,
        "kidney_right": np.zeros(grid.shape, dtype=bool),
    }
    row = {"kind": "side", "structures": ["kidney_left", "kidney_right"], "hand_over": hand_over, "source": "a test"}

    tidied = apply_rules(Segmentation.from_masks(grid, masks), rules_from([row])).segmentation

    assert not tidied.mask("kidney_left").any()
    assert (tidied.mask("kidney_right") == (kidney if hand_over else False)).all()


def test_hips_that_are_nowhere_become_two_empty_sides() -> None:
    grid = Grid((8, 7, 6), np.diag([2.0, 3.0, 4.0, 1.0]))

    tidied = apply_rules(Segmentation.from_masks(grid, {"hips": np.zeros(grid.shape, dtype=bool)}), SPLIT).segmentation

    assert tidied.names == ("hip_left", "hip_right")
    assert not any(mask.any() for _, mask in tidied.items())
