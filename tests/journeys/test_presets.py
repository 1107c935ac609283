"""Presets and label sets, as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctatlas.anatomy import label_set
from tests.support_command import Terminal
from tests.support_models import tiny_model
from tests.support_scans import HU, LIVER, SPLEEN, box_mask


@pytest.mark.parametrize("preset", ["abdomenatlas", "suprem", "nnunet", "fast"])
def test_every_preset_finds_the_organs(ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path, preset: str) -> None:
    done = ctatlas("segment", scan, tmp_path / "out", "--model", model, "--preset", preset)
    assert done.code == 0
    for name, box in (("liver", LIVER), ("spleen", SPLEEN)):
        found = np.asarray(nib.load(tmp_path / "out/segmentations" / f"{name}.nii.gz").dataobj) > 0
        truth = box_mask(box)
        assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.85


def test_another_preset_is_another_result_and_the_same_is_skipped(
    ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ["segment", scan, out, "--model", model, "--preset"]
    assert "there already" not in ctatlas(*words, "fast").out
    assert "there already" in ctatlas(*words, "fast").out
    assert "there already" not in ctatlas(*words, "nnunet").out


def test_an_unknown_preset_is_refused_with_the_known(
    ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path
) -> None:
    done = ctatlas("segment", scan, tmp_path / "out", "--model", model, "--preset", "slow")
    assert (done.code, (tmp_path / "out").exists()) == (2, False)
    assert "no preset 'slow'; known: abdomenatlas, suprem, nnunet, fast" in done.err


@pytest.mark.parametrize("order", ["universal-32", "abdomenatlas-1.1", "abdomenatlas-1.0"])
def test_numbers_written_are_those_of_the_label_set_whatever_the_order_of_the_models_classes(
    ctatlas: Terminal, scan: Path, tmp_path: Path, order: str
) -> None:
    """The published program writes universal numbers from alphabetical channels; here the card names the channels."""
    names = [name for name in label_set(order).labels.values() if name != "small_bowel"]
    hu = {name: 2000.0 + 50 * number for number, name in enumerate(names)}
    hu |= {"liver": HU["liver"], "spleen": HU["spleen"], "pancreas": HU["small_bowel"]}
    folder = tiny_model(tmp_path / "model", names, hu=hu, extra='[calibrated]\nstructures = ["body"]')
    options = ["--model", folder, "--combined", "--label-set", "abdomenatlas-1.1", "-s", "liver,spleen,kidney_left"]
    assert ctatlas("segment", scan, tmp_path / "out", *options).code == 0
    assert json.loads((tmp_path / "out/labels.json").read_text()) == {"3": "kidney_left", "5": "liver", "8": "spleen"}
    labels = np.asarray(nib.load(tmp_path / "out/combined_labels.nii.gz").dataobj)
    for number, box in ((5, LIVER), (8, SPLEEN)):
        inner = tuple(slice(lo + 2, hi - 2) for lo, hi in box)
        assert (labels[inner] == number).all()
