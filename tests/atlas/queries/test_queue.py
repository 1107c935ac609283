"""Queues, and what answers to their random share say about the rest."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion

from ctatlas.atlas.attention import Member, attend, ensemble_masks, limits
from ctatlas.atlas.queries import Budget, candidates_in, make_queue, places_record, remaining_error, tiles_of
from ctatlas.atlas.queries.plain import audit_weights, foreground_weights
from ctatlas.atlas.queries.remaining import answer_to, estimated
from ctatlas.atlas.queries.sampling import drawn
from ctatlas.atlas.records import QueryItem, RevisedMask, RevisionRecord
from ctatlas.errors import AtlasError
from ctatlas.volume import Grid
from tests.atlas.queries.drawn import places

GRID = Grid((61, 47, 33), np.diag([-3.4, -4.2, 6.0, 1.0]))


def seen():
    index = np.stack(np.indices(GRID.shape), axis=-1)
    distance = np.linalg.norm(GRID.world(index) - GRID.world((30, 23, 16)), axis=-1)
    members = [Member(np.where(distance < radius, 255, 0).astype(np.uint8), GRID) for radius in (60, 68)]
    masks = ensemble_masks(["liver"], lambda _: members, GRID)
    (found,) = attend(["liver"], lambda _: members, masks, GRID)
    return found


def test_tiles_hold_every_voxel_once():
    liver = seen()
    count = np.zeros(GRID.shape, int)
    tiles = list(tiles_of("case-1", liver))
    for tile in tiles:
        count[tile.box.slices] += 1
    assert count.max() == 1
    assert (count[liver.mask.whole()] == 1).all()
    assert sum(tile.foreground_ml for tile in tiles) == pytest.approx(liver.mask.values.sum() * GRID.voxel_ml)
    assert sum(tile.gain for tile in tiles) == pytest.approx(liver.found.record.score)
    assert len(tiles) == 8
    assert max((np.array(tile.box.shape) * GRID.spacing_mm).max() for tile in tiles) <= limits().hot_spot_at_most_mm + 6


def test_the_border_is_counted_once_and_only_at_the_border():
    liver = seen()
    whole = liver.mask.whole()
    expected = (whole & ~binary_erosion(whole)).sum() * GRID.voxel_ml
    assert sum(tile.border_ml for tile in tiles_of("case-1", liver)) == pytest.approx(expected)


def test_a_structure_that_nobody_found_is_a_place_too():
    nothing = [Member(np.zeros(GRID.shape, np.uint8), GRID)]
    masks = ensemble_masks(["liver"], lambda _: nothing, GRID)
    (found,) = attend(["liver"], lambda _: nothing, masks, GRID)
    (tile,) = tiles_of("case-1", found)
    assert tile.box.hi == GRID.shape
    assert (tile.gain, tile.foreground_ml) == (0, 0)


def test_places_come_back_from_their_record():
    tiles = list(tiles_of("case-1", seen()))
    back = candidates_in({"case-1": places_record(tiles)})
    assert back.box == tuple(tile.box for tile in tiles)
    assert back.gain == pytest.approx([tile.gain for tile in tiles], rel=1e-5)
    assert back.patches == pytest.approx(np.array([tile.patches for tile in tiles]), abs=1 / 255)
    assert set(back.case) == {"case-1"}


@given(st.integers(0, 1000), st.floats(2, 60))
def test_a_queue_fits_its_budget_and_is_the_same_again(seed, budget):
    held = places(60, np.random.default_rng(seed))
    record = make_queue(held, Budget(budget), number=3, seed=seed)
    assert record == make_queue(held, Budget(budget), number=3, seed=seed)
    chosen = [item for item in record.items if not item.is_random]
    assert sum(item.minutes for item in chosen) <= budget
    assert [item.rank for item in record.items] == list(range(1, len(record.items) + 1))


def test_a_share_is_always_random_with_known_chances():
    held = places(200, np.random.default_rng(1))
    record = make_queue(held, Budget(100), number=1, strategy="entropy")
    audit = [item for item in record.items if item.is_random]
    assert len(audit) == 10  # 10 % of the minutes, a minute each
    assert all(0 < item.inclusion <= 1 and item.lo is None for item in audit)
    assert len({(item.case, item.structure) for item in audit}) == 10
    assert sum(not item.is_random for item in record.items) > 20


def test_what_was_asked_is_not_asked_again_but_may_be_audited():
    held = places(60, np.random.default_rng(1))
    held.asked[:] = True
    record = make_queue(held, Budget(20), number=1)
    assert all(item.is_random for item in record.items)


@given(st.integers(0, 1000), st.integers(1, 70), st.floats(2, 60) | st.none())
def test_a_queue_has_no_more_places_than_asked_for(seed, n, minutes):
    held = places(60, np.random.default_rng(seed))
    record = make_queue(held, Budget(math.inf if minutes is None else minutes, n), number=1, seed=seed)
    audit = [item for item in record.items if item.is_random]
    assert len(record.items) <= max(n, 2)
    assert (record.budget_places, record.budget_minutes) == (n, minutes)
    if minutes is None:
        assert len(record.items) == min(max(n, 2), len(held) + len(audit))
        assert len(audit) >= max(2, round(0.1 * n))


def test_nothing_to_ask_is_said():
    with pytest.raises(AtlasError, match="nothing to ask"):
        make_queue(places(0, np.random.default_rng(1)), Budget(10), number=1)


def revision(number, structure, changed=None):
    masks = {}
    if changed is not None:
        masks = {
            structure: RevisedMask(sha256="", volume_ml=1, n_voxels=1, added_ml=changed / 2, removed_ml=changed / 2)
        }
    return RevisionRecord(number=number, author="a", created="", reviewed=(structure,), masks=masks)


def test_only_answers_given_after_the_question_count():
    held = places(200, np.random.default_rng(1))
    cases = sorted(set(held.case.tolist()))
    query = make_queue(held, Budget(100), number=1, revisions=dict.fromkeys(cases, 1))
    old = {case: [revision(1, name, 5.0) for name in ("liver", "spleen", "aorta")] for case in cases}
    assert remaining_error([query], old) is None
    audit = [item for item in query.items if item.is_random]
    new = {case: list(revisions) for case, revisions in old.items()}
    for item in audit[:4]:
        new[item.case].append(revision(2, item.structure, 8.0))
    new[audit[4].case].append(revision(2, audit[4].structure))  # looked at, nothing to change
    found = remaining_error([query], new)
    assert (found.n_asked, found.n_answered) == (10, 5)
    chances = np.array([item.inclusion for item in audit[:4]]) * 5 / 10
    assert found.wrong_ml.value == pytest.approx((8.0 * (1 / chances - 1)).sum())


def test_the_newest_answered_query_tells():
    held = places(200, np.random.default_rng(1))
    queries = [make_queue(held, Budget(100), number=number) for number in (1, 2, 3)]
    audit = [item for query in queries[:2] for item in query.items if item.is_random]
    revisions = {item.case: [] for item in audit}
    for item in audit:
        revisions[item.case].append(revision(len(revisions[item.case]) + 1, item.structure, 1.0))
    third = {(item.case, item.structure) for item in queries[2].items if item.is_random}
    answered = {(item.case, item.structure) for item in audit}
    assert remaining_error(queries, revisions).query == (3 if len(third & answered) >= 2 else 2)


def test_the_interval_holds_the_truth_most_of_the_time_and_the_mean_is_right():
    rng = np.random.default_rng(21)
    n_units, n = 600, 60
    foreground = rng.lognormal(3, 1, n_units)
    structure = rng.choice(["liver", "spleen", "aorta"], n_units)
    wrong = np.where(rng.random(n_units) < 0.4, rng.gamma(2, 2, n_units) * (0.5 + foreground / foreground.mean()), 0)
    dices = 1 - wrong / (wrong + 2 * foreground)
    weights = foreground_weights(structure, foreground, foreground ** (2 / 3))
    held, errors = np.zeros(3), []
    for _ in range(400):
        chosen, chances = drawn(weights, n, rng)
        volume, share, dice = estimated(wrong[chosen], dices[chosen], chances[chosen])
        truth = wrong.sum() - wrong[chosen].sum()
        truths = (truth, (wrong > 0.5).mean(), dices.mean())
        held += [each.low <= value <= each.high for each, value in zip((volume, share, dice), truths, strict=True)]
        errors.append(volume.value - truth)
    assert (held / 400 >= 0.88).all()
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(400)


def test_nothing_wrong_found_is_not_nothing_wrong():
    volume, share, dice = estimated(np.zeros(30), np.ones(30), np.full(30, 0.05))
    assert (volume.value, share.value, dice.value) == (0, 0, 1)
    assert 0.05 < share.high < 0.2


def test_what_nobody_found_is_drawn_like_others_of_its_kind():
    structure = np.array(["liver", "liver", "liver", "aorta"])
    weights = audit_weights(structure, np.array([900.0, 900, 0, 50]), np.array([90.0, 90, 0, 20]))
    assert weights[2] == pytest.approx(weights[0])
    assert foreground_weights(structure, np.array([900.0, 900, 0, 50]), np.zeros(4))[2] < weights[2]


@pytest.mark.parametrize(
    ("added", "removed", "after", "expected"),
    [(0, 0, 10, (0, 1)), (10, 0, 10, (10, 0)), (2, 3, 10, (5, 2 * 8 / 21)), (0, 4, 0, (4, 0)), (0, 0, 0, (0, 1))],
)
def test_answers_are_measured_from_the_record_alone(added, removed, after, expected):
    mask = RevisedMask(sha256="", volume_ml=after, n_voxels=1, added_ml=added, removed_ml=removed)
    record = RevisionRecord(number=1, author="a", created="", masks={"liver": mask})
    item = QueryItem(rank=1, case="c", structure="liver", score=0, minutes=1)
    assert answer_to(item, [record]) == pytest.approx(expected)


def test_boxes_in_which_nothing_is_likely_are_left_out():
    values = np.zeros(GRID.shape, np.uint8)
    values[:3, :3, :3] = values[-3:, -3:, -3:] = 255
    told = [Member(values, GRID)]
    masks = ensemble_masks(["liver"], lambda _: told, GRID)
    (found,) = attend(["liver"], lambda _: told, masks, GRID)
    tiles = list(tiles_of("case-1", found))
    assert len(tiles) == 2
    assert sum(tile.foreground_ml for tile in tiles) == pytest.approx(54 * GRID.voxel_ml)
