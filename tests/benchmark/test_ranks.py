from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from ctatlas.benchmark.pairwise import compare, corrected
from ctatlas.benchmark.ranks import Ranking, kendall, over_everything, ranked, rankings
from ctatlas.benchmark.resampling import Resampling
from ctatlas.benchmark.scores import Scores
from tests.benchmark.conftest import scores_of


def rank(scores: Scores) -> dict[tuple[str, str, str], Ranking]:
    draws = Resampling.draw(range(len(scores.cases)), 300, np.random.default_rng(0))
    found = rankings(scores, draws, corrected(compare(scores, "wilcox"), "map", 0.05))
    return {(each.structure, each.mean_kind, each.method): each for each in found}


@pytest.fixture(scope="module")
def clear() -> dict[tuple[str, str, str], Ranking]:
    """Return rankings of three models: two that differ by nothing but noise, and one far behind."""
    rng = np.random.default_rng(0)
    base = rng.uniform(0.7, 0.9, (60, 2))
    return rank(scores_of([(base + rng.normal(0, 0.01, base.shape) - behind).tolist() for behind in (0.3, 0, 0)]))


def test_kendall_is_scipys() -> None:
    rng = np.random.default_rng(0)
    drawn, ranks = rng.integers(1, 5, (40, 6)).astype(float), np.array([1, 2, 2, 4, 5, 6.0])
    theirs = [stats.kendalltau(row, ranks).statistic for row in drawn]
    assert kendall(drawn, ranks) == pytest.approx(theirs)


def test_mean_ranks_are_those_of_friedmans_test(vectors: dict[str, Any]) -> None:
    stored = vectors["friedman"]
    scores = np.array(stored["scores"])
    assert ranked(scores).mean(axis=0) == pytest.approx(stored["mean_ranks"])
    found = rank(scores_of(scores.T[:, :, None].tolist()))
    assert found["liver", "structure", "mean_rank"].values == pytest.approx(stored["mean_ranks"])


@pytest.mark.parametrize("method", ["mean", "median", "mean_rank", "tests_won"])
def test_a_model_far_behind_is_last_by_every_method(clear, method: str) -> None:
    ranking = clear["average", "per_case", method]
    assert ranking.ranks[0] == 3
    assert not ranking.tied[0]


def test_a_clear_last_place_stays_and_an_unclear_first_is_shared_among_the_draws(clear) -> None:
    ranking = clear["average", "per_structure", "mean"]
    rows = {row.model: row for row in ranking.rows()}
    assert (rows["m0"].rank_low, rows["m0"].rank_high, rows["m0"].first_share) == (3, 3, 0)
    assert sum(row.first_share for row in rows.values()) == pytest.approx(1)
    assert rows["m1"].tied_with_first
    assert rows["m2"].tied_with_first
    assert 0.3 < rows["m0"].tau_low <= rows["m0"].tau_median <= rows["m0"].tau_high <= 1


def test_draws_of_the_structure_mean_are_means_of_structures() -> None:
    values = np.array([[[0.9, 0.1], [0.9, 0.1], [0.9, 0.5]], [[0.6, 0.5], [0.6, 0.5], [0.6, 0.5]]])
    found = rank(scores_of(values.tolist()))["average", "per_structure", "mean"]
    assert found.values == pytest.approx(100 * values.mean(axis=1).mean(axis=1))
    assert found.models[int(found.ranks.argmin())] == "m0"


def test_volume_errors_rank_by_their_size_not_by_their_mean() -> None:
    found = rank(scores_of([[[-0.5], [0.5]], [[0.1], [0.1]]], metric="volume_error"))
    assert found["liver", "structure", "mean"].ranks.tolist() == [2, 1]


def test_equal_models_share_their_place() -> None:
    found = rank(scores_of([[[0.5], [0.6]], [[0.5], [0.6]]]))
    assert found["liver", "structure", "mean"].ranks.tolist() == [1.5, 1.5]
    assert found["liver", "structure", "mean"].first_share.tolist() == [0.5, 0.5]


def test_over_everything_the_ranks_are_averaged(clear) -> None:
    (overall,) = over_everything(list(clear.values()))
    parts = [clear[name, "structure", "mean"].ranks for name in ("liver", "spleen")]
    assert overall.values == pytest.approx(np.mean(parts, axis=0))
    assert overall.ranks[0] == 3
