"""Models of nnU-Net in an ensemble: their probabilities, on the scan's grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ctatlas
from ctatlas.inference import Scene, infer_together, joint
from ctatlas.inference.nnunet.parts import answer_nnunet
from ctatlas.models import Model, load
from ctatlas.volume import Grid, Volume
from tests.support.nnunet_folders import Folder, write_folder
from tests.support.nnunet_scans import noisy_scan
from tests.support_models import tiny_model

SHAPE = (22, 27, 24)
LABELS = {"background": 0, "liver": 1, "Tumor Bed": 2, "spleen": 3}


@pytest.fixture
def scan() -> Volume:
    return Volume(noisy_scan(SHAPE), Grid(SHAPE, np.diag([-1.1, -1.3, 1.7, 1.0])))


def said(volume: Volume, model: Model) -> np.ndarray:
    """Put a model's parts together, (n, i, j, k); where it did not look there is nothing."""
    parts = answer_nnunet(volume, model)
    found = np.zeros((parts[0].n_classes, *volume.grid.shape))
    found[0] = model.card.decide == "argmax"
    for part in parts:
        for channel in range(part.n_classes):
            values = part.probability(channel)
            assert values.shape == part.box.shape
            assert values.max() <= part.highest(channel)
            found[(channel, *part.box.slices)] = values
    return found


@pytest.mark.parametrize(("code", "transposed"), [("RAS", (0, 1, 2)), ("SLA", (2, 0, 1))])
def test_the_likeliest_class_is_the_label_however_the_scan_lies(
    code: str, transposed: tuple[int, int, int], scan: Volume, tmp_path: Path
) -> None:
    place = write_folder(tmp_path, Folder(labels=LABELS, transpose=transposed))
    model, turned = load(place), scan.reoriented(code)
    probabilities = said(turned, model)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    first, second = np.sort(probabilities, axis=0)[[-1, -2]]
    clear = first - second > 1e-2
    labels = ctatlas.segment(turned, model=place).combined({"liver": 1, "Tumor_Bed": 2, "spleen": 3})
    np.testing.assert_array_equal(probabilities.argmax(axis=0)[clear], labels[clear])
    assert clear.mean() > 0.5
    assert len(np.unique(labels)) > 2


def test_regions_are_asked_one_by_one(scan: Volume, tmp_path: Path) -> None:
    regions = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "liver": 3}
    model = load(write_folder(tmp_path, Folder(labels=regions, regions_order=(1, 2, 3))))
    assert said(scan, model).shape == (3, *SHAPE)
    assert joint([model.card]).fields[0].threshold == 0.5


def test_two_of_nnunet_and_one_of_another_kind_have_a_mean(scan: Volume, tmp_path: Path) -> None:
    upright = scan.reoriented("RAS")
    places = [write_folder(tmp_path / name, Folder(labels=LABELS, seed=seed)) for name, seed in (("a", 1), ("b", 2))]
    models = [load(place) for place in places]
    models[1] = Model(models[1].card.model_copy(update={"name": "nnunet/other"}), models[1].backend)
    whole = [said(upright, model) for model in models]

    found = infer_together(
        Scene(upright), models, joint([each.card for each in models]), save_probabilities=True, save_disagreement=True
    )

    mean = np.mean(whole, axis=0)
    np.testing.assert_allclose(found.mean.probabilities["liver"] / 255, mean[1], atol=0.51 / 255)
    differ = (2 * np.std(whole, axis=0))[1:].max(axis=0)
    np.testing.assert_allclose(found.disagreement / 255, differ, atol=0.51 / 255)
    assert set(found.mean.segmentation.names) == {"liver", "spleen", "Tumor_Bed"}

    tiny = tiny_model(tmp_path / "tiny", ("liver", "aorta"))
    together = ctatlas.segment(scan, model=[places[0], tiny])
    assert {"liver", "aorta", "spleen", "Tumor_Bed"} == set(together.names)
