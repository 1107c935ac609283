"""Members on grids of their own, brought to the scan and combined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from ctatlas.atlas.attention import Boxed, Member, combined
from ctatlas.atlas.attention.boxed import around, overlap, slabs
from ctatlas.atlas.attention.ensemble import entropy_of
from ctatlas.kernels.boxes import Box
from ctatlas.volume import Grid

OBLIQUE = np.array([[0.78, 0.1, -0.2, -30.0], [-0.1, 0.9, 0.3, 12.0], [0.15, -0.25, 2.4, -100.0], [0, 0, 0, 1]])
SCAN = Grid((23, 19, 9), OBLIQUE)


def blob(grid, center_mm, radius_mm, scale=255):
    """Paint a soft ball, uint8."""
    index = np.stack(np.indices(grid.shape), axis=-1)
    distance = np.linalg.norm(grid.world(index) - center_mm, axis=-1)
    return np.rint(scale / (1 + np.exp(np.clip((distance - radius_mm) / 0.7, -30, 30)))).astype(np.uint8)


def plainly(member, grid):
    """Interpolate in world coordinates, float64; no further than half a voxel beyond the outermost centres."""
    index = member.grid.voxel(grid.world(np.stack(np.indices(grid.shape), axis=-1)))
    inside = ((index >= -0.5) & (index <= np.array(member.grid.shape) - 0.5)).all(axis=-1)
    return map_coordinates(member.values.astype(float), np.moveaxis(index, -1, 0), order=1, mode="nearest") * inside


CENTER = SCAN.world((11, 9, 4))


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "SAR", "PIL"])
def test_a_coarse_grid_of_any_orientation_is_interpolated_in_the_world(orientation):
    coarse = SCAN.reoriented(orientation).resampled((2.0, 1.7, 3.1))
    member = Member(blob(coarse, CENTER, 5), coarse)
    found = combined([member], SCAN).mean.whole().astype(float)
    expected = plainly(member, SCAN)
    assert np.abs(found - expected)[expected > 5].max() <= 0.51
    assert expected.max() > 200
    assert found[expected == 0].max() <= 4


def test_a_grid_askew_to_the_scan_is_interpolated_too():
    straight = Grid((20, 24, 22), np.array([[1.5, 0, 0, -38], [0, 1.5, 0, 0], [0, 0, 1.5, -110], [0, 0, 0, 1.0]]))
    member = Member(blob(straight, CENTER, 5), straight)
    found = combined([member], SCAN).mean.whole().astype(float)
    expected = plainly(member, SCAN)
    assert expected.max() > 200
    assert np.abs(found - expected).max() <= 0.51


def test_members_on_different_grids_lie_on_top_of_each_other():
    grids = [SCAN.resampled((1.5, 1.5, 1.5)), SCAN.reoriented("LPI").resampled((1.1, 1.9, 2.0))]
    found = combined([Member(blob(grid, CENTER, 6), grid) for grid in grids], SCAN)
    assert found.spread.whole().max() < 60  # of 255: only interpolation differs
    assert found.mean.whole()[11, 9, 4] > 240


@given(st.lists(st.integers(0, 255), min_size=1, max_size=6))
def test_the_numbers_are_those_of_the_formulas(values):
    grid = Grid((1, 1, 1), np.eye(4))
    share = np.array([value if value > 4 else 0 for value in values]) / 255  # a member that says less is not looked at
    found = combined([Member(np.full((1, 1, 1), value, np.uint8), grid) for value in values], grid)
    if max(values) <= 4:
        assert min(found.mean.box.shape) == 0
        return
    bits = [-sum(p * np.log2(p) for p in (q, 1 - q) if p > 0) for q in (share.mean(), *share)]
    assert found.mean.values[0, 0, 0] == pytest.approx(255 * share.mean(), abs=0.51)
    assert found.spread.values[0, 0, 0] == pytest.approx(255 * 2 * share.std(), abs=0.51)
    assert found.information.values[0, 0, 0] / 255 == pytest.approx(bits[0] - np.mean(bits[1:]), abs=0.02)


def test_half_yes_half_no_is_one_bit_of_information_and_full_spread():
    grid = Grid((1, 1, 1), np.eye(4))
    found = combined([Member(np.full((1, 1, 1), value, np.uint8), grid) for value in (0, 255)], grid)
    assert found.spread.values.item() == 255
    assert found.information.values.item() == 255


def test_entropy_is_of_yes_and_no():
    assert entropy_of(np.array([0, 255], np.uint8)).tolist() == [0, 0]
    assert entropy_of(np.array([128], np.uint8))[0] == pytest.approx(1, abs=1e-4)
    assert entropy_of(np.array([26, 229], np.uint8)) == pytest.approx(0.475, abs=0.002)  # the same for p and 1 - p


def test_a_structure_outside_the_scan_gives_nothing():
    far = Grid((5, 5, 5), np.array([[2.0, 0, 0, 900], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]))
    found = combined([Member(np.full((5, 5, 5), 255, np.uint8), far)], SCAN)
    assert found.mean.whole().max() == 0
    assert found.mask.values.size == 0


def test_slabs_join_without_a_seam():
    grid = Grid((800, 700, 5), np.diag([0.5, 0.5, 1.0, 1.0]))
    assert len(list(slabs(Box((0, 0, 0), grid.shape)))) == 5
    coarse = grid.resampled((4, 4, 1.7))
    member = Member(blob(coarse, grid.world((400, 350, 2)), 150), coarse)
    part = (slice(120, 130), slice(0, 700), slice(0, 5))
    found = combined([member], grid).mean.whole()[part]
    inner = Grid((10, 700, 5), grid.crop((120, 0, 0), (130, 700, 5)).affine)
    expected = plainly(member, inner)
    assert 0 < np.count_nonzero(expected > 127) < expected.size
    assert np.abs(found - expected)[expected > 5].max() <= 0.51


boxes = st.tuples(*[st.tuples(st.integers(0, 4), st.integers(1, 5)) for _ in range(3)]).map(
    lambda ends: Box(tuple(lo for lo, _ in ends), tuple(lo + n for lo, n in ends))
)


@given(boxes, boxes)
def test_the_part_in_any_box_is_that_of_the_whole(held, asked):
    shape = (9, 9, 9)
    values = np.arange(1, np.prod(held.shape) + 1).reshape(held.shape)
    boxed = Boxed(shape, held, values)
    assert (boxed.within(asked) == boxed.whole()[asked.slices]).all()
    both = np.zeros(shape, bool)
    both[held.slices] = True
    mark = np.zeros(shape, bool)
    mark[asked.slices] = True
    common = overlap(held, asked)
    assert (common is not None) == (both & mark).any()
    assert around([held, asked]).lo == tuple(np.argwhere(both | mark).min(axis=0))


@given(st.integers(0, 2**16 - 1))
def test_boxing_loses_nothing(bits):
    array = np.unpackbits(np.array([bits], ">u2").view(np.uint8)).reshape(4, 2, 2)
    assert (Boxed.of(array).whole() == array).all()
    loose = Boxed((4, 2, 2), Box((0, 0, 0), (4, 2, 2)), array)
    assert loose.tight().box == Boxed.of(array).box
    assert (loose.tight().whole() == array).all()
