from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctatlas.errors import ModelError
from ctatlas.models.nnunet import read_dataset, read_plans
from tests.support.nnunet_folders import Folder, write_folder

Change = Callable[[Any], object]


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    return write_folder(tmp_path, Folder()) / "plans.json"


def _change(path: Path, change: Change) -> None:
    table = json.loads(path.read_text(encoding="utf-8"))
    change(table)
    path.write_text(json.dumps(table), encoding="utf-8")


def _architecture(table: Any) -> Any:
    return table["configurations"]["3d_fullres"]["architecture"]


def test_old_plans_tell_the_same_network_as_new_ones(tmp_path: Path) -> None:
    new = read_plans(write_folder(tmp_path / "new", Folder()) / "plans.json")
    old = read_plans(write_folder(tmp_path / "old", Folder(old_plans=True)) / "plans.json")

    assert old.configuration("3d_fullres") == new.configuration("3d_fullres")


def test_a_configuration_takes_over_what_it_inherits(plans: Path) -> None:
    child = {"inherits_from": "3d_fullres", "patch_size": [16, 24, 32]}
    grandchild = {"inherits_from": "child", "spacing": [3.0, 2.0, 1.0]}
    _change(plans, lambda table: table["configurations"].update({"child": child, "grandchild": grandchild}))

    found = read_plans(plans).configuration("grandchild")

    assert found.patch_size == (16, 24, 32)
    assert found.spacing == (3.0, 2.0, 1.0)
    assert found.architecture == read_plans(plans).configuration("3d_fullres").architecture


def test_one_value_may_stand_for_every_stage(plans: Path) -> None:
    def shorten(table: Any) -> None:
        _architecture(table)["arch_kwargs"] |= {"kernel_sizes": 3, "n_conv_per_stage": 2, "strides": [1, 2, 2]}

    before = read_plans(plans)
    _change(plans, shorten)

    assert read_plans(plans) == before


def _circle(table: Any) -> None:
    table["configurations"]["3d_fullres"]["inherits_from"] = "b"
    table["configurations"]["b"] = {"inherits_from": "3d_fullres"}


def _other_network(table: Any) -> None:
    _architecture(table)["network_class_name"] = "primus.PrimusM"


def _even_kernel(table: Any) -> None:
    _architecture(table)["arch_kwargs"]["kernel_sizes"][1] = [3, 4, 3]


def _huge(table: Any) -> None:
    _architecture(table)["arch_kwargs"]["features_per_stage"][2] = 10**9


def _own_normalisation(table: Any) -> None:
    table["configurations"]["3d_fullres"]["normalization_schemes"] = ["MyNormalization"]


def _own_resampling(table: Any) -> None:
    table["configurations"]["3d_fullres"]["resampling_fn_data"] = "os.system"


def _without_patch(table: Any) -> None:
    del table["configurations"]["3d_fullres"]["patch_size"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_circle, "inherits from itself: 3d_fullres -> b -> 3d_fullres"),
        (_other_network, "its network is a PrimusM; ctatlas runs PlainConvUNet and ResidualEncoderUNet"),
        (_even_kernel, "kernels of odd size are expected"),
        (_huge, "less than or equal to 4096"),
        (_own_normalisation, "MyNormalization is not known; known: CTNormalization"),
        (_own_resampling, "resamples with system, which is not known here"),
        (_without_patch, "misses 'patch_size'"),
    ],
)
def test_what_cant_be_run_is_refused_when_it_is_asked_for(change: Change, said: str, plans: Path) -> None:
    _change(plans, change)
    found = read_plans(plans)

    with pytest.raises(ModelError) as refusal:
        found.configuration("3d_fullres")

    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not sound JSON"),
        ("[]", "is no JSON object"),
        ("{}", "no plans of nnU-Net version 2"),
        ("[" * 10**5, "is not sound JSON"),
    ],
)
def test_broken_files_are_refused_in_a_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "plans.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ModelError, match=said):
        read_plans(path)


def test_a_way_back_that_is_none_is_refused(plans: Path) -> None:
    _change(plans, lambda table: table.update(transpose_forward=[2, 0, 1], transpose_backward=[2, 0, 1]))

    with pytest.raises(ModelError, match="are no order of three axes and the way back"):
        read_plans(plans)


def _dataset(tmp_path: Path, labels: object, **more: object) -> Path:
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"channel_names": {"0": "CT"}, "labels": labels} | more), encoding="utf-8")
    return path


def test_labels_are_read_in_either_direction(tmp_path: Path) -> None:
    forth = read_dataset(_dataset(tmp_path, {"background": 0, "b": 2, "a": 1}))
    back = read_dataset(_dataset(tmp_path, {"0": "background", "1": "a", "2": "b"}))

    assert forth.classes == back.classes == {"a": (1,), "b": (2,)}
    assert forth.n_heads == 3


def test_what_is_to_be_ignored_has_no_class(tmp_path: Path) -> None:
    found = read_dataset(_dataset(tmp_path, {"background": 0, "a": 1, "ignore": 2}))

    assert found.n_heads == 2


def test_a_list_of_one_makes_no_region(tmp_path: Path) -> None:
    assert not read_dataset(_dataset(tmp_path, {"background": 0, "a": [1], "b": 2})).has_regions


@pytest.mark.parametrize(
    ("labels", "more", "said"),
    [
        ({"background": 1, "a": 2}, {}, "'background' is expected to be 0"),
        ({"background": 0, "a": 1, "b": 3}, {}, "expected 1, 2, 3"),
        ({"background": 0, "a": 1, "b": 1}, {}, "once each"),
        ({"background": 0, "a": [1, 2], "b": 2}, {}, "need a regions_class_order of as many values"),
        ({"background": 0, "a": [1, 2], "b": 2}, {"regions_class_order": [1]}, "found 1"),
        ({"background": 0, "a": -1}, {}, "whole numbers from 1"),
        ({"background": 0, "a": "many"}, {}, "name → number"),
        ({"background": 0}, {}, "labels|at least 1"),
    ],
)
def test_labels_that_contradict_themselves_are_refused(
    labels: object, more: dict[str, object], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=said):
        read_dataset(_dataset(tmp_path, labels, **more))
