from __future__ import annotations

import numpy as np
import pytest

from ctatlas.benchmark.resampling import Resampling, interval


def test_means_and_medians_are_those_of_the_drawn_cases_written_out() -> None:
    rng = np.random.default_rng(1)
    draws = Resampling.draw(range(7), 50, rng)
    values = rng.normal(size=(7, 3))
    written_out = [np.repeat(values, weights.astype(int), axis=0) for weights in draws.weights]
    assert draws.means(values) == pytest.approx(np.array([each.mean(axis=0) for each in written_out]))
    assert draws.medians(values) == pytest.approx(np.array([np.median(each, axis=0) for each in written_out]))


def test_cases_of_a_patient_are_drawn_together() -> None:
    draws = Resampling.draw([5, 5, 9, 9, 9, 2], 100, np.random.default_rng(0))
    assert (draws.weights[:, 0] == draws.weights[:, 1]).all()
    assert (draws.weights[:, 2] == draws.weights[:, 4]).all()
    assert (draws.weights[:, [0, 2, 5]].sum(axis=1) == 3).all()


def test_a_case_without_a_value_does_not_count() -> None:
    draws = Resampling(np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]]))
    means = draws.means(np.array([[1.0], [4.0], [np.nan]]))
    assert means[0, 0] == 2.0
    assert np.isnan(means[1, 0])


def test_the_interval_of_draws_that_are_partly_undefined_is_that_of_the_others() -> None:
    draws = np.stack([np.arange(101.0), np.r_[np.nan, np.arange(1, 101.0)], np.full(101, np.nan)], axis=1)
    low, high = interval(draws)
    assert (low[0], high[0]) == pytest.approx((2.5, 97.5))
    assert low[1] == pytest.approx(1 + 0.025 * 99)
    assert np.isnan(low[2])


def test_the_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    samples = rng.normal(10, 2, size=(60, 400))
    low, high = interval(Resampling.draw(range(60), 1000, rng).means(samples))
    assert 0.91 <= np.mean((low < 10) & (high > 10)) <= 0.97
