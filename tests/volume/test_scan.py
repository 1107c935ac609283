from __future__ import annotations

import numpy as np
import pytest

from ctatlas.volume import Grid, ScanFacts, Volume
from tests.volume.strategies import CODES, counted, oblique_grid


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("start", ["LPS", "RAS", "IPR"])
def test_every_value_keeps_its_place_in_the_patient(start: str, code: str) -> None:
    grid = oblique_grid(start)
    scan = Volume(counted(grid), grid)
    turned = scan.reoriented(code)
    for value in (-60, -47, 0, 12, 79):
        before, after = (one.grid.world(np.argwhere(one.array == value)[0]) for one in (scan, turned))
        assert after == pytest.approx(before, abs=1e-9)


@pytest.mark.parametrize("code", CODES)
def test_round_trip_is_exact(code: str) -> None:
    scan = Volume(counted(oblique_grid()), oblique_grid())
    back = scan.reoriented(code).reoriented("LPS")
    assert np.array_equal(back.array, scan.array)
    assert back.grid.same_place(scan.grid, 1e-9)


@pytest.mark.parametrize("start", ["LPS", "RAS", "LAS", "PIR"])
def test_a_mark_on_the_left_stays_left(start: str) -> None:
    grid = oblique_grid(start)
    array = np.zeros(grid.shape, np.int16)
    leftmost = np.unravel_index(np.argmin(grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 0]), grid.shape)
    array[leftmost] = 1000
    turned = Volume(array, grid).reoriented("RAS")
    middle = turned.grid.world((np.array(turned.grid.shape) - 1) / 2)
    assert turned.grid.world(np.argwhere(turned.array == 1000)[0])[0] < middle[0]
    assert np.argwhere(turned.array == 1000)[0][0] == 0


def test_crop_keeps_values_and_places() -> None:
    scan = Volume(counted(oblique_grid()), oblique_grid(), ScanFacts(source="case"))
    part = scan.crop((1, 2, 1), (4, 7, 4))
    assert np.array_equal(part.array, scan.array[1:4, 2:7, 1:4])
    assert part.grid == scan.grid.crop((1, 2, 1), (4, 7, 4))
    assert part.facts.source == "case"


@pytest.mark.parametrize(("lo", "hi"), [((-1, 0, 0), (2, 2, 2)), ((0, 0, 0), (6, 2, 2)), ((2, 2, 2), (2, 3, 3))])
def test_crop_refuses_what_is_not_inside(lo: tuple[int, ...], hi: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="not inside"):
        Volume(counted(oblique_grid()), oblique_grid()).crop(lo, hi)


def test_memory_order_is_fortran_and_nobody_writes() -> None:
    array = counted(oblique_grid())
    scan = Volume(array, oblique_grid())
    assert scan.array.flags.f_contiguous
    assert scan.reoriented("SRA").array.flags.f_contiguous
    assert not scan.array.flags.writeable
    assert array.flags.writeable


@pytest.mark.parametrize("dtype", [np.float64, np.uint8, np.int32])
def test_other_types_are_refused(dtype: type) -> None:
    with pytest.raises(ValueError, match="int16 or float32"):
        Volume(np.zeros((2, 3, 4), dtype), Grid((2, 3, 4), np.eye(4)))


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="on a grid of shape"):
        Volume(np.zeros((2, 3, 5), np.int16), Grid((2, 3, 4), np.eye(4)))
