"""Every rule on the vector, and the pairing against every possible one."""

from __future__ import annotations

import json
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ctatlas.errors import ModelError
from ctatlas.measure.lesions import overlaps_of, pieces_of
from ctatlas.measure.matching import RULES, matched

SPACING = (0.8, 1.1, 2.5)
masks = arrays(bool, (7, 5, 3), elements=st.sampled_from([False, True, True]))


@pytest.fixture(scope="module")
def vector(vectors):
    return json.loads((vectors / "lesions.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def overlaps(vectors):
    with np.load(vectors / "lesions.npz") as stored:
        gt, pred = (pieces_of(stored[side].astype(bool), (1, 1, 1)) for side in ("gt", "pred"))
    return overlaps_of(gt, pred, (1, 1, 1))


def test_any_overlap(overlaps, vector):
    found = matched(overlaps, "overlap")
    assert found.found.sum() == vector["any_overlap"]["gt_detected"]
    assert (~found.right).sum() == vector["any_overlap"]["pred_fp"]
    missed = overlaps.gt.n_voxels[overlaps.shared_of_gt == 0].sum()
    invented = overlaps.pred.n_voxels[overlaps.shared_of_pred == 0].sum()
    assert missed == vector["volumes"]["fn_volume_voxels_no_overlap"]
    assert invented == vector["volumes"]["fp_volume_voxels_no_overlap"]


@pytest.mark.parametrize("above", [0.0, 0.1, 0.5])
def test_one_partner_each(overlaps, vector, above):
    found, theirs = matched(overlaps, "one_to_one", above), vector[f"hungarian_iou_gt_{above}"]
    assert found.found.sum() == found.right.sum() == len(found.iou) == theirs["tp"]
    assert (~found.found).sum() == theirs["fn"]
    assert (~found.right).sum() == theirs["fp"]
    assert sorted(found.iou) == pytest.approx(sorted(pair[2] for pair in theirs["pairs"]), rel=1e-12)


def test_a_share_of_the_lesion_can_be_asked_for(overlaps):
    shares = overlaps.shared_of_gt / overlaps.gt.n_voxels
    for share in (0.1, 0.3, 0.9):
        assert matched(overlaps, "overlap", share).found.sum() == (shares >= share).sum()
    assert matched(overlaps, "overlap", 0.3).right.sum() == 5  # a predicted piece needs one right voxel


@given(masks, masks, st.sampled_from([0.0, 0.1, 0.4]))
def test_no_pairing_has_a_larger_sum_of_iou(one, other, above):
    rng = np.random.default_rng(int(one.sum() + 31 * other.sum()))
    one, other = one & (rng.random(one.shape) < 0.3), other & (rng.random(other.shape) < 0.3)
    gt, pred = pieces_of(one, SPACING), pieces_of(other, SPACING)
    overlaps = overlaps_of(gt, pred, SPACING)
    table = np.zeros((max(len(gt), len(pred)),) * 2)
    table[overlaps.gt_numbers, overlaps.pred_numbers] = np.where(overlaps.iou > above, overlaps.iou, 0)
    if len(table) > 6:
        table = table[:0, :0]  # too many orders to try
    best = max(sum(table[i, j] for i, j in enumerate(order)) for order in permutations(range(len(table))))
    found, greedy = matched(overlaps, "one_to_one", above), matched(overlaps, "greedy", above)
    assert found.iou.sum() >= best - 1e-12
    for each in (found, greedy):
        assert (each.iou > above).all()
        assert len(set(each.gt_numbers.tolist())) == len(set(each.pred_numbers.tolist())) == len(each.iou)
    assert greedy.iou.sum() <= found.iou.sum() + 1e-12


def row_of(*ranges):
    mask = np.zeros((2, 22, 3), bool)
    for first, last in ranges:
        mask[0, first:last, 1] = True
    return mask


def test_greedy_takes_the_best_pair_first_even_where_two_others_were_more():
    gt, pred = row_of((3, 13), (14, 21)), row_of((0, 7), (8, 18))
    overlaps = overlaps_of(pieces_of(gt, SPACING), pieces_of(pred, SPACING), SPACING)
    assert sorted(overlaps.iou) == pytest.approx([4 / 13, 4 / 13, 5 / 15])
    assert matched(overlaps, "greedy").iou.tolist() == pytest.approx([5 / 15])
    assert matched(overlaps, "one_to_one").iou.tolist() == pytest.approx([4 / 13, 4 / 13])
    assert matched(overlaps, "one_to_one", 4 / 13).iou.tolist() == pytest.approx([5 / 15])  # above, not at


def test_a_centre_in_the_lesion_or_near_its_centre():
    gt, pred = np.zeros((20, 9, 9), bool), np.zeros((20, 9, 9), bool)
    gt[2:5, 3:6, 3:6] = gt[12:15, 3:6, 3:6] = True
    pred[3, 4, 4] = True  # in the first
    pred[17, 4, 4] = True  # 4 voxels of 0.8 mm from the centre of the second
    overlaps = overlaps_of(pieces_of(gt, SPACING), pieces_of(pred, SPACING), SPACING)
    assert matched(overlaps, "centre").found.tolist() == [True, False]
    assert matched(overlaps, "centre").right.tolist() == [True, False]
    assert matched(overlaps, "centre", 3.0).found.tolist() == [True, False]
    assert matched(overlaps, "centre", 3.3).found.tolist() == [True, True]
    assert matched(overlaps, "centre", 3.3).right.tolist() == [True, True]


@pytest.mark.parametrize("rule", RULES)
def test_nothing_on_a_side_is_all_missed_or_all_invented(rule):
    some, nothing = np.zeros((5, 4, 3), bool), np.zeros((5, 4, 3), bool)
    some[1, 1, 1] = some[3, 3, 1] = True
    missed = matched(overlaps_of(pieces_of(some, SPACING), pieces_of(nothing, SPACING), SPACING), rule)
    assert (missed.found.tolist(), missed.right.tolist()) == ([False, False], [])
    invented = matched(overlaps_of(pieces_of(nothing, SPACING), pieces_of(some, SPACING), SPACING), rule)
    assert (invented.found.tolist(), invented.right.tolist()) == ([], [False, False])


@pytest.mark.parametrize(
    ("rule", "threshold", "complaint"),
    [
        ("best", None, "'best'; there are overlap, one_to_one, greedy, centre"),
        ("one_to_one", 1.0, "one_to_one at 1"),
        ("overlap", -0.1, "overlap at -0.1"),
        ("centre", -1.0, "from 0 and below 1000"),
        ("centre", float("nan"), "centre at nan"),
    ],
)
def test_odd_rules_are_refused(overlaps, rule, threshold, complaint):
    with pytest.raises(ModelError, match=complaint):
        matched(overlaps, rule, threshold)


def test_exactly_the_share_is_enough():
    overlaps = overlaps_of(pieces_of(row_of((2, 10)), SPACING), pieces_of(row_of((6, 14)), SPACING), SPACING)
    assert matched(overlaps, "overlap", 0.5).found.tolist() == [True]
    assert matched(overlaps, "overlap", 0.51).found.tolist() == [False]
