from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctatlas.errors import ModelError
from ctatlas.models import ModelCard, read_card
from ctatlas.results import name_outputs
from ctatlas.volume import Grid, Segmentation
from tests.support_models import tiny_model

CLASSES = ("liver", "kidney_left", "kidney_right", "inferior_vena_cava", "aorta", "hip_left")
STATUS = {"aorta": "experimental", "hip_left": "not_usable"}


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    found = read_card(tiny_model(tmp_path / "tiny", CLASSES) / "card.toml")
    classes = [each.model_copy(update={"status": STATUS.get(each.name, "usable")}) for each in found.classes]
    return found.model_copy(update={"classes": tuple(classes)})


def test_usable_structures_come_by_default(card: ModelCard) -> None:
    naming = name_outputs(card)
    assert list(naming.parts) == ["liver", "kidney_left", "kidney_right", "inferior_vena_cava"]
    assert naming.remarks == ()


@pytest.mark.parametrize("name", ["aorta", "hip_left"])
def test_others_come_when_named_with_a_remark(card: ModelCard, name: str) -> None:
    naming = name_outputs(card, ["liver", name])
    assert list(naming.parts) == ["liver", name]
    assert len(naming.remarks) == 1
    assert f"marked {STATUS[name].replace('_', ' ')} on the card of test/tiny: {name}" in naming.remarks[0]


def test_all_is_all_but_what_is_not_usable(card: ModelCard) -> None:
    assert list(name_outputs(card, ["all"]).parts) == [*CLASSES[:4], "aorta"]
    assert "heart" not in name_outputs(card, ["all"], "abdomenatlas-1.0").parts


def test_ids_without_a_label_set_do_not_depend_on_what_is_asked_for(card: ModelCard) -> None:
    assert name_outputs(card, ["kidney_right"]).ids == {"kidney_right": 3}
    assert name_outputs(card).ids["kidney_right"] == 3


def test_other_names_of_a_structure_are_understood(card: ModelCard) -> None:
    assert list(name_outputs(card, ["postcava", "Right Kidney"]).parts) == ["inferior_vena_cava", "kidney_right"]


def test_a_union_is_put_together_from_its_parts(card: ModelCard) -> None:
    naming = name_outputs(card, ["kidneys"])
    assert naming.parts == {"kidneys": ("kidney_left", "kidney_right")}
    left, right = np.zeros((2, 3, 4), bool), np.zeros((2, 3, 4), bool)
    left[0], right[1, 1] = True, True
    found = Segmentation.from_masks(Grid((2, 3, 4), np.eye(4)), {"kidney_left": left, "kidney_right": right})
    fused = naming.apply(found)
    assert fused.names == ("kidneys",)
    np.testing.assert_array_equal(fused.mask("kidneys"), left | right)


def test_what_the_model_does_not_find_is_refused_with_what_it_finds(card: ModelCard) -> None:
    with pytest.raises(ModelError, match=r"does not find spleen; it finds liver, kidney_left"):
        name_outputs(card, ["spleen"])


def test_half_a_union_is_refused(card: ModelCard) -> None:
    with pytest.raises(ModelError, match="does not find hips"):
        name_outputs(card, ["hips"])


def test_a_label_set_gives_names_and_ids(card: ModelCard) -> None:
    naming = name_outputs(card, label_set_name="universal-32")
    assert naming.file_names["inferior_vena_cava"] == "postcava"
    assert naming.ids == {"kidney_right": 2, "kidney_left": 3, "liver": 6, "inferior_vena_cava": 9}


def test_what_a_label_set_has_no_place_for_is_left_out_with_a_remark(card: ModelCard) -> None:
    naming = name_outputs(card, label_set_name="autoorgan-organs")
    left_out = {"liver", "kidney_left", "kidney_right", "inferior_vena_cava"} - naming.parts.keys()
    assert left_out
    assert all(any(name in remark for remark in naming.remarks) for name in left_out)


def test_a_named_structure_that_the_label_set_lacks_is_refused(card: ModelCard) -> None:
    with pytest.raises(ModelError, match=r"label set abdomenatlas-1\.0 has no hip_left"):
        name_outputs(card, ["hip_left"], "abdomenatlas-1.0")


def test_a_label_set_with_nothing_of_the_model_is_refused(card: ModelCard) -> None:
    with pytest.raises(ModelError, match="label set autoorgan-ribs has no"):
        name_outputs(card, label_set_name="autoorgan-ribs")


def test_a_dataset_json_gives_names_and_ids(card: ModelCard, tmp_path: Path) -> None:
    path = tmp_path / "dataset.json"
    path.write_text('{"labels": {"background": 0, "IVC": 7, "hepar": 2, "Liver": 9}}')

    naming = name_outputs(card, label_set_name=str(path))

    assert naming.ids == {"inferior_vena_cava": 7, "liver": 9}
    assert naming.file_names == {"inferior_vena_cava": "IVC", "liver": "Liver"}
    assert naming.remarks[-1] == "left out, because no structure is called so: hepar of dataset.json"
