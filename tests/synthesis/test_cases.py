"""Whole cases: a pure function of two numbers, right in the world, written with their truth."""

import json
from dataclasses import replace

import numpy as np

from ctatlas.synthesis.cases import draw_case, make_case, structure_ids
from ctatlas.synthesis.folders import write_case
from ctatlas.synthesis.numbered import numbered_bones
from ctatlas.volume import read

SHAPE = (64, 60, 40)


def case(seed, number):
    return make_case(draw_case(seed, number, shape=SHAPE, conditions=(), exact=False))


def test_the_same_numbers_give_the_same_case_and_others_another():
    one, two, other = case(4, 1), case(4, 1), case(4, 2)
    np.testing.assert_array_equal(one.volume.array, two.volume.array)
    assert one.plan == two.plan
    assert not np.array_equal(one.volume.array, other.volume.array)


def test_the_liver_lies_on_the_patients_right_in_the_world():
    made = [case(2, number) for number in range(6)]
    livers = [each for each in made if each.truth.mask("liver").sum() > 500]
    assert livers
    for each in livers:
        centre = each.volume.grid.world(np.argwhere(each.truth.mask("liver")).mean(axis=0))
        assert np.ravel(centre)[0] > 20  # RAS+: x grows to the right


def test_hu_and_truth_agree():
    made = next(
        each
        for each in (case(7, n) for n in range(20))
        if min(each.truth.mask(name).sum() for name in ("spleen", "lung_left")) > 300
    )
    spleen, lung = (made.truth.mask(name) for name in ("spleen", "lung_left"))
    assert -20 < np.median(made.volume.array[spleen]) < 250
    assert np.median(made.volume.array[lung]) < -650


def test_a_written_case_reads_back(tmp_path):
    made = case(1, 5)
    write_case(made, tmp_path)
    volume = read(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(volume.array, made.volume.array)
    assert volume.grid.same_place(made.volume.grid)
    names = json.loads((tmp_path / "labels.json").read_text())
    assert names == {str(n): name for n, name in structure_ids()[1].items()}
    record = json.loads((tmp_path / "phantom.json").read_text())
    assert record["seed"] == 1
    assert record["number"] == 5
    numbers = json.loads((tmp_path / "numbered_bones.json").read_text())
    assert {"vertebrae_L1", "vertebrae_C7", "rib_left_12"} <= set(numbers.values())
    assert len(names) + len(numbers) >= 100


def test_a_feet_first_scan_is_stored_from_the_head_down_and_lies_at_the_same_place():
    plan = draw_case(4, 1, shape=SHAPE, conditions=(), exact=False)
    head_first, feet_first = (make_case(replace(plan, feet_first=feet)) for feet in (False, True))
    assert head_first.volume.grid.orientation == "LPS"
    assert feet_first.volume.grid.orientation == "LPI"
    np.testing.assert_array_equal(feet_first.volume.array[:, :, ::-1], head_first.volume.array)
    one, two = (np.argwhere(each.truth.mask("liver")).mean(axis=0) for each in (head_first, feet_first))
    np.testing.assert_allclose(head_first.volume.grid.world(one), feet_first.volume.grid.world(two), atol=1e-6)
    assert set(numbered_bones(head_first)) == set(numbered_bones(feet_first))
    bone = "vertebrae_L1"
    np.testing.assert_array_equal(numbered_bones(feet_first)[bone][:, :, ::-1], numbered_bones(head_first)[bone])


def test_a_narrow_field_of_view_shows_neither_body_nor_truth_outside_of_its_circle():
    plan = draw_case(4, 1, shape=SHAPE, conditions=(), exact=False)
    scanner = replace(plan.scanner, field_mm=200.0, padding_hu=-2000)
    cut, whole = make_case(replace(plan, scanner=scanner)), make_case(plan)
    i, j = np.indices(SHAPE[:2])
    away = np.hypot(*((at - (n - 1) / 2) * mm for at, n, mm in zip((i, j), SHAPE, plan.spacing_mm, strict=False)))
    assert (cut.volume.array[away > 100] == -2000).all()
    inside = away <= 100
    np.testing.assert_array_equal(cut.volume.array[inside], whole.volume.array[inside])
    assert not any(mask[away > 100].any() for _, mask in cut.truth.items())
