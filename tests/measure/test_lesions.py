"""Pieces and their sizes by hand; their overlaps against the vector and a plain count."""

from __future__ import annotations

import json
import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist

from ctatlas.measure.lesions import overlaps_of, pieces_of

SPACING = (0.8, 1.1, 2.5)
masks = arrays(bool, (6, 5, 4), elements=st.sampled_from([False, False, True]))


@pytest.fixture(scope="module")
def vector(vectors):
    record = json.loads((vectors / "lesions.json").read_text(encoding="utf-8"))
    with np.load(vectors / "lesions.npz") as stored:
        return record | {"gt": stored["gt"].astype(bool), "pred": stored["pred"].astype(bool)}


def test_pieces_and_overlaps_of_the_vector(vector):
    gt, pred = (pieces_of(vector[side], (1, 1, 1)) for side in ("gt", "pred"))
    assert sorted(gt.n_voxels) == sorted(vector["gt_sizes"])
    assert sorted(pred.n_voxels) == sorted(vector["pred_sizes"])
    found = overlaps_of(gt, pred, (1, 1, 1))
    expected = np.array(vector["overlap"])
    rows = sorted(zip(gt.n_voxels[found.gt_numbers], pred.n_voxels[found.pred_numbers], found.n_shared, strict=True))
    theirs = [(vector["gt_sizes"][i], vector["pred_sizes"][j], expected[i, j]) for i, j in np.argwhere(expected)]
    assert rows == sorted(theirs)
    assert sorted(found.iou) == pytest.approx(sorted(np.array(vector["iou"])[expected > 0]))


def test_corners_connect_and_gaps_do_not():
    mask = np.zeros((5, 5, 5), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[3, 3, 3] = True
    found = pieces_of(mask, SPACING)
    assert found.n_voxels.tolist() == [2, 1]
    assert found.centres.tolist() == [[0.5, 0.5, 0.5], [3, 3, 3]]


def test_sizes_by_hand():
    mask = np.zeros((9, 8, 7), bool)
    mask[1:4, 2:4, 3] = True
    found = pieces_of(mask, SPACING)
    volume = 6 * 0.8 * 1.1 * 2.5
    assert found.volumes_ml[0] == pytest.approx(volume / 1000)
    assert found.diameters_mm[0] == pytest.approx((6 * volume / math.pi) ** (1 / 3))
    assert found.longest_mm[0] == pytest.approx(math.sqrt((3 * 0.8) ** 2 + (2 * 1.1) ** 2 + 2.5**2))


@given(masks)
def test_the_longest_diameter_is_between_the_farthest_corners(mask):
    found = pieces_of(mask, SPACING)
    assert len(found) == found.labels.max()
    for number, longest in enumerate(found.longest_mm, start=1):
        voxels = np.argwhere(found.labels == number)
        corners = np.concatenate([voxels + step for step in product((0, 1), repeat=3)]) * SPACING
        assert longest == pytest.approx(pdist(corners).max())


def test_of_a_large_lesion_the_hull_says_the_same():
    places = (np.indices((41, 31, 23)).transpose(1, 2, 3, 0) - (20, 15, 11)) * SPACING
    found = pieces_of(np.linalg.norm(places, axis=3) < 11.0, SPACING)
    diagonal = math.hypot(*SPACING)  # from corner to corner of voxels, so up to half a voxel more at both ends
    assert 22 < found.longest_mm[0] < 22 + diagonal
    assert found.diameters_mm[0] == pytest.approx(22, rel=0.02)


@given(masks, masks)
def test_overlaps_are_plain_counts(one, other):
    gt, pred = pieces_of(one, SPACING), pieces_of(other, SPACING)
    found = overlaps_of(gt, pred, SPACING)
    table = np.zeros((len(gt), len(pred)), int)
    table[found.gt_numbers, found.pred_numbers] = found.n_shared
    for i, j in product(range(len(gt)), range(len(pred))):
        assert table[i, j] == ((gt.labels == i + 1) & (pred.labels == j + 1)).sum()
    np.testing.assert_array_equal(found.shared_of_gt, table.sum(axis=1))
    np.testing.assert_array_equal(found.shared_of_pred, table.sum(axis=0))


def test_specks_below_a_volume_are_no_lesions():
    mask = np.zeros((7, 7, 7), bool)
    mask[0, 0, 0] = True
    mask[3:5, 3:5, 3:5] = True
    assert pieces_of(mask, SPACING, at_least_mm3=2.2).n_voxels.tolist() == [1, 8]  # a voxel has 2.2 mm³
    assert pieces_of(mask, SPACING, at_least_mm3=2.3).n_voxels.tolist() == [8]


def test_fragments_within_reach_are_one_lesion_in_mm():
    mask = np.zeros((12, 5, 5), bool)
    mask[1, 2, 2] = mask[5, 2, 2] = True  # 3.2 mm apart along i
    assert len(pieces_of(mask, SPACING, join_mm=0.8)) == 2
    joined = pieces_of(mask, SPACING, join_mm=1.6)
    assert joined.n_voxels.tolist() == [2]
    assert (joined.labels > 0).sum() == 2


def test_a_plane_has_lesions_too():
    plane = np.zeros((6, 9), bool)
    plane[1, 1] = plane[2, 2] = plane[4, 7] = True
    found = pieces_of(plane, (0.5, 2.0))
    assert found.n_voxels.tolist() == [2, 1]
    assert found.diameters_mm[1] == pytest.approx(math.sqrt(4 / math.pi))
    assert found.longest_mm[1] == pytest.approx(math.hypot(0.5, 2.0))


def test_nothing_has_no_lesion():
    nothing = pieces_of(np.zeros((4, 3, 2), bool), SPACING)
    assert (len(nothing), nothing.longest_mm.shape, nothing.centres.shape) == (0, (0,), (0, 3))
    found = overlaps_of(nothing, nothing, SPACING)
    assert len(found.n_shared) == 0
    assert found.iou.shape == (0,)
