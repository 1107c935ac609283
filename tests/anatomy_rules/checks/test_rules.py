"""Each rule on a body of simple shapes: what it finds, where, by how much, and what it offers."""

from __future__ import annotations

import numpy as np
import pytest

from ctatlas.anatomy_rules.checks import CheckFinding, check_masks, check_table, repaired
from ctatlas.volume import Grid, Segmentation, box_of
from tests.anatomy_rules.bodies import ellipsoid
from tests.anatomy_rules.checks.people import Person, person, told


@pytest.fixture(scope="module")
def healthy() -> Person:
    return person()


def only(found: list[CheckFinding], structure: str) -> CheckFinding:
    (finding,) = [each for each in found if each.structure == structure]
    return finding


def fixed(wrong: Person, found: list[CheckFinding]) -> dict[str, np.ndarray]:
    return repaired(Segmentation.from_masks(wrong.grid, wrong.masks), found)


def test_stray_pieces_are_counted_and_can_be_dropped(healthy: Person) -> None:
    strays = healthy.ball(-130, 0, -150, 8) | healthy.ball(0, 60, 100, 8) | healthy.ball(20, 60, -100, 8)
    wrong = healthy.holding(spleen=healthy.masks["spleen"] | strays)

    found = wrong.findings("pieces")

    sign = only(found, "spleen").sign
    assert (sign.value, sign.limit, sign.unit) == (4, 2, "pieces")
    kept = Segmentation.from_masks(wrong.grid, {"spleen": fixed(wrong, found)["spleen"]})
    assert 0 < kept.n_voxels()["spleen"] - np.count_nonzero(healthy.masks["spleen"]) < np.count_nonzero(strays) / 2
    wrong = healthy.holding(gallbladder=healthy.masks["gallbladder"] | healthy.ball(20, 60, -100, 5))
    assert (fixed(wrong, wrong.findings("pieces"))["gallbladder"] == healthy.masks["gallbladder"]).all()


def test_a_large_second_piece_is_not_dropped_unseen(healthy: Person) -> None:
    wrong = healthy.holding(gallbladder=healthy.masks["gallbladder"] | healthy.ball(20, 60, -100, 12))
    assert only(wrong.findings("pieces"), "gallbladder").sign.fix is None


def test_a_hole_is_measured_and_filled_but_for_what_others_have(healthy: Person) -> None:
    hole, tumor = healthy.ball(70, 20, 0, 12), healthy.ball(70, -30, 0, 12)
    wrong = healthy.holding(liver=healthy.masks["liver"] & ~hole & ~tumor, liver_tumor=tumor)

    found = wrong.findings("holes")

    sign = only(found, "liver").sign
    assert sign.value == pytest.approx(np.count_nonzero(hole) * healthy.grid.voxel_ml)
    assert sign.box == box_of(hole)
    assert (fixed(wrong, found)["liver"] == (healthy.masks["liver"] & ~tumor)).all()


def test_exchanged_kidneys_can_be_exchanged_back(healthy: Person) -> None:
    left, right = healthy.masks["kidney_left"], healthy.masks["kidney_right"]
    wrong = healthy.holding(kidney_left=right, kidney_right=left)

    found = wrong.findings("side_swapped")

    assert told(found) == {("side_swapped", "kidney_left"), ("side_swapped", "kidney_right")}
    assert only(found, "kidney_left").sign.value == pytest.approx(127, abs=3)
    mended = fixed(wrong, found)
    assert (mended["kidney_left"] == left).all()
    assert (mended["kidney_right"] == right).all()


def test_a_kidney_alone_on_the_wrong_side_is_found_and_left(healthy: Person) -> None:
    wrong = healthy.holding(kidney_left=healthy.masks["kidney_right"]).without("kidney_right")
    assert only(wrong.findings("side_swapped"), "kidney_left").sign.fix is None


def test_fixes_of_one_structure_add_up_before_names_are_exchanged(healthy: Person) -> None:
    left, right = healthy.masks["kidney_left"], healthy.masks["kidney_right"]
    hole = healthy.ball(62, -45, -60, 9)
    wrong = healthy.holding(kidney_left=right & ~hole, kidney_right=left)

    mended = fixed(wrong, wrong.findings("side_swapped", "holes"))

    assert (mended["kidney_right"] == right).all()
    assert (mended["kidney_left"] == left).all()


def test_liver_and_spleen_with_each_others_names(healthy: Person) -> None:
    wrong = healthy.holding(liver=healthy.masks["spleen"], spleen=healthy.masks["liver"])
    found = wrong.findings("liver_spleen_swapped")
    assert told(found) == {("liver_spleen_swapped", "liver")}
    assert (fixed(wrong, found)["liver"] == healthy.masks["liver"]).all()


