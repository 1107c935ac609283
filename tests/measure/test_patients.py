from __future__ import annotations

import numpy as np
import pytest

from ctatlas.measure.patients import ScoredCase, compare_scores, patient_detection

CASES = [
    ScoredCase(f"case{k}", sick, score)
    for k, (sick, score) in enumerate(
        [(True, 4.0), (True, 2.0), (True, 0.0), (True, 9.0), (False, 0.0), (False, 0.0), (False, 0.5), (False, 0.0)]
    )
]


def test_areas_and_points():
    found = patient_detection(CASES, thresholds=[1.0], rng=np.random.default_rng(0))
    assert (found.n_positive, found.n_negative, found.prevalence) == (4, 4, 0.5)
    assert found.area.value == pytest.approx((3 * 4 + 3 * 0.5 + 0) / 16)
    given, sensitive, specific = found.points
    assert [each.chosen for each in found.points] == ["given", "sensitivity >= 0.9", "specificity >= 0.9"]
    assert (given.point.sensitivity.count, given.point.specificity.count) == (3, 4)
    assert (sensitive.point.threshold, sensitive.point.sensitivity.value) == (0, 1)
    assert (specific.point.threshold, specific.point.specificity.value) == (2, 1)
    interval = found.average_precision_interval
    assert interval.low <= found.average_precision <= interval.high


def test_scans_of_one_patient_count_once():
    found = patient_detection(
        CASES, patients={"case2": "p", "case3": "p", "case4": "q", "case6": "q"}, rng=np.random.default_rng(0)
    )
    assert (found.n_positive, found.n_negative) == (3, 3)
    assert found.area.value == 1  # the missed scan's patient was found in another


@pytest.mark.parametrize("cases", [CASES[:4], CASES[4:], []])
def test_patients_of_one_kind_have_no_curve(cases):
    found = patient_detection(cases, rng=np.random.default_rng(0))
    assert (found.area, found.average_precision, found.points) == (None, None, ())
    assert found.n_positive + found.n_negative == len(cases)


def test_two_scores_are_compared_on_the_cases_that_have_both():
    other = [ScoredCase(case.case, case.is_sick, -case.score) for case in CASES[1:]]
    found = compare_scores(CASES, other)
    assert (found.first.n_positive, found.first.n_negative) == (3, 4)
    assert found.difference == pytest.approx(2 * found.first.value - 1)
    assert compare_scores(CASES[:4], other) is None
