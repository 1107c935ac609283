"""The strategies against numbers known from elsewhere, and what all of them owe."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.atlas.queries import STRATEGIES, Draw, strategy_called
from ctatlas.atlas.queries.aift import aift_score
from ctatlas.atlas.queries.diverse import best_batch, farthest_first
from ctatlas.atlas.queries.plain import foreground_weights
from ctatlas.atlas.queries.sampling import drawn, inclusion
from ctatlas.atlas.queries.stratified import beta_at, power_noised, shares, stratified
from ctatlas.errors import AtlasError
from tests.atlas.queries.drawn import places

# Source: the demo of AIFT, run; reference table of seven patterns with 2.22e-16 in the logarithms.
PATTERNS = {
    "A": ([0.4] * 3 + [0.5] * 6 + [0.6] * 2, (7.52, 2.02, 4.38, 0.00, 11.90, 2.02)),
    "B": ([0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.6, 0.7, 0.8, 1, 1], (4.57, 0.83, 1237.21, 20.79, 1241.77, 21.62)),
    "C": ([0, 0, 0, 0.1, 0.1, 0.9, 0.9, 1, 1, 1, 1], (1.30, 0.00, 2816.66, 0.00, 2817.96, 0.00)),
    "D": ([1] * 7 + [0.9] * 4, (1.30, 0.00, 189.54, 0.00, 190.84, 0.00)),
    "E": ([0] * 7 + [0.1] * 4, (1.30, 0.00, 189.54, 0.00, 190.84, 0.00)),
    "F": ([0, 0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.3, 0.9, 1], (3.24, 0.33, 1076.87, 13.54, 1080.11, 13.86)),
    "G": ([0, 0.1, 0.7, 0.8, 0.8, 0.9, 0.9, 0.9, 0.9, 1, 1], (3.24, 0.33, 1076.87, 13.54, 1080.11, 13.86)),
}
EPSILON = 2.22e-16


@pytest.mark.parametrize(("pattern", "expected"), PATTERNS.values(), ids=PATTERNS)
def test_the_seven_patterns_of_aift(pattern, expected):
    told = [
        aift_score(np.array([pattern]), floor=EPSILON, share=share, entropy=entropy, diversity=diversity)[0]
        for entropy, diversity in ((1, 0), (0, 1), (1, 1))
        for share in (1.0, 0.25)
    ]
    assert told == pytest.approx(expected, abs=0.01)


def test_diversity_is_bounded_by_default():
    certain = aift_score(np.array([[0.0, 1.0] * 13 + [0.5]]))[0] / 27**2
    assert certain < 7.0  # 2 * log(999) / 2; with the rounding error in the logarithm it would be above 18


def test_power_noise_draws_in_proportion_to_the_score_to_beta():
    rng = np.random.default_rng(0)
    scores = np.tile([1.0, 2.0, 4.0], (40_000, 1))
    for beta, expected in ((1, (1 / 7, 2 / 7, 4 / 7)), (2, (0.048, 0.190, 0.762))):
        first = power_noised(scores.ravel(), beta, rng).reshape(scores.shape).argmax(axis=1)
        assert np.bincount(first) / len(first) == pytest.approx(expected, abs=0.01)


def test_the_exponent_rises_from_1_to_100():
    assert [beta_at(t / 4) for t in range(5)] == pytest.approx([1, 3.162, 10, 31.62, 100], rel=1e-3)


@pytest.mark.parametrize(
    ("n", "n_classes", "expected", "rest"), [(40, 13, [2] * 13, 14), (20, 3, [4, 4, 5], 7), (1, 3, [0, 0, 0], 1)]
)
def test_budgets_are_split_as_published(n, n_classes, expected, rest):
    each, left = shares(n, n_classes, np.random.default_rng(3))
    assert (sorted(each.tolist()), left) == (expected, rest)


def test_the_core_set_goes_to_the_farthest():
    line = np.array([[0.0], [1.0], [5.0], [9.0]])
    assert farthest_first(line, np.array([True, False, False, False]), 3).tolist() == [3, 2, 1]


def test_the_core_set_without_anything_known_begins_far_out():
    line = np.array([[-1.0], [0.5], [3.0], [-4.0]])
    assert farthest_first(line, np.zeros(4, bool), 4).tolist() == [3, 2, 0, 1]


def test_stochastic_batches_are_better_than_chance_and_not_the_top():
    rng = np.random.default_rng(5)
    held = places(400, rng)
    chosen = best_batch(held.entropy, held, Draw(40, rng))
    top = np.sort(held.entropy)[-40:].mean()
    assert held.entropy.mean() + 0.05 < held.entropy[chosen].mean() < top - 0.05


def test_every_structure_gets_its_share_and_no_place_twice():
    rng = np.random.default_rng(6)
    held = places(300, rng)
    chosen = stratified(held.entropy, held.entropy, held, Draw(60, rng), 1.0)
    assert np.unique(held.structure[chosen], return_counts=True)[1].tolist() == [20, 20, 20]
    assert len(set(chosen.tolist())) == 60


def test_what_a_structure_cannot_fill_goes_to_the_others():
    rng = np.random.default_rng(7)
    held = places(50, rng)
    few = np.flatnonzero(held.structure == "aorta")[:2]
    part = held.part(np.concatenate([few, np.flatnonzero(held.structure == "liver")]))
    chosen = stratified(part.entropy, part.entropy, part, Draw(len(part), rng), 1.0)
    assert sorted(chosen.tolist()) == list(range(len(part)))


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@given(seed=st.integers(0, 2**31), n=st.integers(1, 40))
def test_all_owe_the_same(name, seed, n):
    rng = np.random.default_rng(seed)
    held = places(30, rng)
    held.asked[rng.permutation(30)[:10]] = True
    chosen = STRATEGIES[name].choose(held, Draw(n, np.random.default_rng(seed), 0.5))
    assert len(chosen) == len(set(chosen.tolist())) == min(n, 20)
    assert not held.asked[chosen].any()
    again = STRATEGIES[name].choose(held, Draw(n, np.random.default_rng(seed), 0.5))
    assert chosen.tolist() == again.tolist()


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_nothing_left_is_nothing_chosen(name):
    held = places(5, np.random.default_rng(1))
    held.asked[:] = True
    assert STRATEGIES[name].choose(held, Draw(3, np.random.default_rng(0))).tolist() == []


@pytest.mark.parametrize(
    ("name", "column"), [("entropy", "entropy"), ("bald", "bald"), ("attention-size", "attention_ml")]
)
def test_the_plain_ones_ask_for_the_highest(name, column):
    held = places(50, np.random.default_rng(2))
    chosen = STRATEGIES[name].choose(held, Draw(10, np.random.default_rng(0)))
    values = getattr(held, column)
    assert values[chosen].tolist() == sorted(values, reverse=True)[:10]


def test_the_default_asks_for_more_gain_than_chance():
    held = places(400, np.random.default_rng(3))
    chosen = STRATEGIES["default"].choose(held, Draw(60, np.random.default_rng(0), 1.0))
    rate = held.gain / held.minutes
    assert rate[chosen].mean() > 1.5 * rate.mean()


def test_an_unknown_strategy_is_refused_with_the_known_ones():
    with pytest.raises(AtlasError, match=r"did you mean 'entropy'.*foreground-random"):
        strategy_called("entropie")


def test_every_strategy_says_what_it_is_and_where_from():
    assert len(STRATEGIES) >= 10
    assert [row.name for row in STRATEGIES.values() if not row.about or not row.source] == []


def test_foreground_weights_are_thirds():
    structure = np.array(["liver", "liver", "aorta", "aorta"])
    weights = foreground_weights(structure, np.array([3.0, 1, 0, 0]), np.array([0.0, 1, 1, 0]))
    # a third a quarter each; a third on the liver alone; a third half on the liver's border, half on the aorta's
    assert weights == pytest.approx([1 / 12 + 1 / 4, 1 / 12 + 1 / 12 + 1 / 6, 1 / 12 + 1 / 6, 1 / 12])


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=20), st.integers(1, 20))
def test_chances_add_up_and_stay_chances(weights, n):
    n = min(n, len(weights))
    chances = inclusion(np.array(weights), n)
    assert chances.sum() == pytest.approx(n)
    assert (chances > 0).all()
    assert (chances <= 1 + 1e-9).all()


def test_draws_happen_with_the_chances_told():
    rng = np.random.default_rng(11)
    weights = np.array([8.0, 3, 1, 1, 1, 0.5])
    hits = np.zeros(6)
    for _ in range(20_000):
        chosen, chances = drawn(weights, 3, rng)
        assert len(set(chosen.tolist())) == 3
        hits[chosen] += 1
    assert hits / 20_000 == pytest.approx(chances, abs=0.015)
