from __future__ import annotations

from pathlib import Path

import pytest

from ctatlas.errors import ModelError
from ctatlas.models import card, load
from ctatlas.models.nnunet import NnunetNetworks
from tests.support.nnunet_folders import Folder, write_folder, write_folders

REGIONS = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "liver": 3}


def test_labels_get_canonical_names_and_others_keep_theirs(tmp_path: Path) -> None:
    labels = {"background": 0, "postcava": 2, "Gall Bladder": 1, "Tumor Bed": 3}

    found = card(write_folder(tmp_path, Folder(labels=labels)))

    assert found.foreground == {1: "gallbladder", 2: "inferior_vena_cava", 3: "Tumor_Bed"}
    assert list(found.structures) == ["gallbladder", "inferior_vena_cava", "Tumor_Bed"]


def test_two_labels_of_one_structure_keep_their_own_names(tmp_path: Path) -> None:
    labels = {"background": 0, "postcava": 1, "inferior_vena_cava": 2}

    assert card(write_folder(tmp_path, Folder(labels=labels))).foreground == {1: "postcava", 2: "inferior_vena_cava"}


def test_a_name_that_is_no_file_name_becomes_one(tmp_path: Path) -> None:
    found = card(write_folder(tmp_path, Folder(labels={"background": 0, "../../etc": 1, "..": 2})))

    assert list(found.structures) == ["_.._etc", "label"]


def test_regions_are_decided_one_by_one(tmp_path: Path) -> None:
    found = card(write_folder(tmp_path, Folder(labels=REGIONS, regions_order=(1, 2, 3))))

    assert found.decide == "threshold"
    assert list(found.structures) == ["whole", "core", "liver"]


def test_spacing_and_window_are_in_the_scans_order_of_axes(tmp_path: Path) -> None:
    folder = Folder(transpose=(1, 2, 0), spacing=(1.0, 2.0, 3.0), patch=(16, 32, 48))

    found = card(write_folder(tmp_path, folder))

    # The plans' axes are y, x, z.
    assert found.input.spacing_mm == (2.0, 1.0, 3.0)
    assert found.window.shape == (32, 16, 48)


@pytest.mark.parametrize(
    ("reader", "orientation"),
    [
        ("SimpleITKIO", "LPS"),
        ("NibabelIO", "RAS"),
        ("NibabelIOWithReorient", "RAS"),
        ("SimpleITKIOWithReorient", "RAS"),
    ],
)
def test_scans_are_turned_as_their_reader_gives_them(reader: str, orientation: str, tmp_path: Path) -> None:
    assert card(write_folder(tmp_path, Folder(reader=reader))).input.orientation == orientation


def test_other_weights_make_another_hash(tmp_path: Path) -> None:
    one = card(write_folder(tmp_path / "one", Folder(seed=1)))
    other = card(write_folder(tmp_path / "other", Folder(seed=2)))

    assert one.weights.sha256 != other.weights.sha256


def test_a_model_is_found_by_its_dataset_when_it_is_the_only_one(tmp_path: Path) -> None:
    place = write_folder(tmp_path, Folder(folds=(0, 3)))

    model = load(place.parent)

    assert isinstance(model.backend, NnunetNetworks)
    assert model.backend.folds == (0, 3)
    assert model.card.name == "nnunet/dataset321_toy.3d_fullres"


def test_of_several_models_one_has_to_be_named(tmp_path: Path) -> None:
    places = write_folders(tmp_path, [Folder(), Folder(configuration="3d_lowres")])

    with pytest.raises(ModelError, match=r"holds several models, name one: .*3d_fullres, .*3d_lowres"):
        card(places[0].parent)


def test_a_note_beside_the_plans_says_how_scans_lay(tmp_path: Path) -> None:
    place = write_folder(tmp_path, Folder())
    (place / "ctatlas.toml").write_text('orientation = "RAS"\nlicense = "CC-BY-4.0"\n', encoding="utf-8")

    found = card(place)

    assert (found.input.orientation, found.license) == ("RAS", "CC-BY-4.0")


@pytest.mark.parametrize("note", ['orientation = "RRR"', 'orientation = "left"', "speed = 3", "orientation"])
def test_a_note_that_cant_be_meant_is_refused(note: str, tmp_path: Path) -> None:
    place = write_folder(tmp_path, Folder())
    (place / "ctatlas.toml").write_text(note, encoding="utf-8")

    with pytest.raises(ModelError, match=r"ctatlas\.toml: "):
        card(place)
