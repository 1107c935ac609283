"""Whole cases: a pure function of two numbers, right in the world, written with their truth."""

import json

import numpy as np

from ctatlas.synthesis.cases import draw_case, make_case, structure_ids, write_case
from ctatlas.volume import read

SHAPE = (64, 60, 40)


def case(seed, number):
    return make_case(draw_case(seed, number, shape=SHAPE))


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
    made = next(each for each in (case(7, n) for n in range(20)) if each.truth.mask("spleen").sum() > 300)
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
    assert len(names) >= 40
