"""Distances between border voxels against SciPy's distance transform of the whole array, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_erosion, distance_transform_edt

from ctatlas.measure.borders import border, measured
from ctatlas.measure.counts import Counts
from ctatlas.measure.metrics import chosen_metrics
from ctatlas.measure.pair import Masks, Pair

METRICS = chosen_metrics(["hd", "hd95", "assd", "masd", "asd_gt_to_pred", "asd_pred_to_gt", "nsd"])
spacings = st.tuples(*[st.sampled_from([0.7, 0.8, 1.1, 2.5, 5.0])] * 3)
masks = arrays(bool, (7, 6, 5))


def pair_of(gt, pred, spacing):
    counts = Counts(int(gt.sum()), int(pred.sum()), int((gt & pred).sum()), 1.0)
    return Pair("liver", tuple(spacing), counts, lambda: Masks(gt, pred, (0,) * gt.ndim))


def plain(gt, pred, spacing, tolerance):
    """Transform the whole array, as the tools do."""
    borders = [mask ^ binary_erosion(mask) for mask in (gt, pred)]
    ways = [distance_transform_edt(~borders[1 - k], sampling=spacing)[borders[k]] for k in (0, 1)]
    both = np.concatenate(ways)
    return {
        ("hd", None): both.max(),
        ("hd95", None): max(np.percentile(way, 95) for way in ways),
        ("assd", None): both.mean(),
        ("masd", None): (ways[0].mean() + ways[1].mean()) / 2,
        ("asd_gt_to_pred", None): ways[0].mean(),
        ("asd_pred_to_gt", None): ways[1].mean(),
        ("nsd", tolerance): (both <= tolerance).mean(),
    }


@given(masks, masks, spacings)
def test_all_metrics_in_space(gt, pred, spacing):
    gt[1, 2, 3] = pred[5, 1, 0] = True  # neither is empty
    found = measured(pair_of(gt, pred, spacing), METRICS, [1.1])
    assert found == plain(gt, pred, spacing, 1.1)


@given(arrays(bool, (9, 7)), arrays(bool, (9, 7)), spacings)
def test_all_metrics_in_a_plane(gt, pred, spacing):
    gt[1, 2] = pred[5, 1] = True
    found = measured(pair_of(gt, pred, spacing[:2]), METRICS, [1.1])
    assert found == plain(gt, pred, spacing[:2], 1.1)


def test_a_far_speck_costs_no_array_around_it():
    gt, pred = np.zeros((900, 5, 5), bool), np.zeros((900, 5, 5), bool)
    gt[3:8, 1:4, 1:4] = pred[3:8, 1:4, 1:4] = pred[895, 4, 4] = True
    found = measured(pair_of(gt, pred, (0.8, 1.0, 2.5)), METRICS, [1.0])
    assert found == plain(gt, pred, (0.8, 1.0, 2.5), 1.0)


def test_pooling_hides_the_worse_direction():
    gt, pred = np.zeros((120, 3, 3), bool), np.zeros((120, 3, 3), bool)
    gt[0:60] = pred[0:60] = True
    pred[64:104, 1, 1] = True  # 40 of some 520 border voxels of the prediction, of 1,000 of both
    pair, hd95 = pair_of(gt, pred, (1.0, 1.0, 1.0)), chosen_metrics(["hd95"])
    apart = measured(pair, hd95, [])["hd95", None]
    assert measured(pair, hd95, [], is_pooled=True)["hd95", None] < apart


def test_single_precision_decides_a_tie():
    gt, pred = np.zeros((9, 1, 1), bool), np.zeros((9, 1, 1), bool)
    gt[0], pred[3] = True, True  # 3 * 1.1 = 3.3000000000000003
    pair, nsd = pair_of(gt, pred, (1.1, 1.0, 1.0)), chosen_metrics(["nsd"])
    assert measured(pair, nsd, [3.3]) == {("nsd", 3.3): 0}
    assert measured(pair, nsd, [3.3], is_single=True) == {("nsd", 3.3): 1}


@pytest.mark.parametrize("shape", [(4, 5, 3), (6, 4)])
def test_outside_of_the_array_is_background(shape):
    full = np.ones(shape, bool)
    np.testing.assert_array_equal(border(full), full & ~np.pad(np.ones([n - 2 for n in shape], bool), 1))


def test_without_a_mask_there_is_no_distance_and_nothing_within():
    some, nothing = np.ones((2, 2, 2), bool), np.zeros((2, 2, 2), bool)
    found = measured(pair_of(some, nothing, (1.0, 1.0, 1.0)), METRICS, [1.0])
    assert {value for (metric, _), value in found.items() if metric != "nsd"} == {None}