def test_a_spleen_larger_than_the_liver_keeps_its_name(healthy: Person) -> None:
    large = ellipsoid(healthy.grid, (-100, -10, -20), (65, 80, 110)) & ~healthy.masks["liver"]
    assert told(healthy.holding(spleen=large).findings("liver_spleen_swapped")) == set()


def test_a_shrunken_kidney_is_told_of_the_smaller_one(healthy: Person) -> None:
    wrong = healthy.holding(kidney_left=ellipsoid(healthy.grid, (-65, -45, -45), (12, 12, 25)))
    assert told(wrong.findings("asymmetric_pair")) == {("asymmetric_pair", "kidney_left")}


def test_a_volume_of_nobody(healthy: Person) -> None:
    found = healthy.holding(gallbladder=healthy.ball(62, 40, -52, 60)).findings("volume")
    sign = only(found, "gallbladder").sign
    assert sign.value == pytest.approx(905, rel=0.05)
    assert sign.limit == 400


@pytest.mark.parametrize(
    ("structure", "where_mm", "rule"),
    [
        ("urinary_bladder", (0, 35, 150), "outside_region"),
        ("kidney_right", (75, 0, 190), "outside_region"),
        ("heart", (0, 35, -265), "outside_region"),
        ("aorta", (110, 0, -100), "outside_region"),
        ("gallbladder", (-100, 40, -120), "outside_region"),
        ("colon", (-170, -110, -100), "outside_body"),
    ],
)
def test_a_piece_where_the_structure_can_not_be(
    healthy: Person, structure: str, where_mm: tuple[float, float, float], rule: str
) -> None:
    stray = healthy.ball(*where_mm, 14)
    wrong = healthy.holding(**{structure: healthy.masks[structure] | stray})

    found = [each for each in wrong.findings(rule) if each.structure == structure]

    assert found
    if rule == "outside_region":
        assert all(each.sign.box == box_of(stray) for each in found)
        assert all(each.sign.unit == "mm" for each in found)


def test_a_piece_on_the_table_can_be_dropped(healthy: Person) -> None:
    stray = ellipsoid(healthy.grid, (-168, -108, -100), (12, 12, 12)) & ~healthy.skin
    wrong = healthy.holding(colon=healthy.masks["colon"] | stray)
    assert only(wrong.findings("outside_body"), "colon").sign.box == box_of(stray)
    assert (fixed(wrong, wrong.findings("outside_body"))["colon"] == healthy.masks["colon"]).all()


def test_what_goes_on_inside_is_not_cut_off_at_the_skin(healthy: Person) -> None:
    wrong = healthy.holding(colon=healthy.masks["colon"] | ellipsoid(healthy.grid, (-150, 10, -110), (45, 20, 60)))
    thin = Person(wrong.grid, wrong.masks, wrong.hu, ellipsoid(healthy.grid, (0, 0, -45), (140, 118, 600)))
    assert only(thin.findings("outside_body"), "colon").sign.fix is None


def test_a_tumor_outside_its_organ(healthy: Person) -> None:
    inside, outside = healthy.ball(70, 0, 0, 10), healthy.ball(-80, 0, -100, 10)
    assert told(healthy.holding(liver_tumor=inside).findings("outside_parent")) == set()
    sign = only(healthy.holding(liver_tumor=inside | outside).findings("outside_parent"), "liver_tumor").sign
    assert sign.value == pytest.approx(np.count_nonzero(outside) * healthy.grid.voxel_ml)
    assert sign.box == box_of(outside)


def test_a_cyst_may_hang_on_its_kidney_but_not_lie_elsewhere(healthy: Person) -> None:
    hanging, elsewhere = healthy.ball(-100, -45, -45, 14), healthy.ball(-60, 30, -100, 14)
    assert told(healthy.holding(kidney_cyst_left=hanging).findings("outside_parent")) == set()
    assert told(healthy.holding(kidney_cyst_left=elsewhere).findings("outside_parent")) != set()


def test_what_may_not_be_shared_is_found_once_a_pair(healthy: Person) -> None:
    wrong = healthy.holding(
        stomach=healthy.masks["stomach"] | healthy.ball(-100, -20, 10, 15),
        liver_tumor=healthy.ball(70, 0, 0, 10),  # lies in the liver
    )
    found = wrong.findings("overlap")
    assert told(found) == {("overlap", "spleen")}
    shared = wrong.masks["stomach"] & wrong.masks["spleen"]
    assert found[0].sign.value == pytest.approx(np.count_nonzero(shared) * healthy.grid.voxel_ml)


