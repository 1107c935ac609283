from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.atlas.ensemble import Collision, decided, differences, mean_probability
from ctatlas.volume import Grid
from tests.volume.strategies import grids, oblique_grid

GRID = oblique_grid("LPS", shape=(7, 6, 5))
NAMES = {1: "liver", 2: "stomach", 3: "spleen"}


def predictions(seed: int, n: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return label maps and probabilities (model, id, i, j, k) uint8 of models that mostly agree; id 0 is nothing."""
    drawn = np.random.default_rng(seed)
    common = drawn.normal(0, 3, (1, 4, *GRID.shape))
    logits = common + drawn.normal(0, 1, (n, 4, *GRID.shape))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return [np.asfortranarray(one.argmax(axis=0).astype(np.uint8)) for one in shares], np.rint(shares * 255).astype(
        np.uint8
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_the_highest_mean_probability_of_what_any_model_says_wins(seed: int, n: int) -> None:
    maps, shares = predictions(seed, n)
    number_of = {name: number for number, name in NAMES.items()}

    def maps_of(name: str) -> Iterator[tuple[np.ndarray, Grid]]:
        return ((one[number_of[name]], GRID) for one in shares)

    labels, _ = decided(differences(iter(maps)), NAMES, GRID, maps_of)
    mean = shares.astype(float).mean(axis=0) / 255
    for voxel in np.ndindex(GRID.shape):
        said = [int(one[voxel]) for one in maps]
        score = {number: mean[(number, *voxel)] for number in said if number}
        if 0 in said:
            score[0] = 1 - sum(score.values())
        best = max(score.values())
        assert score[int(labels[voxel])] == pytest.approx(best, abs=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_without_probabilities_the_number_of_models_counts_and_the_earliest_of_equals(seed: int, n: int) -> None:
    maps, _ = predictions(seed, n)
    labels, _ = decided(differences(iter(maps)), NAMES, GRID)
    for voxel in np.ndindex(GRID.shape):
        said = [int(one[voxel]) for one in maps]
        most = max(said.count(number) for number in said)
        assert int(labels[voxel]) == next(number for number in said if said.count(number) == most)


def test_the_first_map_is_left_as_it_is() -> None:
    maps, _ = predictions(3, 3)
    before = maps[0].copy()
    decided(differences(iter(maps)), NAMES, GRID)
    np.testing.assert_array_equal(maps[0], before)


def test_no_hole_opens_between_organs_that_all_models_call_something() -> None:
    """Two organs of 0.45 and 0.40 each: neither has one half, and still the voxel is not nothing."""
    one, other = np.ones(GRID.shape, np.uint8), np.full(GRID.shape, 2, np.uint8)
    shares = {"liver": [115, 89], "stomach": [102, 110]}

    def maps_of(name: str) -> Iterator[tuple[np.ndarray, Grid]]:
        return ((np.full(GRID.shape, value, np.uint8), GRID) for value in shares[name])

    labels, collisions = decided(differences([one, other]), NAMES, GRID, maps_of)
    assert (labels == 2).all()
    assert collisions == [Collision("stomach", "liver", GRID.n_voxels, "probability")]


def test_a_tumor_of_one_half_has_its_voxels_though_the_organ_has_more() -> None:
    names = {1: "liver", 2: "liver_tumor"}
    one, other = np.ones(GRID.shape, np.uint8), np.full(GRID.shape, 2, np.uint8)
    for tumor, winner in ((150, 2), (100, 1)):
        shares = {"liver": [240, 240], "liver_tumor": [tumor, tumor]}

        def maps_of(name: str, shares: dict[str, list[int]] = shares) -> Iterator[tuple[np.ndarray, Grid]]:
            return ((np.full(GRID.shape, value, np.uint8), GRID) for value in shares[name])

        labels, collisions = decided(differences([one, other]), names, GRID, maps_of)
        assert (labels == winner).all()
        assert collisions == []  # they may share voxels


def test_a_model_says_nothing_about_what_it_does_not_know() -> None:
    knows_all, knows_liver = np.zeros(GRID.shape, np.uint8), np.zeros(GRID.shape, np.uint8)
    knows_all[:3], knows_all[3:5], knows_liver[:4] = 1, 2, 1
    for maps, known in (
        ([knows_liver, knows_all], [{1}, {1, 2, 3}]),
        ([knows_all, knows_liver, knows_liver], [{1, 2, 3}, {1}, {1}]),
    ):
        labels, _ = decided(differences(maps), NAMES, GRID, known=known)
        assert (labels[4] == 2).all()
        assert (labels[:3] == 1).all()
        assert (labels[5:] == 0).all()


def test_probabilities_are_taken_where_the_voxel_lies_in_the_patient() -> None:
    """A map of the world's x on a coarser grid of other axes gives the voxel's own x."""
    coarse = GRID.resampled((2.0, 3.0, 4.0)).reoriented("PSR")
    reach = np.abs(coarse.corners_mm[:, 0]).max() + 10
    to_255 = 255 / (2 * reach)
    x = coarse.world(np.moveaxis(np.indices(coarse.shape), 0, -1))[..., 0]
    values = np.rint((x + reach) * to_255).astype(np.uint8)
    inner = np.array([(i, j, k) for i in (2, 3, 4) for j in (2, 3) for k in (2,)])
    points = np.ravel_multi_index(tuple(inner.T), GRID.shape, order="F")
    found = mean_probability(iter([(values, coarse), (values, coarse)]), GRID, points)
    np.testing.assert_allclose(found * 255 / to_255 - reach, GRID.world(inner)[:, 0], atol=1 / to_255)


@given(grids(), st.integers(0, 2**32 - 1))
def test_differences_are_all_voxels_that_differ(grid: Grid, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    maps = [drawn.integers(0, 3, grid.shape, np.uint8) for _ in range(3)]
    found = differences(iter(maps))
    stacked = np.stack([one.ravel(order="F") for one in maps])
    np.testing.assert_array_equal(found.points, np.flatnonzero((stacked != stacked[0]).any(axis=0)))
    np.testing.assert_array_equal(found.said, stacked[:, found.points])
