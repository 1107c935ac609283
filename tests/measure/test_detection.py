"""Lesions of drawn cases, counted by hand; the vector's SQ, RQ and PQ."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, label

from ctatlas.measure.counts import Counts
from ctatlas.measure.detection import LesionRule, detections, lesions_of_pair
from ctatlas.measure.intervals import proportion
from ctatlas.measure.pair import Masks, Pair

OURS = LesionRule()
SHAPE, SPACING = (30, 24, 12), (0.8, 1.0, 2.5)
AFFINE = np.array([[-0.8, 0, 0, 50], [0, 0, 2.5, -20], [0, 1.0, 0, 7], [0, 0, 0, 1.0]])  # axes turned and flipped


def boxes(*corners):
    mask = np.zeros(SHAPE, bool)
    for lo, hi in corners:
        mask[tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))] = True
    return mask


SMALL = ((2, 2, 2), (6, 6, 4))  # 32 voxels, 64 mm³, a ball of 5.0 mm
LARGE = ((8, 8, 2), (28, 22, 10))  # 2240 voxels, 4.48 mL, a ball of 20.5 mm
ELSEWHERE = ((25, 1, 2), (28, 4, 4))  # 18 voxels


def case(name, gt, pred, by=OURS, start=(0, 0, 0), spacing=SPACING):
    counts = Counts(int(gt.sum()), int(pred.sum()), int((gt & pred).sum()), 0.002)
    pair = Pair("liver_tumor", spacing, counts, lambda: Masks(gt, pred, start))
    return lesions_of_pair(pair, AFFINE, case=name, by=by)


def counted(cases, by=OURS, patients=None):
    found = detections(cases, by, patients=patients, rng=np.random.default_rng(0))
    return {(each.rule, each.size_class): each for each in found}


def test_rows_of_a_case():
    found = case("one", boxes(SMALL, LARGE), boxes(((3, 2, 2), (6, 6, 4)), ELSEWHERE), start=(5, 3, 1))
    gt, pred = found.of("reference"), found.of("prediction")
    by_size = sorted(gt, key=lambda lesion: lesion.volume_ml)
    assert [lesion.is_matched for lesion in by_size] == [True, False]
    small, large = by_size
    assert small.volume_ml == pytest.approx(0.064)
    assert small.iou == pytest.approx(24 / 32)
    assert small.shared_ml == pytest.approx(0.048)
    assert [small.size_class, large.size_class] == ["<=10 mm", ">20 mm"]
    centre = AFFINE @ np.array([3.5 + 5, 3.5 + 3, 2.5 + 1, 1])
    assert (small.x_mm, small.y_mm, small.z_mm) == pytest.approx(tuple(centre[:3]))
    right = next(lesion for lesion in pred if lesion.is_matched)
    assert (right.partner, small.partner) == (small.number, right.number)
    assert (large.partner, large.iou, large.shared_ml) == (None, None, 0)
    assert sorted(lesion.is_matched for lesion in pred) == [False, True]


def test_counts_over_cases_by_size():
    cases = [
        case("a", boxes(SMALL, LARGE), boxes(SMALL)),
        case("b", boxes(SMALL), boxes(SMALL, ELSEWHERE)),
        case("c", boxes(), boxes(ELSEWHERE, LARGE)),
        case("d", boxes(), boxes()),
    ]
    found = counted(cases)
    whole = found["one_to_one", "all"]
    assert (whole.n_cases, whole.n_predicted) == (4, 5)
    assert whole.sensitivity == proportion(2, 3)
    assert whole.precision == proportion(2, 5)
    assert whole.false_positives_per_scan == 3 / 4
    assert (whole.f1, whole.sq, whole.pq) == (2 / (2 + 0.5 * (3 + 1)), 1, 0.5)
    assert whole.missed_ml == pytest.approx(4.48 / 4)
    assert whole.invented_ml == pytest.approx((4.48 + 2 * 0.036) / 4)
    small, large = found["one_to_one", "<=10 mm"], found["one_to_one", ">20 mm"]
    assert (small.sensitivity, large.sensitivity) == (proportion(2, 2), proportion(0, 1))
    assert (small.false_positives_per_scan, large.false_positives_per_scan) == (2 / 4, 1 / 4)
    assert found["one_to_one", "10-20 mm"].sensitivity.value is None
    assert (small.sq, small.pq, small.f1) == (None, None, None)


def test_any_voxel_is_the_second_line():
    nearly = boxes(((5, 5, 3), (9, 9, 5)))  # shares a voxel with SMALL
    found = counted([case("a", boxes(SMALL), nearly)])
    assert found["one_to_one", "all"].sensitivity.count == 0
    assert found["overlap", "all"].sensitivity.count == 1
    assert found["overlap", "all"].precision.count == 1
    assert (found["overlap", "all"].threshold, found["overlap", "all"].pq) == (0, None)
    assert found["one_to_one", "all"].pq == 0
    assert found["one_to_one", "all"].missed_ml == 0  # they meet, if by one voxel


def test_the_rule_of_any_overlap_has_one_line():
    by = LesionRule(rule="overlap", threshold=0.5, limits_mm=())
    found = detections([case("a", boxes(SMALL), boxes(LARGE), by)], by, rng=np.random.default_rng(0))
    assert [(each.rule, each.threshold, each.size_class) for each in found] == [("overlap", 0.5, "all")]


@pytest.mark.parametrize("above", [0.1, 0.5])
def test_qualities_of_the_vector(vectors, above):
    theirs = json.loads((vectors / "lesions.json").read_text(encoding="utf-8"))[f"panoptica_{above}"]
    with np.load(vectors / "lesions.npz") as stored:
        gt, pred = (stored[side].astype(bool) for side in ("gt", "pred"))
    by = LesionRule(threshold=above)
    found = counted([case("a", gt, pred, by, spacing=(1.0, 1.0, 1.0))], by)["one_to_one", "all"]
    assert (found.f1, found.sq, found.pq) == pytest.approx((theirs["rq"], theirs["sq"], theirs["pq"]), rel=1e-12)
    assert found.sensitivity == proportion(theirs["tp"], theirs["tp"] + theirs["fn"])
    assert found.precision == proportion(theirs["tp"], theirs["tp"] + theirs["fp"])


def test_patients_not_lesions_are_drawn():
    cases = [case(f"{k}", boxes(SMALL), boxes(SMALL) if k % 2 else boxes()) for k in range(12)]
    alone = counted(cases)["one_to_one", "all"].sensitivity_by_patient
    as_three = {f"{k}": f"p{k % 2}{k // 6}" for k in range(12)}  # every patient all found or all missed
    together = counted(cases, patients=as_three)["one_to_one", "all"].sensitivity_by_patient
    assert together.high - together.low > alone.high - alone.low
    assert counted(cases[:1])["one_to_one", "all"].sensitivity_by_patient is None


def test_a_diameter_at_a_limit_belongs_below_it():
    by = LesionRule()
    assert [by.size_class(mm) for mm in (0.1, 10, 10.1, 20, 20.1)] == ["<=10 mm"] * 2 + ["10-20 mm"] * 2 + [">20 mm"]
    assert LesionRule(limits_mm=()).size_class(5) == "all"


def test_lesions_can_be_classed_by_their_longest_diameter():
    flat = boxes(((2, 2, 2), (22, 3, 3)))  # 16 mm long, a ball of 4.2 mm
    assert [
        case("a", flat, flat, LesionRule(by_longest=longest)).lesions[0].size_class for longest in (False, True)
    ] == [
        "<=10 mm",
        "10-20 mm",
    ]


def by_hand(gt, pred):
    """Say the lesion-wise Dice of one scan as BraTS does, without its dilation: plainly, lesion by lesion."""
    (gt_labels, n_gt), (pred_labels, n_pred) = (label(mask, np.ones((3, 3, 3))) for mask in (gt, pred))
    total, touched = 0.0, set()
    for one in range(1, n_gt + 1):
        met = set(pred_labels[gt_labels == one].tolist()) - {0}
        together = np.isin(pred_labels, list(met))
        lesion = gt_labels == one
        total += 2 * (lesion & together).sum() / (lesion.sum() + together.sum())
        touched |= met
    return total / (n_gt + n_pred - len(touched))


def test_the_dice_of_lesions_is_that_of_brats():
    rng = np.random.default_rng(2)
    scans = [[gaussian_filter(rng.standard_normal(SHAPE), 2) for _ in range(2)] for _ in range(4)]
    masks = [(one > 0.045, one + 0.6 * other > 0.05) for one, other in scans]
    rule = LesionRule(rule="overlap")
    found = counted([case(str(n), *pair, by=rule) for n, pair in enumerate(masks)], rule)["overlap", "all"]
    assert found.sensitivity.n > 20
    assert found.lesion_dsc == pytest.approx(np.mean([by_hand(*pair) for pair in masks]), rel=1e-12)
    assert counted([case("none", boxes(), boxes(), by=rule)], rule)["overlap", "all"].lesion_dsc is None


def test_the_dice_of_pairs_is_that_of_partners():
    found = counted([case("a", boxes(SMALL, LARGE), boxes(((3, 2, 2), (6, 6, 4)), ELSEWHERE))])
    assert found["one_to_one", "all"].lesion_dsc == pytest.approx(2 * 24 / (32 + 24) / 3)
    assert found["one_to_one", ">20 mm"].lesion_dsc is None