def test_kidneys_that_meet(healthy: Person) -> None:
    bridge = ellipsoid(healthy.grid, (0, -20, -60), (60, 12, 12))
    wrong = healthy.holding(kidney_left=(healthy.masks["kidney_left"] | bridge) & ~healthy.masks["kidney_right"])
    assert told(wrong.findings("kidneys_fused", "kidneys_overlap")) == {("kidneys_fused", "kidney_left")}
    wrong = healthy.holding(kidney_left=healthy.masks["kidney_left"] | bridge)
    assert ("kidneys_overlap", "kidney_left") in told(wrong.findings("kidneys_overlap"))


def test_both_kidneys_under_one_name(healthy: Person) -> None:
    both = healthy.masks["kidney_left"] | healthy.masks["kidney_right"]
    wrong = healthy.without("kidney_left").holding(kidney_right=both)
    assert told(wrong.findings("kidneys_fused")) == {("kidneys_fused", "kidney_right")}


def test_a_copy_of_another_structure(healthy: Person) -> None:
    wrong = healthy.holding(stomach=healthy.masks["spleen"])
    assert ("duplicate", "spleen") in told(wrong.findings("duplicate"))


def test_combined_labels_agree_where_structures_overlap(healthy: Person) -> None:
    both = healthy.holding(liver_tumor=healthy.ball(70, 0, 0, 10))
    ids = {name: number for number, name in enumerate(both.masks, start=1)}
    combined = Segmentation.from_masks(both.grid, both.masks).combined(ids)
    assert told(both.findings("combined_differs", combined=combined, ids=ids)) == set()
    combined = combined.copy(order="F")
    lost, added = np.argwhere(healthy.masks["spleen"])[0], np.argwhere(~healthy.skin)[0]
    combined[tuple(lost)] = 0
    combined[tuple(added)] = ids["aorta"]
    found = both.findings("combined_differs", combined=combined, ids=ids)
    assert told(found) == {("combined_differs", "spleen"), ("combined_differs", "aorta")}
    assert [each.sign.value for each in found] == pytest.approx([healthy.grid.voxel_ml] * 2)


def test_a_flat_end_inside_the_scan_and_one_at_its_end(healthy: Person) -> None:
    k = int(healthy.grid.voxel((0, 0, -60))[2])
    kidney = healthy.masks["kidney_right"].copy()
    kidney[:, :, k:] = False
    sign = only(healthy.holding(kidney_right=kidney).findings("flat_cut"), "kidney_right").sign
    assert sign.box is not None
    assert (sign.box[2].start, sign.box[2].stop) == (k - 1, k)
    assert told(healthy.cropped(-60, 250).findings("flat_cut")) == set()


def test_a_step_between_two_slices(healthy: Person) -> None:
    k = int(healthy.grid.voxel((0, 0, 10))[2])
    spleen = healthy.masks["spleen"].copy()
    spleen[:, :, k:] = np.roll(spleen, 5, axis=1)[:, :, k:]
    sign = only(healthy.holding(spleen=spleen).findings("step_between_slices"), "spleen").sign
    assert sign.box is not None
    assert (sign.box[2].start, sign.box[2].stop) == (k - 1, k + 1)


@pytest.mark.parametrize("structure", ["aorta", "inferior_vena_cava", "vertebrae"])
def test_an_interrupted_tube(healthy: Person, structure: str) -> None:
    z = healthy.grid.world(np.stack(np.indices((1, 1, healthy.grid.shape[2])), axis=-1))[..., 2]
    wrong = healthy.holding(**{structure: healthy.masks[structure] & (np.abs(z + 40) > 12)})
    found = [each for each in wrong.findings("discontinuous_tube") if each.structure == structure]
    assert found
    assert all(15 < each.sign.value < 35 for each in found if each.sign.value is not None)


def test_two_limbs_of_an_arch_above_the_scan_are_no_interruption(healthy: Person) -> None:
    upper = ellipsoid(healthy.grid, (20, 30, 160), (12, 12, 100))
    cut = healthy.holding(aorta=healthy.masks["aorta"] | upper).cropped(-340, 120)
    assert told(cut.findings("discontinuous_tube")) == set()


