"""Several models on one scan, as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import ctatlas as program
from ctatlas.volume import Volume
from tests.support_command import Terminal
from tests.support_models import tiny_model
from tests.support_scans import CARD, HU, LIVER, SPLEEN, box_mask, torso_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return three: liver and spleen; the same at another spacing, which tells them apart less well; a stomach."""
    folder = tmp_path_factory.mktemp("models")
    shifted = tiny_model(
        folder / "shifted",
        ("small_bowel", "liver", "spleen"),
        hu=HU | {"liver": 250.0},
        name="test/shifted",
        spacing_mm=[5.0, 4.0, 6.0],
        orientation="LPS",
        extra=CARD,
    )
    stomach = tiny_model(folder / "stomach", ("stomach",), hu={"stomach": HU["spleen"]}, name="test/stomach")
    return [torso_model(folder / "torso", name="test/torso"), shifted, stomach]


def mask(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj) > 0


def options(models: list[Path]) -> list[object]:
    return [word for model in models for word in ("--model", model)]


def test_several_models_give_one_result_a_map_of_disagreement_and_what_each_finds(
    ctatlas: Terminal, scan: Path, models: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = ctatlas("segment", scan, out, *options(models[:2]), "--keep-models", "--save-entropy", "--combined")
    assert done.code == 0
    written = {"segmentations", "models", "disagreement.nii.gz", "entropy.nii.gz", "combined_labels.nii.gz"}
    assert {path.name for path in out.iterdir()} == {*written, "labels.json", "run.json"}
    assert (mask(out / "segmentations/liver.nii.gz") & box_mask(LIVER)).sum() > 0.9 * box_mask(LIVER).sum()
    differ = np.asarray(nib.load(out / "disagreement.nii.gz").dataobj)
    liver, spleen = (differ[tuple(slice(lo + 2, hi - 2) for lo, hi in box)] for box in (LIVER, SPLEEN))
    assert spleen.mean() > 5 * liver.mean() > 0
    alone = ctatlas("segment", scan, tmp_path / "alone", "--model", models[1])
    assert alone.code == 0
    for name in ("liver", "spleen"):
        kept = mask(out / "models/test/shifted/segmentations" / f"{name}.nii.gz")
        np.testing.assert_array_equal(kept, mask(tmp_path / "alone/segmentations" / f"{name}.nii.gz"))


def test_a_second_run_skips_and_another_ensemble_does_not(
    ctatlas: Terminal, scan: Path, models: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert ctatlas("segment", scan, out, *options(models)).code == 0
    assert (out / "segmentations/stomach.nii.gz").exists()
    record = json.loads((out / "run.json").read_text())
    assert [each["name"] for each in record["parameters"]["models"]] == ["test/torso", "test/shifted", "test/stomach"]
    assert "there already" in ctatlas("segment", scan, out, *options(models)).out
    assert "there already" not in ctatlas("segment", scan, out, *options(models[:2])).out
    assert not (out / "segmentations/stomach.nii.gz").exists()


def test_names_and_numbers_are_those_of_the_label_set_whatever_the_order_of_models(
    ctatlas: Terminal, scan: Path, models: list[Path], tmp_path: Path
) -> None:
    results = []
    for name, order in (("one", models[:2]), ("other", models[1::-1])):
        extras = ["--label-set", "abdomenatlas-1.1", "--combined"]
        assert ctatlas("segment", scan, tmp_path / name, *options(order), *extras).code == 0
        results.append(np.asarray(nib.load(tmp_path / name / "combined_labels.nii.gz").dataobj))
    assert json.loads((tmp_path / "one/labels.json").read_text()) == {"5": "liver", "8": "spleen", "20": "intestine"}
    np.testing.assert_array_equal(*results)
    assert set(np.unique(results[0])) == {0, 5, 8, 20}


def test_two_models_of_one_name_are_refused_before_anything_is_read(
    ctatlas: Terminal, scan: Path, tmp_path: Path
) -> None:
    twins = [torso_model(tmp_path / name) for name in ("a", "b")]
    done = ctatlas("segment", scan, tmp_path / "out", *options(twins))
    assert done.code == 2
    assert "two models are called test/torso" in done.err
    assert not (tmp_path / "out").exists()


def test_a_union_takes_each_structure_from_the_first_that_has_it(volume: Volume, models: list[Path]) -> None:
    found = program.segment(volume, model=models, how="union", structures=["liver", "spleen", "stomach"])
    first = program.segment(volume, model=models[0], structures=["liver", "spleen"])
    last = program.segment(volume, model=models[2], structures=["stomach"])
    for whole in (first, last):
        for name, expected in whole.items():
            np.testing.assert_array_equal(found.mask(name), expected)
    assert (found.mask("stomach") & found.mask("spleen")).any()  # each decided by itself
