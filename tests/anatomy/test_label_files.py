"""Label sets out of JSON files in every form that is known, and refusals of what is no such file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.anatomy import LabelSet, convert, label_set, read_label_set
from ctatlas.errors import ModelError

NNUNET_2 = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "liver": 1, "Right Kidney": 2, "left_kidney": 3, "ignore": 4},
    "numTraining": 3,
    "file_ending": ".nii.gz",
}
DECATHLON = {
    "name": "Liver",
    "modality": {"0": "CT"},
    "labels": {"0": "background", "1": "liver", "2": "liver tumor"},
    "numTraining": 131,
}
REGIONS = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "kidneys": [1, 2, 3], "kidney_tumor": [2], "kidney_cyst": [3]},
    "regions_class_order": [1, 2, 3],
}


def read(folder: Path, content: Any, task: str = "", name: str = "dataset.json") -> LabelSet:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_label_set(f"{path}#{task}" if task else path)


def test_nnunet_2_maps_name_to_value(tmp_path: Path) -> None:
    found = read(tmp_path, NNUNET_2)
    assert found.labels == {1: "liver", 2: "kidney_right", 3: "kidney_left"}
    assert found.native_names == {1: "liver", 2: "Right_Kidney", 3: "left_kidney"}
    assert (found.name, found.unknown, dict(found.also)) == ("dataset.json", (), {})


def test_nnunet_1_and_the_decathlon_map_value_to_name(tmp_path: Path) -> None:
    found = read(tmp_path, DECATHLON)
    assert found.labels == {1: "liver", 2: "liver_tumor"}
    assert found.native_names == {1: "liver", 2: "liver_tumor"}


def test_a_value_of_a_region_counts_for_every_region_that_it_lies_in(tmp_path: Path) -> None:
    found = read(tmp_path, REGIONS)
    assert found.labels == {1: "kidneys", 2: "kidney_tumor", 3: "kidney_cyst"}
    assert found.also == {2: ("kidneys",), 3: ("kidneys",)}


def test_regions_are_numbered_by_their_class_order(tmp_path: Path) -> None:
    found = read(tmp_path, REGIONS | {"labels": {"background": 0, "liver": [1, 7], "liver_tumor": [7]},
                                      "regions_class_order": [1, 7]})  # fmt: skip
    assert found.labels == {1: "liver", 7: "liver_tumor"}


def test_a_list_of_one_value_is_no_region(tmp_path: Path) -> None:
    assert read(tmp_path, {"labels": {"background": 0, "liver": [1], "spleen": 2}}).labels == {1: "liver", 2: "spleen"}


AUTOORGAN = {
    "Global ": {"1": "skull", "2": "vertebrae", "3": "rib"},
    "Rib": {"1": "rib_left_1", "2": "rib_right_1"},
    "organ": {"spleen": 1, "kidney_right": 2},
}


@pytest.mark.parametrize(("task", "first"), [("Global", "skull"), ("rib", "rib_left_1"), (" ORGAN", "spleen")])
def test_a_task_of_autoorgan_is_named_whatever_its_case_and_spaces(tmp_path: Path, task: str, first: str) -> None:
    found = read(tmp_path, AUTOORGAN, task, name="labels.json")
    assert found.labels[1] == first


def test_all_of_autoorgans_tasks_equal_the_sets_that_come_along(tmp_path: Path) -> None:
    tasks = ("skeleton", "vertebrae", "ribs", "upper-limb", "hip", "lower-limb", "organs")
    tables = {task: {n: str(i) for i, n in label_set(f"autoorgan-{task}").native_names.items()} for task in tasks}
    for task in tasks:
        assert read(tmp_path, tables, task).labels == label_set(f"autoorgan-{task}").labels


def test_several_tasks_without_a_choice_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"several tasks; name one behind a #, as in labels.json#TASK: Global, Rib, o"):
        read(tmp_path, AUTOORGAN, name="labels.json")


def test_one_task_needs_no_choice(tmp_path: Path) -> None:
    assert read(tmp_path, {"Hip": {"1": "hip_left"}}).labels == {1: "hip_left"}


@pytest.mark.parametrize("name", ["abdomenatlas-1.1", "totalsegmentator-v2", "universal-32", "autoorgan-ribs"])
def test_what_combined_writes_is_read_again(tmp_path: Path, name: str) -> None:
    ours = label_set(name)
    found = read(tmp_path, {str(number): spelled for number, spelled in ours.native_names.items()}, name="labels.json")
    assert found.labels == ours.labels
    assert found.native_names == ours.native_names


def test_what_no_structure_is_called_is_unknown_and_nothing_more(tmp_path: Path) -> None:
    found = read(tmp_path, {"labels": {"background": 0, "liver": 1, "Segment_1": 2}})
    assert found.labels == {1: "liver"}
    assert found.unknown == ("Segment_1",)
    assert convert(found, "abdomenatlas-1.0").ids == {1: 5}


def test_a_path_is_taken_wherever_a_name_is(tmp_path: Path) -> None:
    read(tmp_path, NNUNET_2)
    assert label_set(f"{tmp_path}/dataset.json").labels[1] == "liver"
    assert convert(f"{tmp_path}/dataset.json", "abdomenatlas-1.0").ids == {1: 5, 2: 4, 3: 3}


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    read(tmp_path, {"liver": 1})
    assert label_set(f"{tmp_path}/dataset.json").labels == {1: "liver"}
    read(tmp_path, {"spleen": 1})
    assert label_set(f"{tmp_path}/dataset.json").labels == {1: "spleen"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "not sound JSON"),
        ("[" * 100_000, "not sound JSON"),
        ("[1, 2]", "a JSON object is expected"),
        ('{"liver": 1, "liver": 2}', "a key is given twice"),
        ({"labels": {}}, "no table of names and numbers"),
        ({"labels": ["liver"]}, "no table of names and numbers"),
        ({"labels": {"background": 0}}, "names no structure that ctatlas knows; it names none"),
        ({"labels": {"Segment_1": 1}}, "names no structure that ctatlas knows; it names Segment_1"),
        ({"labels": {"liver": 1, "spleen": 1}}, "value 1 stands for both 'liver' and 'spleen'"),
        ({"labels": {"postcava": 1, "IVC": 2}}, "'postcava' and 'IVC' are both inferior_vena_cava"),
        ({"labels": {"left kidney": 1, "left_kidney": 2}}, "'left_kidney' is given twice"),
        ({"labels": {"liver": -1}}, "'liver' is numbered '-1'"),
        ({"labels": {"liver": 1.5}}, "'liver' is numbered '1.5'"),
        ({"labels": {"liver": True}}, "'liver' is numbered 'True'"),
        ({"labels": {"liver": None}}, "'liver' is numbered 'None'"),
        ({"labels": {"liver": 10**30}}, "a whole number from 0 to 65535 is expected"),
        ({"labels": {"liver": 70000}}, "a whole number from 0 to 65535 is expected"),
        ({"labels": {"1": 7}}, "7 is no name of a structure"),
        ({"labels": {"liver": [1, 2]}}, "'regions_class_order' must give one value for each"),
        (REGIONS | {"regions_class_order": [1, 2]}, "'regions_class_order' must give one value for each"),
        (REGIONS | {"regions_class_order": [1, 3, 2]}, "value 3 stands for the region 'kidney_tumor' but does not lie"),
        (
            {"labels": {"liver": [1, 2], "liver_tumor": [2, 3]}, "regions_class_order": [1, 3]},
            r"values \[2\] belong to regions but stand for none",
        ),
    ],
)  # fmt: skip
def test_what_is_no_label_file_is_refused(tmp_path: Path, content: Any, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        read(tmp_path, content)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.json: cannot be read as a label file: No such file"):
        label_set(f"{tmp_path}/nowhere.json")


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "labels.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ModelError, match="is larger than 1048576 bytes"):
        read_label_set(tmp_path / "labels.json")


def test_no_name_leads_out_of_a_folder(tmp_path: Path) -> None:
    found = read(tmp_path, {"../liver": 1, "/spleen": 2, "C:pancreas": 3, "gall\nbladder": 4})
    assert list(found.labels.values()) == ["gallbladder"]
    assert found.name_of("gallbladder") == "gall_bladder"


@given(
    content=st.dictionaries(
        st.sampled_from(["liver", "spleen", "1", "2", "labels", "background"]) | st.text(max_size=4),
        st.recursive(
            st.integers() | st.text(max_size=5) | st.none() | st.booleans() | st.floats(allow_nan=False),
            lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5), some, max_size=3),
            max_leaves=8,
        ),
        max_size=5,
    )
)
def test_any_json_is_a_label_set_or_refused(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    try:
        found = read(tmp_path_factory.mktemp("read"), content)
    except ModelError:
        return
    assert found.labels
    assert found.labels.keys() <= found.native_names.keys()
    assert all(0 < number < 2**16 for number in found.native_names)
