"""The corrected attention: what the published one cannot see is seen, and only blur is passed over."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.atlas.attention import (
    Boxed,
    Member,
    Prior,
    attend,
    attention_of,
    combined,
    doubt,
    ensemble_masks,
    hot_spots_record,
    limits,
    minutes,
    overlaps,
    published_csv,
    published_order,
    ranked_cases,
    ranked_structures,
    ranking_csv,
)
from ctatlas.atlas.attention.hotspots import together
from ctatlas.atlas.attention.maps import Cause
from ctatlas.kernels.boxes import Box
from ctatlas.volume import Grid

FINE = Grid((60, 50, 40), np.diag([-1.1, -0.9, 2.0, 1.0]))
COARSE = FINE.resampled((4.0, 4.0, 4.0))


def ball(center_mm, radius_mm, grid=COARSE, inside=255):
    index = np.stack(np.indices(grid.shape), axis=-1)
    distance = np.linalg.norm(grid.world(index) - center_mm, axis=-1)
    return Member(np.where(distance < radius_mm, inside, 0).astype(np.uint8), grid)


def brick(lo_mm, hi_mm, value, grid=FINE):
    """Fill the voxels whose centres lie in a box of the world (x and y run to the negative)."""
    world = grid.world(np.stack(np.indices(grid.shape), axis=-1))
    inside = ((world >= lo_mm) & (world < hi_mm)).all(axis=-1)
    return Member(np.where(inside, value, 0).astype(np.uint8), grid)


def found_for(members, name="liver", priors=(), masks=None):
    masks = masks or ensemble_masks([name], lambda _: members, FINE)
    (seen,) = attend([name], lambda _: members, masks, FINE, {name: tuple(priors)})
    return seen.found


MIDDLE = FINE.world((30, 25, 20))


def test_the_blur_of_a_coarse_grid_is_no_doubt():
    sure = found_for([ball(MIDDLE, 18)] * 3)
    assert sure.record.ml == 0
    assert sure.hotspots == ()


def test_a_thin_vessel_that_nobody_is_sure_of_stays():
    vessel = brick((-34, -23, 2), (-32, -21, 70), 140)  # 2 mm thick: the published opening drops it
    found = found_for([vessel] * 3, "aorta")
    assert found.record.entropy_ml == pytest.approx(np.count_nonzero(vessel.values) * FINE.voxel_ml)
    assert found.hotspots[0].reason == "members are unsure"


def test_an_organ_that_all_miss_with_some_probability_is_seen():
    faint = brick((-50, -40, 10), (-20, -10, 50), 38)  # 0.15 everywhere, nowhere above one half
    found = found_for([faint] * 3, "spleen")
    volume_ml = np.count_nonzero(faint.values) * FINE.voxel_ml
    assert found.record.ml == pytest.approx(volume_ml, rel=0.02)
    assert found.record.score == 1.0  # nothing to lose, everything to gain
    assert sum(spot.ml for spot in found.hotspots) == pytest.approx(found.record.ml)


def test_members_that_disagree_by_a_thin_layer_are_seen():
    members = [brick((-50, -40, 10), (x, -10, 50), 255) for x in (-20, -20, -18)]
    found = found_for(members)
    assert found.record.disagreement_ml == pytest.approx(2 * 30 * 40 / 1000, rel=0.2)
    assert found.hotspots[0].reason.startswith("members disagree")


def test_crumbs_are_dropped_by_what_may_be_wrong_in_them():
    crumb = brick((-34, -23, 20), (-31, -20, 24), 128)
    assert np.count_nonzero(crumb.values) * FINE.voxel_ml * 0.5 < limits().piece_at_least_wrong_ml
    assert found_for([crumb]).record.ml == 0


def test_scores_do_not_depend_on_voxel_size():
    fine = FINE.resampled((0.6, 0.6, 0.7))
    members = [brick((-50, -40, 10), (x, -10, 50), 255, fine) for x in (-20, -20, -14)]
    masks = ensemble_masks(["liver"], lambda _: members, fine)
    (seen,) = attend(["liver"], lambda _: members, masks, fine)
    on_fine, on_scan = seen.found, found_for(members)
    assert on_fine.record.score == pytest.approx(on_scan.record.score, rel=0.1)
    assert on_fine.record.ml == pytest.approx(on_scan.record.ml, rel=0.15)


def test_a_small_organ_counts_as_much_as_a_large_one():
    small = found_for([brick((-40, -30, 20), (x, -20, 30), 255) for x in (-30, -25)], "adrenal_gland_left")
    large = found_for([brick((-60, -40, 10), (x, -10, 70), 255) for x in (-50, -35)], "liver")
    assert small.record.ml < large.record.ml / 50
    assert 0.5 < small.record.score / large.record.score < 2


def masks_of(**members):
    return ensemble_masks(members, lambda name: [members[name]], FINE)


def test_an_organ_that_the_mask_leaves_out_although_members_are_sure_is_seen():
    sure = brick((-50, -40, 10), (-20, -10, 50), 255)
    nothing, half = Boxed.of(np.zeros(FINE.shape, bool)), Boxed.of(brick((-50, -40, 10), (-20, -10, 30), 1).values > 0)
    left_out = found_for([sure] * 2, masks={"liver": nothing})
    assert left_out.record.contradiction_ml == pytest.approx(np.count_nonzero(sure.values) * FINE.voxel_ml)
    assert left_out.record.score == pytest.approx(1.0)  # nothing to lose
    assert left_out.hotspots[0].reason == "the mask is not what members are sure of"
    cut = found_for([sure] * 2, masks={"liver": half}).record
    assert 0.4 < cut.contradiction_ml / left_out.record.contradiction_ml < 0.5  # less the border


def test_a_drawn_mask_of_what_members_are_sure_is_not_there_is_seen():
    sure, drawn = brick((-50, -40, 10), (-20, -10, 50), 255), brick((-50, -40, 10), (-20, -10, 76), 255)
    found = found_for([sure] * 2, masks={"liver": Boxed.of(drawn.values > 0)})
    assert found.record.contradiction_ml == pytest.approx(30 * 30 * (76 - 50 - 2) / 1000, rel=0.15)
    assert found_for([sure] * 2).record.contradiction_ml == 0


def test_overlaps_of_all_that_may_not_overlap_are_marked():
    a, b = brick((-50, -40, 10), (-25, -10, 50), 255), brick((-30, -40, 10), (-10, -10, 50), 255)
    marked = overlaps(masks_of(aorta=a, inferior_vena_cava=b))  # the published list leaves vessels out
    shared = np.count_nonzero((a.values > 0) & (b.values > 0))
    assert marked["aorta"].values.sum() == marked["inferior_vena_cava"].values.sum() == shared > 0
    assert overlaps(masks_of(liver=a, liver_tumor=b)) == {}


def test_an_overlap_becomes_a_hot_spot_of_both():
    members = {
        "aorta": [brick((-50, -40, 10), (-25, -10, 50), 255)],
        "liver": [brick((-30, -40, 10), (-10, -10, 50), 255)],
    }
    masks = ensemble_masks(members, members.__getitem__, FINE)
    found = {seen.structure: seen.found for seen in attend(members, members.__getitem__, masks, FINE)}
    for name in members:
        assert found[name].record.overlap_ml > 0
        assert found[name].hotspots[0].reason == "overlaps a structure that it may not"
        spot = found[name].hotspots[0]
        assert found[name].heat.whole()[tuple(slice(a, b) for a, b in zip(spot.lo, spot.hi, strict=True))].max() == 254


def test_a_broken_rule_marks_the_structure_in_its_box():
    sure = brick((-50, -40, 10), (-20, -10, 50), 255)
    prior = Prior("side swapped", "error", Box((0, 0, 0), FINE.shape))
    found = found_for([sure], "kidney_left", [prior])
    assert found.record.prior_ml == pytest.approx(np.count_nonzero(sure.values) * FINE.voxel_ml)
    assert {spot.reason for spot in found.hotspots} == {"rule side swapped"}
    assert found_for([sure], "kidney_left", [Prior("odd", "note", prior.box)]).hotspots == ()


def test_a_structure_that_must_be_there_is_asked_for():
    nothing = brick((0, 0, 0), (0, 0, 0), 255)
    found = found_for([nothing], "liver", [Prior("missing", "error", None)])
    assert found.record.score == 1.0
    (spot,) = found.hotspots
    assert (spot.lo, spot.hi) == ((0, 0, 0), FINE.shape)
    assert spot.minutes == minutes().draw_structure
    assert "missing" in spot.reason


def test_a_missing_structure_that_members_see_is_not_asked_for_twice():
    grid = Grid((50, 40, 60), np.diag([4.0, 4.0, 4.0, 1.0]))
    values = np.zeros(grid.shape, np.uint8)
    values[5:45, 5:35, 5:40] = 255  # 2.7 litres
    nothing = {"liver": Boxed.of(np.zeros(grid.shape, bool))}
    priors = {"liver": (Prior("missing", "error", None),)}
    (seen,) = attend(["liver"], lambda _: [Member(values, grid)], nothing, grid, priors)
    assert seen.found.hotspots
    assert not any(spot.absent for spot in seen.found.hotspots)
    assert sum(spot.minutes for spot in seen.found.hotspots) < 1.2 * minutes().draw_structure


def test_hot_spots_fit_a_screen_and_hold_the_whole_map():
    large = Grid((50, 40, 60), np.diag([4.0, 4.0, 4.0, 1.0]))
    values = np.zeros(large.shape, np.uint8)
    values[2:48, 3:39, 1:59] = 128
    members = [Member(values, large)]
    masks = ensemble_masks(["liver"], lambda _: members, large)
    (seen,) = attend(["liver"], lambda _: members, masks, large)
    found = seen.found
    boxes = [spot for spot in found.hotspots if "more places" not in spot.reason]
    assert len(boxes) == limits().hot_spots_of_a_structure
    extents = [np.subtract(spot.hi, spot.lo) * 4.0 for spot in boxes]
    assert np.max(extents) <= limits().hot_spot_at_most_mm
    assert sum(spot.ml for spot in found.hotspots) == pytest.approx(found.record.ml)
    assert sum(spot.score for spot in found.hotspots) == pytest.approx(found.record.score)
    assert sum(spot.minutes for spot in found.hotspots) < minutes().draw_structure  # all of it is drawn in an hour
    rates = [spot.score / spot.minutes for spot in found.hotspots]
    assert rates == sorted(rates, reverse=True)


def scattered(n, value=128, spacing_mm=40.0):
    """Return a member that is unsure of n cubes of 8 mm in a row along the body."""
    grid = Grid((12, 12, round(n * spacing_mm / 2)), np.diag([-2.0, -2.0, 2.0, 1.0]))
    values = np.zeros(grid.shape, np.uint8)
    for at in range(n):
        values[4:8, 4:8, round(at * spacing_mm / 2) : round(at * spacing_mm / 2) + 4] = value
    return Member(values, grid)


def spots_of(member, mask_ml, priors=()):
    ensemble = combined([member], member.grid)
    return attention_of("colon", doubt(ensemble, ensemble.mask, member.grid), mask_ml, member.grid, priors)


def test_near_places_are_one_hot_spot():
    (spot,) = spots_of(scattered(3), 5.0).hotspots
    assert (spot.lo, spot.hi) == ((4, 4, 0), (8, 8, 44))
    assert spot.minutes < 3 * minutes().of_spot(8.0, 0.0) + minutes().correct


@given(st.integers(0, 10_000), st.integers(1, 30))
def test_what_is_taken_together_fits_a_screen_and_is_no_slower(seed, n):
    rng = np.random.default_rng(seed)
    lo = rng.integers(0, 150, (n, 3))
    hi = lo + rng.integers(1, 30, (n, 3))
    spacing = (1.0, 1.5, 2.5)
    taken = together(lo, hi, rng.uniform(0, 9, n), spacing)
    assert sorted(set(taken.tolist())) == list(range(taken.max() + 1))
    for box in range(taken.max() + 1):
        own = taken == box
        extent_mm = (hi[own].max(axis=0) - lo[own].min(axis=0)) * spacing
        one_by_one = minutes().of_look((hi[own] - lo[own])[:, 2] * spacing[2]).sum()
        assert own.sum() == 1 or extent_mm.max() <= limits().hot_spot_at_most_mm
        assert minutes().of_look(extent_mm[2]) <= one_by_one + 1e-9


def test_far_places_are_one_by_one_and_the_many_are_summed_up():
    found = spots_of(scattered(9, spacing_mm=150.0), 5.0)
    listed = limits().hot_spots_of_a_structure
    assert len(found.hotspots) == listed + 1
    (rest,) = [spot for spot in found.hotspots if spot.reason == f"{9 - listed} more places"]
    assert rest.ml == pytest.approx(found.record.ml * (9 - listed) / 9)
    assert sum(spot.score for spot in found.hotspots) == pytest.approx(found.record.score)


def test_what_gains_too_little_for_the_look_is_told_and_not_listed():
    found = spots_of(scattered(9, spacing_mm=150.0), 5000.0)
    assert found.hotspots == ()
    record = hot_spots_record({"colon": found}, ["a"]).structures["colon"]
    assert (record.unlisted_ml, record.unlisted_score) == (pytest.approx(found.record.ml), found.record.score)


def test_a_missing_structure_is_told_as_one_to_draw_and_takes_nothing_from_the_rest():
    found = spots_of(scattered(3), 5.0, [Prior("missing", "error", None)])
    (absent,) = [spot for spot in found.hotspots if spot.absent]
    assert absent.minutes == minutes().draw_structure
    listed_ml = sum(spot.ml for spot in found.hotspots if not spot.absent)
    rest = hot_spots_record({"colon": found}, ["a"]).structures["colon"]
    assert rest.unlisted_ml == pytest.approx(found.record.ml - listed_ml)


def test_a_rule_that_measured_a_volume_puts_no_more_than_that_in_doubt():
    sure = brick((-50, -40, 10), (-20, -10, 50), 255)  # 36 mL
    whole = Box((0, 0, 0), FINE.shape)
    scores = [
        found_for([sure], "colon", [Prior("outside_body", "error", whole, ml)]).record.score for ml in (2.5, None)
    ]
    assert scores[0] == pytest.approx(2.5 / (2.5 + 36), rel=0.2)
    assert scores[1] == pytest.approx(0.2 / 1.2, rel=0.05)


def test_reasons_name_the_rules_that_are_broken_there():
    sure = brick((-50, -40, 10), (-20, -10, 50), 255)
    here, there = Prior("here", "error", Box((0, 0, 0), FINE.shape)), Prior("there", "error", Box((0, 0, 0), (1, 1, 1)))
    found = found_for([sure], "colon", [here, there, Prior("odd", "note", here.box)])
    assert {spot.reason for spot in found.hotspots} == {"rule here"}


def test_the_box_lies_where_the_world_says():
    members = [brick((-40, -30, 20), (-28, -20, 36), value) for value in (0, 255)]
    (spot,) = found_for(members).hotspots
    centre = FINE.world((np.array(spot.lo) + spot.hi - 1) / 2)
    assert spot.center_mm == pytest.approx(centre, abs=0.01)
    assert spot.center_mm == pytest.approx((-34, -25, 28), abs=1.5)


def test_flags_say_which_map_speaks():
    ensemble = combined([brick((-50, -40, 10), (-20, -10, 50), value) for value in (100, 160)], FINE)
    maps = doubt(ensemble, ensemble.mask, FINE)
    assert set(np.unique(maps.causes.values)) == {0, Cause.ENTROPY | Cause.DISAGREEMENT}
    assert maps.risk.values.max() == 125  # min(p, 1 - p) of the mean 130
    assert attention_of("liver", maps, 40.0, FINE).record.entropy_ml > 0


def test_lists_go_by_gain_and_name_ties_alphabetically():
    seen = found_for([brick((-50, -40, 10), (x, -10, 50), 255) for x in (-20, -30)])
    calm = found_for([ball(MIDDLE, 18)])
    records = {
        name: hot_spots_record({"liver": found}, ["a", "b"])
        for name, found in {"case-2": calm, "case-1": calm, "case-3": seen}.items()
    }
    assert [row.name for row in ranked_cases(records)] == ["case-3", "case-1", "case-2"]
    (liver,) = ranked_structures(records)
    assert (liver.n, liver.score) == (1, pytest.approx(seen.record.score))
    assert ranking_csv(ranked_cases(records)).splitlines()[0] == "rank,name,score,ml,minutes,n"


def test_the_published_format_spells_as_published_and_keeps_names_that_it_does_not_know():
    worse, better = (
        found_for([brick((-50, -40, 10), (x, -10, 50), 255) for x in (-20, second)]) for second in (-30, -26)
    )
    record = hot_spots_record({"inferior_vena_cava": better, "liver": worse, "hip_left": better}, ["a"])
    order = published_order({"one": record})
    assert published_csv(order) == "one,liver,postcava,hip_left\n"


def test_long_lists_end_with_the_least_gain():
    found = found_for([brick((-50, -40, 10), (x, -10, 50), 255) for x in (-20, -30)])
    few = found.hotspots[0]
    many = tuple(few.model_copy(update={"score": n / 1000}) for n in range(limits().hot_spots_at_most + 5))
    record = hot_spots_record({"liver": replace(found, hotspots=many)}, ["a"])
    assert len(record.hotspots) == limits().hot_spots_at_most
    assert min(each.score for each in record.hotspots) == pytest.approx(0.005)


def test_nothing_at_all_is_nothing_to_look_at():
    nothing = Member(np.zeros(COARSE.shape, np.uint8), COARSE)
    found = found_for([nothing, nothing])
    assert (found.record.ml, found.record.score, found.hotspots) == (0, 0, ())
    assert found.heat.whole().shape == FINE.shape


def test_a_mask_that_no_member_supports_needs_no_probabilities():
    mask = Boxed.of(brick((-50, -40, 10), (-20, -10, 50), 255).values > 0)
    nothing = Member(np.zeros(COARSE.shape, np.uint8), COARSE)
    found = found_for([nothing], "liver", [Prior("leak", "warning", mask.box)], {"liver": mask})
    assert found.record.prior_ml > 0
