"""Against the stored vectors, and scipy called pair by pair on the files as written."""

from __future__ import annotations

import math
import time
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ctatlas.benchmark.analysis import Choices, analyse
from ctatlas.benchmark.correction import holm
from ctatlas.benchmark.pairwise import compare, corrected, effects
from ctatlas.benchmark.resampling import Resampling
from ctatlas.benchmark.signed_rank import one_sided, rank_biserial
from tests.benchmark.conftest import scores_of
from tests.support.results_tables import STRUCTURES, Generated

NAN = math.nan


@pytest.mark.parametrize("zeros", ["wilcox", "pratt", "zsplit"])
def test_the_signed_rank_test_gives_the_stored_p(zeros: Any, vectors: dict[str, Any]) -> None:
    stored = vectors["wilcoxon"]
    differences = np.array([stored["a"]]) - np.array([stored["b"]])
    assert one_sided(100 * differences, zeros)[0] == pytest.approx(stored["res"][f"{zeros},auto,greater"][1], rel=1e-12)


@pytest.mark.parametrize("zeros", ["wilcox", "pratt", "zsplit"])
@pytest.mark.parametrize("n", [1, 2, 8, 20, 60])
def test_is_scipys_with_ties_and_zeros(n: int, zeros: Any) -> None:
    differences = np.random.default_rng(n).integers(-1, 4, (4, n)).astype(float)
    differences[:, 0] = 2
    theirs = [stats.wilcoxon(row, zero_method=zeros, alternative="greater").pvalue for row in differences]
    assert one_sided(differences, zeros) == pytest.approx(theirs, rel=1e-12)


def test_few_cases_with_ties_take_no_time() -> None:
    differences = np.random.default_rng(0).integers(-2, 4, (3000, 13)).astype(float)
    began = time.process_time()
    one_sided(differences)
    assert time.process_time() - began < 5  # scipy tries 8192 choices of signs for each: half an hour


def test_identical_scores_give_no_claim() -> None:
    assert one_sided(np.zeros((1, 20)))[0] == 1.0


def test_what_is_equal_on_paper_ties_whatever_floats_say() -> None:
    on_paper = np.array([[0.1, -0.1, 0.1, 0.2, 0.3]])
    noisy = np.array([[0.9 - 0.8, 0.7 - 0.8, 0.4 - 0.3, 0.5 - 0.3, 0.8 - 0.5]])
    assert len(np.unique(np.abs(noisy))) > 3
    assert one_sided(noisy)[0] == one_sided(on_paper)[0]


def test_equals_scipy_on_the_cases_that_all_models_have(generated: Generated) -> None:
    found = analyse(generated.folder, choices=Choices(resamples=100)).comparisons
    everybody = generated.has.all(axis=0)
    written = np.round(generated.values["dsc"], 4)[:, everybody]
    for s, structure in enumerate(STRUCTURES):
        there = np.isfinite(written[0, :, s])
        ours = {(c.better, c.worse): c for c in found if (c.metric, c.structure) == ("dsc", structure)}
        pairs = list(permutations(range(4), 2))
        differences = [np.round(written[a, there, s] - written[b, there, s], 8) for a, b in pairs]
        theirs = [stats.wilcoxon(each, alternative="greater").pvalue for each in differences]
        names = [(generated.models[a], generated.models[b]) for a, b in pairs]
        assert [ours[pair].p for pair in names] == pytest.approx(theirs, rel=1e-9)
        assert [ours[pair].p_holm for pair in names] == pytest.approx(list(holm(np.array(theirs))), rel=1e-9)
        assert {ours[pair].n for pair in names} == {int(there.sum())}


def test_the_average_is_tested_on_means_per_case() -> None:
    scores = scores_of([[[0.9, 0.5], [0.8, NAN]] * 10, [[0.5, 0.5], [0.7, NAN]] * 10])
    average = [c for c in compare(scores, "wilcox") if (c.structure, c.better) == ("average", "m0")]
    assert [(c.n, c.worse) for c in average] == [(20, "m1")]
    assert average[0].p == pytest.approx(stats.wilcoxon([20.0, 10.0] * 10, alternative="greater").pvalue)


def test_of_distances_the_smaller_is_better() -> None:
    rng = np.random.default_rng(0)
    near = rng.uniform(1, 2, (30, 1))
    scores = scores_of([near.tolist(), (near + 1).tolist()], metric="hd95")
    p = {c.better: c.p for c in compare(scores, "wilcox") if c.structure == "liver"}
    assert p["m0"] < 1e-6
    assert p["m1"] > 0.99


@pytest.mark.parametrize(("family", "m"), [("map", 2), ("metric", 6), ("all", 6)])
def test_the_family_is_as_large_as_stated(family: Any, m: int) -> None:
    rng = np.random.default_rng(0)
    scores = scores_of(rng.uniform(0.5, 1, (2, 9, 2)).tolist())
    tests = compare(scores, "wilcox")
    assert len(tests) == 6  # two directions of liver, spleen and the average
    found = corrected(tests, family, 0.05)
    smallest = min((c for c in found if family != "map" or c.structure == "liver"), key=lambda c: c.p)
    assert smallest.p_holm == pytest.approx(min(1, m * smallest.p))


def test_an_effect_is_the_mean_difference_with_wins_and_losses() -> None:
    scores = scores_of([[[0.9], [0.5], [0.6], [0.7]], [[0.8], [0.6], [0.6], [0.4]]])
    draws = Resampling.draw(range(4), 500, np.random.default_rng(0))
    (effect,) = [e for e in effects(scores, draws) if e.structure == "liver"]
    assert (effect.model_a, effect.model_b, effect.n) == ("m0", "m1", 4)
    assert effect.difference == pytest.approx((10 - 10 + 0 + 30) / 4)
    assert (effect.wins, effect.ties, effect.losses) == (2, 1, 1)
    assert effect.rank_biserial == pytest.approx((1.5 + 3 - 1.5) / 6)
    assert effect.ci_low < effect.difference < effect.ci_high


def test_no_difference_at_all_has_no_effect() -> None:
    assert rank_biserial(np.zeros((1, 5)))[0] == 0
