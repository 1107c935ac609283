"""Areas, curves and operating points against the vectors, scikit-learn's definitions and the plain double sum."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ctatlas.measure.roc import (
    area,
    average_precision,
    compare_areas,
    operating_point,
    patient_level,
    roc_curve,
    threshold_for_sensitivity,
    threshold_for_specificity,
)

TRUTH = np.array([1, 1, 0, 1, 0, 0, 0], bool)
SCORE = np.array([9.0, 7.0, 7.0, 3.0, 2.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def vector(shared_data: Path) -> dict:
    stored = json.loads((shared_data.parent / "reference" / "vectors" / "statistics.json").read_text(encoding="utf-8"))
    return stored | {name: np.array(stored[name]) for name in ("y", "s1", "s2")}


rows = st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=40)


def split(rows):
    truth, score = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], float)
    assume(truth.any() and not truth.all())
    return truth, score


def plain_area(truth, score):
    """Share of pairs ordered right, a tie being half: the definition, with its DeLong variance."""
    above = score[truth][:, None] - score[~truth][None]
    psi = (above > 0) + 0.5 * (above == 0)
    rows, columns = psi.mean(axis=1), psi.mean(axis=0)
    return psi.mean(), rows.var(ddof=1) / len(rows) + columns.var(ddof=1) / len(columns)


def test_areas_variances_and_intervals_of_the_vector(vector):
    for k, name in enumerate(("s1", "s2")):
        found = area(vector["y"], vector[name])
        assert found.value == pytest.approx(vector["auc"][k], rel=1e-12)
        assert found.variance == pytest.approx(vector["cov"][k][k], rel=1e-12)
        low, high = vector["ci95_logit"][0][k], vector["ci95_logit"][1][k]
        assert (found.interval.low, found.interval.high) == pytest.approx((low, high), rel=1e-12)


def test_two_models_of_the_vector(vector):
    found = compare_areas(vector["y"], vector["s1"], vector["s2"])
    assert found.difference == pytest.approx(vector["delta"], rel=1e-12)
    assert found.z == pytest.approx(vector["z"], rel=1e-12)
    assert found.p == pytest.approx(vector["p_two_sided"], rel=1e-12)
    assert found.interval.low < 0 < found.interval.high


def test_average_precision_of_the_vector(vector):
    found = [average_precision(vector["y"], vector[name]) for name in ("s1", "s2")]
    assert found == pytest.approx(vector["average_precision"], rel=1e-12)


@given(rows)
def test_area_is_the_share_of_pairs_in_order(rows):
    truth, score = split(rows)
    assume(truth.sum() > 1 and (~truth).sum() > 1)
    found = area(truth, score)
    value, variance = plain_area(truth, score)
    assert (found.value, found.variance) == pytest.approx((value, variance), abs=1e-12)
    assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1


@given(rows)
def test_area_is_what_lies_under_the_curve_and_turns_with_the_score(rows):
    truth, score = split(rows)
    curve = roc_curve(truth, score)
    assert np.trapezoid(curve.sensitivity, curve.false_positive_rate) == pytest.approx(
        area(truth, score).value, abs=1e-12
    )
    assert area(truth, -score).value == pytest.approx(1 - area(truth, score).value, abs=1e-12)


@given(rows)
def test_the_curve_counts_whoever_reaches_the_threshold(rows):
    truth, score = split(rows)
    curve = roc_curve(truth, score)
    called = score[None] >= curve.thresholds[:, None]
    np.testing.assert_array_equal(curve.true_positives, (called & truth).sum(axis=1))
    np.testing.assert_array_equal(curve.false_positives, (called & ~truth).sum(axis=1))
    assert (np.diff(curve.thresholds) < 0).all()


def test_perfect_separation_is_not_certain():
    truth = np.array([True] * 5 + [False] * 20)
    found = area(truth, truth.astype(float))
    assert (found.value, found.variance, found.interval.high) == (1, 0, 1)
    assert found.interval.low == pytest.approx(
        0.025 ** (1 / 5)
    )  # five pairs of five in order: the exact binomial bound
    assert area(truth, -truth.astype(float)).interval.high == pytest.approx(1 - 0.025 ** (1 / 5))


def test_one_patient_of_a_kind_says_nothing_of_the_variance():
    found = area(np.array([True, False, False]), np.array([2.0, 1.0, 3.0]))
    assert found.value == 0.5
    assert math.isnan(found.variance)
    assert (found.interval.low, found.interval.high) == (0, 1)


def test_a_model_does_not_differ_from_itself():
    found = compare_areas(TRUTH, SCORE, SCORE)
    assert (found.difference, found.z, found.p) == (0, 0, 1)


def test_an_operating_point_by_hand():
    found = operating_point(TRUTH, SCORE, 7)
    shares = [found.sensitivity, found.specificity, found.positive_predictive_value, found.negative_predictive_value]
    assert [(share.count, share.n) for share in shares] == [(2, 3), (3, 4), (2, 3), (3, 4)]
    assert found.sensitivity.interval.low == pytest.approx(0.2076596, abs=1e-6)


def test_thresholds_of_a_wanted_sensitivity_and_specificity():
    assert threshold_for_sensitivity(TRUTH, SCORE, 0.6) == 7
    assert threshold_for_sensitivity(TRUTH, SCORE, 0.9) == 3
    assert threshold_for_specificity(TRUTH, SCORE, 0.75) == 3
    assert threshold_for_specificity(TRUTH, SCORE, 1) == 9
    assert threshold_for_specificity(TRUTH, -SCORE, 1) == math.inf


@given(rows, st.floats(0, 1))
def test_thresholds_keep_what_was_asked(rows, share):
    truth, score = split(rows)
    sensitive = operating_point(truth, score, threshold_for_sensitivity(truth, score, share))
    specific = operating_point(truth, score, threshold_for_specificity(truth, score, share))
    assert sensitive.sensitivity.value >= share
    assert specific.specificity.value >= share


def test_a_patient_is_sick_in_any_scan_and_as_suspicious_as_the_worst():
    truth, score = patient_level(["b", "a", "b", "c"], [False, False, True, False], [0.1, 0.4, 0.3, 0.2])
    assert truth.tolist() == [True, False, False]
    assert score.tolist() == [0.3, 0.4, 0.2]


@pytest.mark.parametrize(
    ("truth", "score", "complaint"),
    [
        ([True, True], [1, 2], "2 of 2 patients are sick"),
        ([False], [1], "0 of 1"),
        ([True, False], [1, math.nan], "not finite"),
        ([True, False], [1], "shape"),
    ],
)
def test_what_has_no_curve_is_refused(truth, score, complaint):
    with pytest.raises(ValueError, match=complaint):
        roc_curve(np.array(truth), np.array(score, float))