def test_a_leak_and_an_aorta_too_wide(healthy: Person) -> None:
    rng = np.random.default_rng(1)
    near = ellipsoid(healthy.grid, (-65, -45, -45), (45, 45, 75)) & (rng.random(healthy.grid.shape) < 0.4)
    wrong = healthy.holding(
        kidney_left=healthy.masks["kidney_left"] | near, aorta=healthy.masks["aorta"] | healthy.ball(-14, -20, 0, 55)
    )
    assert told(wrong.findings("leak")) == {("leak", "kidney_left"), ("leak", "aorta")}


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_a_wrong_slice_spacing(healthy: Person, factor: float) -> None:
    affine = healthy.grid.affine.copy()
    affine[:, 2] *= factor
    stretched = Person(Grid(healthy.grid.shape, affine), healthy.masks, healthy.hu, healthy.skin)
    assert "liver" in {each.structure for each in stretched.findings("field_mismatch")}


def test_a_bladder_without_a_pelvis(healthy: Person) -> None:
    chest = healthy.cropped(-60, 250)
    wrong = chest.holding(urinary_bladder=chest.ball(0, 40, 0, 20))
    found = [each for each in wrong.findings("field_mismatch") if each.structure == "urinary_bladder"]
    assert [each.sign.says.split("but ")[1][:11] for each in found] == ["none of hip"]


def test_gas_in_a_liver_and_none_in_a_stomach(healthy: Person) -> None:
    hu = healthy.hu.copy()
    gas = healthy.ball(70, 0, 0, 12)
    hu[gas | healthy.ball(-45, 45, 0, 20)] = -850
    found = Person(healthy.grid, healthy.masks, hu, healthy.skin).findings("gas_in_solid_organ")
    assert told(found) == {("gas_in_solid_organ", "liver")}
    assert only(found, "liver").sign.box == box_of(gas)


def test_hu_of_another_tissue(healthy: Person) -> None:
    wrong = healthy.holding(spleen=healthy.ball(-75, 0, 130, 30))
    sign = only(wrong.findings("hu_implausible"), "spleen").sign
    assert (sign.value, sign.limit, sign.unit) == (-750, -40, "HU")


def test_an_aorta_annotated_from_another_level_on(healthy: Person) -> None:
    z = healthy.grid.world(np.stack(np.indices((1, 1, healthy.grid.shape[2])), axis=-1))[..., 2]
    wrong = healthy.holding(aorta=healthy.masks["aorta"] & (z < 20))
    sign = only(wrong.findings("aorta_protocol"), "aorta").sign
    assert sign.value == pytest.approx(40 / 120, abs=0.04)  # of the liver's slices
    assert sign.limit == 0.03


def test_a_stomach_without_its_lumen_or_gas(healthy: Person) -> None:
    lumen = ellipsoid(healthy.grid, (-45, 45, 0), (30, 20, 30))
    wrong = healthy.holding(stomach=healthy.masks["stomach"] & ~lumen)
    found = wrong.findings("empty_stomach_regions")
    assert (fixed(wrong, found)["stomach"] == healthy.masks["stomach"]).all()
    hu = healthy.hu.copy()
    open_above = lumen & (healthy.grid.world(np.stack(np.indices(healthy.grid.shape), axis=-1))[..., 1] > 45)
    hu[open_above] = -900
    gas_lost = Person(
        healthy.grid, {**healthy.masks, "stomach": healthy.masks["stomach"] & ~open_above}, hu, healthy.skin
    )
    assert told(gas_lost.findings("empty_stomach_regions")) == {("empty_stomach_regions", "stomach")}


def test_a_ragged_vena_cava(healthy: Person) -> None:
    rng = np.random.default_rng(2)
    noise = ellipsoid(healthy.grid, (17, -30, -30), (26, 26, 110)) & (rng.random(healthy.grid.shape) < 0.4)
    wrong = healthy.holding(inferior_vena_cava=healthy.masks["inferior_vena_cava"] | noise)
    assert told(wrong.findings("blurry_vena_cava")) == {("blurry_vena_cava", "inferior_vena_cava")}


@pytest.mark.parametrize("speck", [(50, 50, 50), (51, 51, 51), (52, 52, 52)])
def test_a_speck_of_one_voxel_belongs_to_its_structure_wherever_it_lies(speck: tuple[int, int, int]) -> None:
    mask = np.zeros((60, 60, 60), dtype=bool)
    mask[5:25, 5:25, 5:25] = mask[30:38, 5:13, 5:13] = mask[speck] = True
    found = Segmentation.from_masks(Grid(mask.shape, np.eye(4)), {"gallbladder": mask})
    findings = list(check_masks(found, checks=[row for row in check_table() if row.rule == "pieces"]))
    (cleaned,) = repaired(found, findings).values()
    assert np.count_nonzero(cleaned) == 20**3
    assert box_of(cleaned) == (slice(5, 25),) * 3
