"""Files of one case get one pseudonym, files of two cases two."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctatlas.volume.deidentify.key import Key
from ctatlas.volume.deidentify.naming import target_of_image

KEY = Key(b"naming!!" * 4)


def patient_and_rest(source: Path, inside: str) -> tuple[str, str]:
    patient, rest = target_of_image(source / inside, source, ".nii.gz", KEY).split("/", 1)
    return patient, rest


@pytest.mark.parametrize(
    ("files", "rests"),
    [
        (("a/ct.nii.gz", "a/segmentations/liver.nii.gz"), ("ct.nii.gz", "segmentations/liver.nii.gz")),
        (("ct.nii.gz", "segmentations/liver.nii.gz"), ("ct.nii.gz", "segmentations/liver.nii.gz")),
        (("a/ct.nii.gz", "a/ct.nrrd"), ("ct.nii.gz", "ct.nii.gz")),
        (
            ("imagesTr/liver_1_0000.nii.gz", "labelsTr/liver_1.nii.gz"),
            ("imagestr/image.nii.gz", "labelstr/image.nii.gz"),
        ),
        (("images/7.nii.gz", "masks/7.nii.gz"), ("images/image.nii.gz", "masks/image.nii.gz")),
    ],
)
def test_a_scan_and_its_masks_stay_together(tmp_path: Path, files: tuple[str, str], rests: tuple[str, str]) -> None:
    (one, other), found = zip(*(patient_and_rest(tmp_path, name) for name in files), strict=True)
    assert one == other
    assert found == rests


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a/ct.nii.gz", "b/ct.nii.gz"),
        ("a/b/ct.nii.gz", "a/c/ct.nii.gz"),
        ("ann.nii.gz", "bert.nii.gz"),
        ("imagesTr/liver_1_0000.nii.gz", "imagesTr/liver_2_0000.nii.gz"),
        ("a/imagesTr/7.nii.gz", "b/imagesTr/7.nii.gz"),
    ],
)
def test_two_cases_stay_two(tmp_path: Path, one: str, other: str) -> None:
    assert patient_and_rest(tmp_path, one)[0] != patient_and_rest(tmp_path, other)[0]


def test_masks_of_unknown_things_stay_with_their_case(tmp_path: Path) -> None:
    names = ("liver", "Mueller 1", "Mueller 2")
    found = [patient_and_rest(tmp_path, f"a/segmentations/{name}.nii.gz") for name in names]
    assert len({patient for patient, _ in found}) == 1
    assert len({rest for _, rest in found}) == 3
    assert "Mueller" not in str(found)


def test_a_case_is_one_whether_given_alone_or_among_others(tmp_path: Path) -> None:
    (tmp_path / "case_7").mkdir()
    (tmp_path / "case_7" / "ct.nii.gz").touch()
    targets = {
        target_of_image(tmp_path / "case_7" / "ct.nii.gz", source, ".nii.gz", KEY)
        for source in (tmp_path, tmp_path / "case_7", tmp_path / "case_7" / "ct.nii.gz")
    }
    assert len(targets) == 1
