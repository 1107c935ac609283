"""Wilson against the vectors and its definition; the bootstrap against what theory says of a mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.measure.intervals import bootstrap, normal_quantile, proportion

# count, n, low, high. Source: statsmodels 0.15.0 proportion_confint(method="wilson")
WILSON = [
    (0, 10, 0.0, 0.27753279986288926),
    (8, 10, 0.49016247153664183, 0.9433178485456247),
    (10, 10, 0.7224672001371106, 1.0),
    (45, 52, 0.747266798348062, 0.9332311829460386),
    (500, 523, 0.9348761629333197, 0.970519553394204),
]


@pytest.mark.parametrize(("count", "n", "low", "high"), WILSON)
def test_wilson_is_that_of_statsmodels(count, n, low, high):
    interval = proportion(count, n).interval
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-12, abs=1e-15)


@given(st.integers(0, 400), st.integers(0, 400))
def test_wilson_holds_the_share_and_turns_with_it(hits, misses):
    one, other = proportion(hits, hits + misses), proportion(misses, hits + misses)
    assert 0 <= one.interval.low <= one.interval.high <= 1
    assert one.value is None or one.interval.low <= one.value <= one.interval.high
    assert one.interval.low == pytest.approx(1 - other.interval.high, abs=1e-12)


def test_of_nothing_nothing_is_known():
    none = proportion(0, 0)
    assert (none.value, none.interval.low, none.interval.high) == (None, 0, 1)


@pytest.mark.parametrize(("count", "n"), [(3, 2), (-1, 4), (0, -1)])
def test_what_is_no_share_is_refused(count, n):
    with pytest.raises(ValueError, match="no proportion"):
        proportion(count, n)


def test_a_confidence_is_a_share():
    with pytest.raises(ValueError, match="confidence is 95"):
        normal_quantile(95)


def mean_of(values):
    return lambda rows: float(values[rows].mean())


def test_the_bootstrap_of_a_mean_is_as_wide_as_theory_says():
    values = np.random.default_rng(5).normal(3, 2, 400)
    interval = bootstrap(mean_of(values), range(400), np.random.default_rng(1))
    half = 1.96 * values.std() / 20
    assert (interval.low, interval.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_patients_with_many_alike_scans_count_once():
    values = np.repeat(np.random.default_rng(5).normal(0, 1, 100), 9)
    by_patient = bootstrap(mean_of(values), np.repeat(np.arange(100), 9).tolist(), np.random.default_rng(1))
    by_scan = bootstrap(mean_of(values), range(900), np.random.default_rng(1))
    assert (by_patient.high - by_patient.low) / (by_scan.high - by_scan.low) == pytest.approx(3, rel=0.1)


def test_strata_keep_their_numbers():
    sick = np.array([True] * 3 + [False] * 17)
    seen = []
    bootstrap(lambda rows: seen.append(int(sick[rows].sum())) or 0.0, range(20), np.random.default_rng(0), strata=sick)
    assert set(seen) == {3}


def test_the_same_seed_draws_the_same():
    values = np.random.default_rng(2).normal(size=30)
    first, second = (bootstrap(mean_of(values), range(30), np.random.default_rng(7), draws=50) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("patients", [[], ["a"], ["a", "a"]])
def test_one_patient_has_no_interval(patients):
    assert bootstrap(lambda rows: float(len(rows)), patients, np.random.default_rng(0)) is None


def test_a_statistic_that_is_mostly_undefined_has_no_interval():
    assert bootstrap(lambda _rows: math.nan, range(9), np.random.default_rng(0), draws=20) is None
