from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ctatlas.measure.agreement import concordance, limits_of_agreement

volumes = arrays(
    np.float64, st.shared(st.integers(3, 12), key="n"), elements=st.floats(0, 2000).map(lambda v: round(v, 3))
)


def test_a_constant_shift_costs_concordance_but_not_correlation():
    first = np.array([10.0, 20.0, 40.0, 80.0])
    shift, variance = 7.0, first.var()
    assert concordance(first, first + shift) == pytest.approx(2 * variance / (2 * variance + shift**2), rel=1e-14)


@given(volumes, volumes)
def test_concordance_is_symmetric_and_at_most_the_correlation(first, second):
    value = concordance(first, second)
    if math.isnan(value):
        assert (first == second).all() or first.var() + second.var() == 0
        return
    assert value == pytest.approx(concordance(second, first), abs=1e-12)
    assert -1 - 1e-9 <= value <= 1 + 1e-9
    if first.std() > 1e-6 and second.std() > 1e-6:
        assert abs(value) <= abs(np.corrcoef(first, second)[0, 1]) + 1e-9


def test_equal_volumes_agree_wholly():
    assert concordance(np.array([1.0, 2.0, 9.0]), np.array([1.0, 2.0, 9.0])) == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("values", [[], [3.0], [2.0, 2.0]])
def test_no_spread_no_concordance(values):
    assert math.isnan(concordance(np.array(values), np.array(values)))


def test_limits_by_hand():
    first, second = np.array([10.0, 20.0, 30.0, 40.0]), np.array([11.0, 19.0, 33.0, 41.0])
    limits = limits_of_agreement(first, second)
    assert (limits.n, limits.bias) == (4, 1.0)
    assert limits.sd == pytest.approx(math.sqrt(8 / 3))
    assert (limits.low, limits.high) == pytest.approx((1 - 1.959963985 * limits.sd, 1 + 1.959963985 * limits.sd))
    assert limits.bias_interval.high - 1 == pytest.approx(3.182446305 * limits.sd / 2)  # Student's t with 3 degrees


def test_the_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(11)
    first = rng.uniform(50, 60, (400, 25))
    drawn = [limits_of_agreement(row, row + rng.normal(2, 3, 25)) for row in first]
    true_high = 2 + 1.959963985 * 3
    of_bias = np.mean([each.bias_interval.low <= 2 <= each.bias_interval.high for each in drawn])
    of_limit = np.mean([each.high_interval.low <= true_high <= each.high_interval.high for each in drawn])
    assert 0.92 <= of_bias <= 0.98
    assert 0.91 <= of_limit <= 0.98


def test_two_cases_have_no_limits():
    assert limits_of_agreement(np.array([1.0, 2.0]), np.array([1.0, 3.0])) is None


@pytest.mark.parametrize("function", [concordance, limits_of_agreement])
def test_odd_values_are_refused(function):
    with pytest.raises(ValueError, match="not finite"):
        function(np.array([1.0, math.nan, 2.0]), np.array([1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="shapes"):
        function(np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0]))
