from __future__ import annotations

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.volume.orientation import orientation_of, turn_between
from tests.volume.strategies import CODES, counted, grids, oblique_grid


def test_there_are_48_orders() -> None:
    assert len(set(CODES)) == 48


@pytest.mark.parametrize("code", CODES)
def test_names_agree_with_nibabel(code: str) -> None:
    affine = oblique_grid(code).affine
    assert orientation_of(affine) == code == "".join(nibabel.aff2axcodes(affine))


@pytest.mark.parametrize("code", CODES)
def test_turning_there_and_back_gives_the_same_array(code: str) -> None:
    array = counted(oblique_grid())
    there = turn_between("LPS", code).array(array)
    back = turn_between(code, "LPS").array(there)
    assert np.array_equal(back, array)


@pytest.mark.parametrize("code", CODES)
def test_turning_agrees_with_nibabel(code: str) -> None:
    array = counted(oblique_grid())
    codes = nibabel.orientations.axcodes2ornt
    transform = nibabel.orientations.ornt_transform(codes("LPS"), codes(code))
    assert np.array_equal(turn_between("LPS", code).array(array), nibabel.apply_orientation(array, transform))


@given(grids(), st.sampled_from(CODES))
def test_a_turned_grid_has_the_name_it_was_turned_to(grid, code) -> None:
    assert grid.reoriented(code).orientation == code


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("degrees", [45.0, -45.0, 135.0])
def test_at_a_tie_the_name_does_not_depend_on_the_order_of_axes(code: str, degrees: float) -> None:
    turn = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    affine = np.array([[turn[0], -turn[1], 0, 3], [turn[1], turn[0], 0, 5], [0, 0, 2.5, 7], [0, 0, 0, 1]])
    grid = type(oblique_grid())((5, 7, 4), affine)
    turned = grid.reoriented(code)
    assert turned.orientation == code
    assert turned.reoriented(grid.orientation).same_place(grid, 1e-9)


@pytest.mark.parametrize("code", ["RA", "RRS", "RLS", "XYZ", ""])
def test_what_is_no_code_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="not a code"):
        turn_between("RAS", code)
