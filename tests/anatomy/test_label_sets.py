from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ctatlas.anatomy import label_set, label_set_names, structures
from ctatlas.anatomy.label_sets import _faults
from ctatlas.errors import ModelError
from tests.anatomy.test_source_datasets import PUBLISHED

SIZES = {
    "abdomenatlas-1.0": 9,
    "abdomenatlas-1.1": 25,
    "autoorgan-hip": 3,
    "autoorgan-lower-limb": 14,
    "autoorgan-organs": 24,
    "autoorgan-ribs": 24,
    "autoorgan-skeleton": 6,
    "autoorgan-upper-limb": 16,
    "autoorgan-vertebrae": 24,
    "totalsegmentator-v2": 117,
    "universal-32": 32,
}


def test_these_sets_and_no_others_are_known():
    assert label_set_names() == tuple(sorted([*SIZES, *PUBLISHED]))


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_ids_count_from_one_and_names_are_known(name, size):
    labels = label_set(name).labels
    assert list(labels) == list(range(1, size + 1))
    assert set(labels.values()) <= structures().keys()
    assert label_set(name).native_names.keys() == labels.keys()


@pytest.mark.parametrize("name", [*SIZES, *PUBLISHED])
def test_every_structure_is_found_again_by_its_names(name):
    known = label_set(name)
    assert {known.id_of(structure): known.name_of(structure) for structure in known.labels.values()} == dict(
        known.native_names
    )


def test_totalsegmentators_ids_are_those_of_its_table():
    path = Path(__file__).parent / "data" / "totalsegmentator_codes.csv"
    theirs = {int(row["id"]): row["name"] for row in csv.DictReader(path.read_text().splitlines())}
    assert dict(label_set("totalsegmentator-v2").labels) == theirs


@pytest.mark.parametrize(
    ("name", "number", "structure", "native"),
    # The traps: order of sides, alphabetical ids, spellings.
    [
        ("universal-32", 2, "kidney_right", "kidney_right"),
        ("universal-32", 9, "inferior_vena_cava", "postcava"),
        ("universal-32", 12, "adrenal_gland_right", "adrenal_gland_right"),
        ("universal-32", 16, "lung_right", "lung_right"),
        ("universal-32", 23, "femur_left", "femur_left"),
        ("universal-32", 25, "celiac_trunk", "celiac_truck"),
        ("abdomenatlas-1.1", 13, "celiac_trunk", "celiac_trunk"),
        ("abdomenatlas-1.1", 2, "gallbladder", "gall_bladder"),
        ("abdomenatlas-1.0", 3, "kidney_left", "kidney_left"),
        ("autoorgan-ribs", 21, "rib_left_11", "rib_left_11"),
        ("autoorgan-ribs", 22, "rib_right_11", "rib_right_11"),
        ("autoorgan-organs", 2, "kidney_right", "kidney_right"),
        ("autoorgan-organs", 8, "lung_upper_lobe_left", "lung_upper_lobe_left"),
        ("autoorgan-skeleton", 3, "ribs", "rib"),
        ("autoorgan-skeleton", 5, "pelvis", "hip"),
        ("autoorgan-vertebrae", 20, "vertebrae_L1", "vertebrae_L1"),
        ("autoorgan-upper-limb", 13, "clavicula_left", "clavicula_left"),
        ("autoorgan-lower-limb", 14, "phalanges_feet_right", "phalanges_feet_right"),
    ],
)
def test_published_ids(name, number, structure, native):
    assert label_set(name).labels[number] == structure
    assert label_set(name).native_names[number] == native


def test_a_structure_may_be_asked_for_by_any_name():
    assert label_set("universal-32").id_of("IVC") == 9


def test_a_structure_outside_the_set_is_refused():
    with pytest.raises(ModelError, match=r"abdomenatlas-1.0 has no heart; it has: aorta, "):
        label_set("abdomenatlas-1.0").id_of("heart")


def test_an_unknown_set_is_refused_with_those_that_look_like_it():
    with pytest.raises(ModelError, match=r"'abdomenatlas1.1'; near: abdomenatlas-1.1"):
        label_set("abdomenatlas1.1")


def test_a_path_is_no_name():
    with pytest.raises(ModelError, match="no label set is called"):
        label_set("../structures")


ROW = {"id": "1", "structure": "liver", "native_name": "liver", "source": "here", "note": ""}


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ([ROW, ROW | {"structure": "spleen", "native_name": "spleen"}], "id '1' is given twice"),
        ([ROW, ROW | {"id": "2", "native_name": "hepar"}], "structure 'liver' is given twice"),
        ([ROW, ROW | {"id": "2", "structure": "spleen"}], "native_name 'liver' is given twice"),
        ([ROW | {"id": "0"}], "id '0' is not a whole number from 1 on"),
        ([ROW | {"id": "one"}], "id 'one' is not a whole number from 1 on"),
        ([ROW | {"structure": "lever"}], "'lever' is not in structures.csv"),
        ([ROW | {"source": ""}], "id 1 has no source"),
        ([ROW | {"split": "split_sides"}], "'liver' is to be split but has no left and right part"),
        ([ROW | {"also": "spleen"}], "id 1 counts for 'spleen', too, which has no label"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(table, fault):
    assert list(_faults(table)) == [fault]


def test_a_sound_table_has_no_faults():
    assert list(_faults([ROW])) == []
