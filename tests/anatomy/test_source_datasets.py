"""The label sets of public source datasets against the published lists of what each annotates."""

from __future__ import annotations

import pytest

from ctatlas.anatomy import label_set, structures

SIDES = "split_sides"
# name → ids of the universal template that the dataset annotates, native number → that id, numbers that hold both sides
# (right of the pair in the list), and native number → native number of the organ that it is in, too.
# Source: AbdomenAtlas and CLIP-Driven Universal Model, TEMPLATE, native order and post-processing by dataset.
PUBLISHED: dict[str, tuple[set[int], dict[int, int], set[int], dict[int, int]]] = {
    "btcv": (set(range(1, 15)), {k: k for k in range(1, 15)}, set(), {}),
    "pancreas-ct": (
        {1, 3, 4, 5, 6, 7, 11, 14},
        {1: 1, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 11: 11, 14: 14},
        set(),
        {},
    ),
    "chaos-ct": ({6}, {1: 6}, set(), {}),
    "lits": ({6, 27}, {1: 6, 2: 27}, set(), {2: 1}),
    "kits": ({2, 3, 26, 32}, {1: 2, 2: 26, 3: 32}, {1}, {2: 1, 3: 1}),
    "3d-ircadb": (
        {1, 2, 3, 4, 6, 7, 11, 16, 17},
        dict(enumerate((1, 2, 3, 4, 6, 7, 11, 16, 17), start=1)),
        set(),
        {},
    ),
    "word": (
        {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 14, 18, 19, 20, 21, 23, 24},
        dict(enumerate((6, 1, 3, 2, 7, 4, 5, 11, 14, 18, 19, 12, 20, 21, 23, 24), start=1)),
        {12},
        {},
    ),
    "abdomenct-1k": ({1, 2, 3, 6, 11}, {1: 6, 2: 2, 3: 1, 4: 11}, {2}, {}),
    "amos": (
        {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 21, 22},
        dict(enumerate((1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 21, 22), start=1)),
        set(),
        {},
    ),
    "msd-03-liver": ({6, 27}, {1: 6, 2: 27}, set(), {2: 1}),
    "msd-06-lung": ({30}, {1: 30}, set(), {}),
    "msd-07-pancreas": ({11, 28}, {1: 11, 2: 28}, set(), {2: 1}),
    "msd-08-hepatic-vessel": ({15, 29}, {1: 15, 2: 29}, set(), {}),
    "msd-09-spleen": ({1}, {1: 1}, set(), {}),
    "msd-10-colon": ({31}, {1: 31}, set(), {}),
    "ct-org": ({2, 3, 6, 16, 17, 21}, {1: 6, 2: 21, 3: 16, 4: 2}, {3, 4}, {}),
    "abdomenct-12organ": (
        {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 25},
        dict(enumerate((6, 2, 1, 11, 8, 9, 7, 4, 5, 12, 13, 25), start=1)),
        {2},
        {},
    ),
    "flare23": (
        {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14},
        dict(enumerate((6, 2, 1, 11, 8, 9, 12, 13, 4, 5, 7, 14, 3), start=1)),
        set(),
        {},
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_annotated(name: str) -> None:
    universal = label_set("universal-32").labels
    assert sorted(label_set(name).annotated) == sorted(universal[number] for number in PUBLISHED[name][0])


@pytest.mark.parametrize("name", PUBLISHED)
def test_native_numbers(name: str) -> None:
    universal, found = label_set("universal-32").labels, label_set(name)
    _, numbers, both, _ = PUBLISHED[name]
    assert found.labels.keys() == numbers.keys()
    assert found.split == dict.fromkeys(both, SIDES)
    for number, theirs in numbers.items():
        wanted = universal[theirs]
        assert found.labels[number] == wanted if number not in both else wanted in _parts(found.labels[number])


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_holds_both_sides_parts_into_a_left_and_a_right(name: str) -> None:
    for number in label_set(name).split:
        parts = structures()[label_set(name).labels[number]].parts
        assert {structures()[part].side for part in parts} == {"left", "right"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_tumors_and_cysts_count_for_their_organ_where_the_dataset_says_so(name: str) -> None:
    found = label_set(name)
    assert found.also == {number: (found.labels[organ],) for number, organ in PUBLISHED[name][3].items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_row_says_where_it_is_from(name: str) -> None:
    assert label_set(name).unknown == ()
    assert label_set(name).name == name


def _parts(name: str) -> tuple[str, ...]:
    return structures()[name].parts
