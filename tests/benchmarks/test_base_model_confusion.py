"""What is taken for what: counted voxel by voxel, with classes that are never written and without what HU gives."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra 'torch'")

from benchmarks import base_model_confusion as benchmark
from ctatlas.models import card
from ctatlas.volume import Grid, Segmentation

ML = 0.008  # voxels of 2 mm


def rows_of(truth: dict[str, np.ndarray], won: np.ndarray):
    grid = Grid(won.shape, np.diag([2.0, 2.0, 2.0, 1.0]))
    like = card("ctatlas/base")
    found = Segmentation.from_labels(grid, np.asfortranarray(won), {c.channel: c.name for c in like.classes[1:]})
    rows = benchmark.confusions(found, Segmentation.from_masks(grid, truth), like)
    return {row.structure: row for row in rows}


def test_voxels_are_counted_by_what_they_are_and_what_they_are_called():
    channel = {each.name: each.channel for each in card("ctatlas/base").classes}
    names = ("heart", "liver", "hip_left", "hip_right", "lung_left", "lung_right", "pulmonary_artery")
    truth = {name: np.zeros((10, 10, 10), bool) for name in names}
    truth["heart"][:5, :5], truth["liver"][5:, :5], truth["pulmonary_artery"][:5, 5:7] = True, True, True
    truth["lung_left"][9, 9] = True
    won = np.zeros((10, 10, 10), np.uint8)
    won[:5, :6, :], won[:2, :5, :] = channel["heart"], channel["liver"]  # a row of the artery too much
    won[2, :5, :3], won[5:, :5] = channel["chest_vessels"], channel["liver"]

    rows = rows_of(truth, won)
    assert set(rows) == {"heart", "liver"}  # hips are not there; lungs come from HU
    heart = rows["heart"]
    assert heart.true_ml == pytest.approx(250 * ML)
    assert heart.missed_ml == pytest.approx({"liver": 100 * ML, "chest_vessels": 15 * ML})
    assert heart.too_much_ml == pytest.approx({"pulmonary_artery": 50 * ML})
    assert rows["liver"].missed_ml == {}
    assert rows["liver"].too_much_ml == pytest.approx({"heart": 100 * ML})


def test_a_whole_is_told_by_its_parts():
    channel = {each.name: each.channel for each in card("ctatlas/base").classes}
    left, right = np.zeros((2, 4, 4, 4), bool)
    left[0], right[3] = True, True
    won = np.zeros((4, 4, 4), np.uint8)
    won[:2], won[3] = channel["femurs"], channel["femurs"]
    rows = rows_of({"hip_left": left, "hip_right": right, "hips": left | right, "femurs": ~(left | right)}, won)
    assert rows["hips"].missed_ml == pytest.approx({"femurs": 32 * ML})
    assert rows["femurs"].too_much_ml == pytest.approx({"hip_left": 16 * ML, "hip_right": 16 * ML})
    assert rows["femurs"].missed_ml == pytest.approx({benchmark.NOTHING: 16 * ML})


def test_the_table_names_the_largest_and_leaves_out_what_hardly_matters():
    assert benchmark.told({"a": 0.9}, 5) == "–"
    assert benchmark.told({"a": 5.0}, 300) == "–"
    assert benchmark.told({"a": 1.0, "b": 30.0, "c": 7.4, "d": 9.0}, 40) == "b 30, d 9, c 7"
