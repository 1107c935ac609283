from __future__ import annotations

import sys

import numpy as np
import pytest

from ctatlas.errors import InstallError
from ctatlas.measure.tubes import cldice, skeleton


def tube(*, upto=30, shift=0, gap=(0, 0)):
    """Draw a tube along k, three voxels across."""
    mask = np.zeros((13, 11, 30), bool)
    mask[4 + shift : 7 + shift, 4:7, :upto] = True
    mask[:, :, gap[0] : gap[1]] = False
    return mask


def test_the_line_of_a_straight_tube_is_its_middle():
    line = skeleton(tube())
    assert np.argwhere(line)[:, :2].tolist() == [[5, 5]] * int(line.sum())
    assert line.sum() >= 26


def test_half_a_tube_is_precise_and_finds_half():
    lines = skeleton(tube()), skeleton(tube(upto=15))
    sensitivity = (lines[0] & tube(upto=15)).sum() / lines[0].sum()
    assert 0.4 < sensitivity < 0.6
    assert cldice(tube(), tube(upto=15)) == pytest.approx(2 * sensitivity / (1 + sensitivity))
    assert cldice(tube(upto=15), tube()) == pytest.approx(2 * sensitivity / (1 + sensitivity))


def test_a_gap_costs_length_where_dice_hardly_sees_it():
    assert cldice(tube(), tube(gap=(10, 16))) < 0.93
    assert cldice(tube(), tube()) == 1


def test_lines_that_miss_each_other_give_zero():
    assert cldice(tube(), tube(shift=3)) == 0


def test_nothing_and_a_block_without_a_line_give_no_value():
    nothing, block = np.zeros((9, 9, 9), bool), np.zeros((12, 12, 12), bool)
    block[3:9, 3:9, 3:9] = True
    assert cldice(nothing, nothing) is None
    assert cldice(tube(), np.zeros_like(tube())) is None
    assert not skeleton(block).any()  # what thinning does to a cube of six
    assert cldice(block, block) is None


def test_a_plane_has_lines_too():
    plane = np.zeros((20, 9), bool)
    plane[2:18, 3:6] = True
    assert cldice(plane, plane) == 1


def test_without_scikit_image_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.morphology", None)
    with pytest.raises(InstallError, match=r"pip install 'ctatlas\[measure\]'"):
        cldice(tube(), tube())
