from itertools import combinations

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.atlas.consensus import AT_MOST_ANNOTATORS, Votes, agreement, majority, staple, staple_mask

SHAPE = (19, 14, 11)


def ball(radius: float, centre: tuple[float, float, float] = (9, 7, 5)) -> np.ndarray:
    places = np.indices(SHAPE)
    return np.asarray(
        sum(((axis - at) / scale) ** 2 for axis, at, scale in zip(places, centre, (1.3, 1, 0.8), strict=True))
        < radius**2
    )


def noisy(truth: np.ndarray, sensitivity: float, specificity: float, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).random(truth.shape)
    return np.where(truth, drawn < sensitivity, drawn > specificity)


def simple_itk(masks: list[np.ndarray]) -> tuple[np.ndarray, list[float], list[float]]:
    step = SimpleITK.STAPLEImageFilter()
    step.SetForegroundValue(1)
    found = step.Execute([SimpleITK.GetImageFromArray(mask.astype(np.uint8)) for mask in masks])
    return SimpleITK.GetArrayFromImage(found), list(step.GetSensitivity()), list(step.GetSpecificity())


@pytest.mark.parametrize("n", [2, 3, 5])
def test_staple_gives_what_simple_itk_gives_within_the_box(n: int) -> None:
    truth = ball(4.2)
    rates = [(0.95, 0.99), (0.8, 0.97), (0.99, 0.9), (0.7, 0.995), (0.9, 0.95)][:n]
    masks = [noisy(truth, *rate, seed) for seed, rate in enumerate(rates)]
    near = 2e-3 if n == 2 else 1e-5  # two annotators fit a whole curve of qualities equally well
    votes = Votes.of(masks)
    ours = staple(votes)
    cut = [np.ascontiguousarray(mask[votes.box]) for mask in masks]
    theirs, sensitivity, specificity = simple_itk(cut)
    np.testing.assert_allclose(ours.sensitivity, sensitivity, atol=near)
    np.testing.assert_allclose(ours.specificity, specificity, atol=near)
    np.testing.assert_array_equal(staple_mask(votes)[votes.box], theirs >= 0.5)
    table = {tuple(pattern): value for pattern, value in zip(votes.patterns.tolist(), ours.probability, strict=True)}
    probability = [table[tuple(bool(mask[at]) for mask in cut)] for at in np.ndindex(theirs.shape)]
    np.testing.assert_allclose(probability, theirs.ravel(), atol=near)


def test_staple_trusts_the_good_against_the_many_bad() -> None:
    truth = ball(4.2)
    masks = [noisy(truth, 0.99, 0.99, 1), noisy(truth, 0.98, 0.99, 2), *(noisy(truth, 0.6, 0.7, s) for s in (3, 4, 5))]
    votes = Votes.of(masks)
    wrong = {
        name: int((mask ^ truth).sum())
        for name, mask in (("staple", staple_mask(votes)), ("majority", majority(votes)))
    }
    assert wrong["staple"] < wrong["majority"] / 2
    order = staple(votes).sensitivity.argsort()
    assert set(order[-2:]) == {0, 1}


def test_the_result_does_not_depend_on_how_much_of_the_body_the_scan_shows() -> None:
    masks = [noisy(ball(4.2), 0.9, 1.0, seed) for seed in range(3)]
    wider = [np.pad(mask, ((30, 20), (0, 9), (40, 1))) for mask in masks]
    here, there = Votes.of(masks), Votes.of(wider)
    np.testing.assert_allclose(staple(here).probability, staple(there).probability)
    np.testing.assert_array_equal(np.pad(staple_mask(here), ((30, 20), (0, 9), (40, 1))), staple_mask(there))
    assert agreement(here) == agreement(there)


def test_majority_takes_more_than_half_and_leaves_ties_to_the_last() -> None:
    a, b = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    a[2:6, 3:9, 4], b[4:9, 3:9, 4] = True, True
    np.testing.assert_array_equal(majority(Votes.of([a, b])), b)
    np.testing.assert_array_equal(majority(Votes.of([b, a])), a)
    np.testing.assert_array_equal(majority(Votes.of([a, b, b])), b)
    np.testing.assert_array_equal(majority(Votes.of([a, b, np.zeros(SHAPE, bool)])), a & b)


@given(st.integers(1, 6), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_counts_agree_with_counting_voxel_by_voxel(n: int, share: float, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    masks = [drawn.random((5, 4, 3)) < share * drawn.random() for _ in range(n)]
    votes = Votes.of(mask for mask in masks)
    stacked = np.stack(masks)
    found = agreement(votes)
    dices = [
        1.0 if not (a.any() or b.any()) else 2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in combinations(masks, 2)
    ] or [1.0]
    assert found.dice == pytest.approx(np.mean(dices))
    assert found.lowest_dice == pytest.approx(min(dices))
    assert found.disputed_voxels == (stacked.any(axis=0) & ~stacked.all(axis=0)).sum()
    yes = stacked.sum(axis=0)
    half = (2 * yes == n) & stacked[-1]
    np.testing.assert_array_equal(majority(votes), (2 * yes > n) | half)
    estimated = staple(votes)
    assert np.isfinite(estimated.probability).all()
    assert ((estimated.sensitivity >= 0) & (estimated.sensitivity <= 1)).all()


def test_kappa_is_one_for_the_same_near_zero_for_chance_and_negative_for_contradiction() -> None:
    drawn = np.random.default_rng(5)
    one = drawn.random((30, 30, 30)) < 0.5
    assert agreement(Votes.of([one, one, one])).kappa == 1
    assert abs(agreement(Votes.of([one, drawn.random((30, 30, 30)) < 0.5])).kappa) < 0.02
    assert agreement(Votes.of([one, ~one])).kappa == pytest.approx(-1, abs=1e-3)


def test_a_worked_example_of_fleiss() -> None:
    """Four voxels, three annotators, votes 3, 2, 1, 0: P = (1 + 1/3 + 1/3 + 1) / 4, by chance 1/2."""
    masks = np.zeros((3, 4, 1, 1), bool)
    masks[0, :3], masks[1, :2], masks[2, :1] = True, True, True
    votes = Votes.of([*masks, np.zeros((4, 1, 1), bool)][:3])
    box = votes.box[0]  # the empty voxel lies outside of the box that holds the masks, so it doesn't count
    assert (box.start, box.stop) == (0, 3)
    alike, share = (1 + 1 / 3 + 1 / 3) / 3, 6 / 9
    chance = share**2 + (1 - share) ** 2
    assert agreement(votes).kappa == pytest.approx((alike - chance) / (1 - chance))


def test_all_agree_that_there_is_nothing() -> None:
    votes = Votes.of([np.zeros(SHAPE, bool)] * 3)
    assert agreement(votes).dice == agreement(votes).kappa == 1
    assert not majority(votes).any()
    assert not staple_mask(votes).any()


@pytest.mark.parametrize("n", [0, AT_MOST_ANNOTATORS + 1])
def test_too_few_or_too_many_masks_are_refused(n: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 16"):
        Votes.of([np.zeros(SHAPE, bool)] * n)
