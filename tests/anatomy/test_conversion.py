from __future__ import annotations

import pytest

from ctatlas.anatomy import LabelSet, convert, label_set, label_set_names

# Source: AbdomenAtlas, its published pairs of universal and combined ids.
UNIVERSAL_TO_11 = dict(
    enumerate([8, 4, 3, 2, 16, 5, 9, 1, 7, 23, 6, 11, 10, 15, 19, 22, 21, 14, 20, 25, 12, 24, 17, 18, 13], start=1)
)


def test_universal_to_abdomenatlas_is_the_published_table():
    conversion = convert("universal-32", "abdomenatlas-1.1")
    assert dict(conversion.ids) == UNIVERSAL_TO_11
    assert len(conversion.lost) == 7
    assert conversion.absent == ()


def test_abdomenatlas_to_universal_is_the_way_back():
    conversion = convert("abdomenatlas-1.1", "universal-32")
    assert dict(conversion.ids) == {there: here for here, there in UNIVERSAL_TO_11.items()}
    assert conversion.lost == ()
    assert conversion.absent == tuple(label_set("universal-32").labels[number] for number in range(26, 33))


@pytest.mark.parametrize("name", label_set_names())
def test_a_set_converts_to_itself_unchanged(name):
    conversion = convert(name, name)
    assert dict(conversion.ids) == {number: number for number in label_set(name).labels}
    assert (conversion.lost, conversion.absent, dict(conversion.incomplete)) == ((), (), {})


@pytest.mark.parametrize("to_name", label_set_names())
@pytest.mark.parametrize("from_name", label_set_names())
def test_every_label_is_converted_or_reported(from_name, to_name):
    conversion = convert(from_name, to_name)
    source, target = label_set(from_name).labels, label_set(to_name).labels
    assert {source[number] for number in conversion.ids} | set(conversion.lost) == set(source.values())
    assert {target[number] for number in conversion.ids.values()} | set(conversion.absent) == set(target.values())
    assert len(conversion.ids) + len(conversion.lost) == len(source)
    assert not set(conversion.absent) & set(conversion.incomplete)


def test_lobes_fuse_into_lungs():
    ids = convert("totalsegmentator-v2", "universal-32").ids
    assert [ids[number] for number in (10, 11)] == [17, 17]
    assert [ids[number] for number in (12, 13, 14)] == [16, 16, 16]


def test_cysts_of_both_sides_fuse():
    ids = convert("totalsegmentator-v2", "universal-32").ids
    assert (ids[23], ids[24]) == (32, 32)


def test_vertebrae_ribs_and_pelvis_fuse_into_the_coarse_skeleton():
    ids = convert("totalsegmentator-v2", "autoorgan-skeleton").ids
    assert {ids[number] for number in range(27, 51)} == {2}
    assert {ids[number] for number in range(92, 116)} == {3}
    assert (ids[25], ids[77], ids[78], ids[91]) == (5, 5, 5, 1)
    assert 26 not in ids


def test_a_union_that_gets_only_some_of_its_parts_is_reported():
    incomplete = convert("totalsegmentator-v2", "autoorgan-skeleton").incomplete
    assert set(incomplete) == {"upper_limb", "lower_limb"}
    assert "tibia_left" in incomplete["lower_limb"]
    assert "femur_left" not in incomplete["lower_limb"]


def test_a_union_is_never_split():
    conversion = convert("abdomenatlas-1.1", "totalsegmentator-v2")
    assert set(conversion.lost) == {"celiac_trunk", "hepatic_vessel", "lung_left", "lung_right", "rectum"}
    assert "lung_upper_lobe_left" in conversion.absent


def a_set(*names: str) -> LabelSet:
    labels = dict(enumerate(names, start=1))
    return LabelSet("of a test", labels, labels)


def test_the_structure_itself_comes_before_a_union_and_the_smaller_union_before_the_larger():
    assert dict(convert(a_set("hip_left"), a_set("pelvis", "hips", "hip_left")).ids) == {1: 3}
    assert dict(convert(a_set("hip_left"), a_set("pelvis", "hips")).ids) == {1: 2}
    assert dict(convert(a_set("hips"), a_set("pelvis")).ids) == {1: 1}


def test_a_whole_beside_one_of_its_parts_is_complete():
    assert dict(convert(a_set("lung_left", "lung_upper_lobe_left"), a_set("lung_left")).incomplete) == {}


def test_parts_of_parts_complete_a_union():
    lobes = a_set("lung_upper_lobe_left", "lung_lower_lobe_left", "lung_right")
    assert dict(convert(lobes, a_set("lungs")).incomplete) == {}
