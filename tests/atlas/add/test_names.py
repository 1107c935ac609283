"""Names that belong together, in the ways public datasets write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctatlas.anatomy import label_set
from ctatlas.atlas.add.datasets import dataset_of, known_datasets
from ctatlas.atlas.add.names import case_name, key_of, role_of

PAIRS = [
    ("img0002", "label0002"),
    ("PANCREAS_0002", "label0002"),
    ("10_image", "10_segmentation"),
    ("liver_1", "liver_1"),
    ("Case_00001_0000", "Case_00001"),
    ("amos_0001", "amos_0001"),
    ("volume-0", "labels-0"),
    ("Organ12_0001_0000", "Organ12_0001"),
    ("imaging", "imaging_seg"),
]


@pytest.mark.parametrize(("image", "label"), PAIRS)
def test_names_of_public_datasets_go_together(image: str, label: str) -> None:
    assert key_of(label).goes_with(key_of(image))


@pytest.mark.parametrize(("image", "label"), [(a, b) for a, _ in PAIRS for _, b in PAIRS if (a, b) not in PAIRS])
def test_names_of_different_cases_do_not(image: str, label: str) -> None:
    same_number = {image, label} in ({"img0002", "label0002"}, {"PANCREAS_0002", "label0002"})
    assert key_of(label).goes_with(key_of(image)) is same_number


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("img/img0002.nii.gz", "image"),
        ("multiorgan_label/label0002.nii.gz", "label"),
        ("ct/liver_label/10_segmentation.nii.gz", "label"),
        ("ct/img/10_image.nii.gz", "image"),
        ("labelsTr/case.nii.gz", "label"),
        ("case_1.nii.gz", ""),
    ],
)
def test_the_role_that_a_path_tells(path: str, role: str) -> None:
    assert role_of(Path(path)) == role


def test_a_case_is_called_after_its_folder_when_its_file_says_nothing() -> None:
    assert case_name(Path("r/a/case1/ct.nii.gz"), Path("r")) == "a_case1"
    assert case_name(Path("r/ct.nii.gz"), Path("r")) == "ct"


def test_every_known_dataset_has_a_label_set_that_exists_and_a_source() -> None:
    for row in known_datasets():
        assert label_set(row.label_set).labels
        assert not set(row.left_out) & set(label_set(row.label_set).labels)
    assert dataset_of(["04_LiTSX"]) is None
    assert dataset_of(["10_Decathlon_colon_3"]).label_set == "msd-10-colon"  # type: ignore[union-attr]
