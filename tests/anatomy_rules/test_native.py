"""Label maps of datasets, in any orientation, give the structures that the dataset annotates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from ctatlas.anatomy import LabelSet, label_set, label_set_names
from ctatlas.anatomy_rules import RULES, annotated_structures
from ctatlas.volume import Grid, Segmentation
from tests.anatomy_rules.bodies import ellipsoid
from tests.anatomy_rules.test_sides import grids, spine, world_x


def kits(grid: Grid) -> np.ndarray:
    """Return a label map as KiTS numbers it: both kidneys 1, a tumor in the right one 2, a cyst in the left one 3."""
    labels = np.zeros(grid.shape, np.uint8, order="F")
    for sign in (1, -1):
        labels[ellipsoid(grid, (sign * 60, -20, 10), (28, 25, 50))] = 1
    labels[ellipsoid(grid, (60, -20, 30), (14, 14, 16))] = 2
    labels[ellipsoid(grid, (-60, -20, -10), (14, 14, 16))] = 3
    return labels


@given(grid=grids())
def test_kidneys_part_by_the_patients_sides_and_hold_their_tumors(grid: Grid) -> None:
    labels = kits(grid)

    found = annotated_structures(labels, grid, label_set("kits"))

    assert found.names == label_set("kits").annotated
    left, right = found.mask("kidney_left"), found.mask("kidney_right")
    assert ((left | right) == (labels > 0)).all()
    assert world_x(grid, left).max() < 0 < world_x(grid, right).min()
    assert (found.mask("kidney_tumor") == (labels == 2)).all()
    assert right[labels == 2].all()
    assert left[labels == 3].all()


@given(grid=grids())
def test_a_lone_kidney_is_not_always_the_right_one(grid: Grid) -> None:
    labels = np.zeros(grid.shape, np.uint8, order="F")
    labels[ellipsoid(grid, (-60, -20, 10), (28, 25, 50))] = 2

    found = annotated_structures(labels, grid, label_set("abdomenct-1k"))

    assert found.n_voxels()["kidney_left"] == np.count_nonzero(labels)
    assert found.n_voxels()["kidney_right"] == 0


def test_landmarks_tell_the_side_where_the_scan_is_off_centre() -> None:
    grid = Grid((61, 41, 43), np.array([[4.0, 0, 0, -20], [0, 5, 0, -100], [0, 0, 6, -130], [0, 0, 0, 1]]))
    labels = np.zeros(grid.shape, np.uint8, order="F")
    labels[ellipsoid(grid, (60, -20, 10), (28, 25, 50))] = 1  # the patient's right, and the left half of the scan
    landmarks = Segmentation.from_masks(grid, {"vertebrae_L2": spine(grid), "liver": labels == 9})

    alone = annotated_structures(labels, grid, label_set("kits")).n_voxels()
    helped = annotated_structures(labels, grid, label_set("kits"), landmarks=landmarks)

    assert alone["kidney_left"] > 0
    assert helped.n_voxels()["kidney_right"] == np.count_nonzero(labels)
    assert helped.names == label_set("kits").annotated


def test_annotated_and_absent_is_an_empty_mask_and_other_numbers_are_left_out() -> None:
    grid = Grid((5, 7, 9), np.diag([1.0, 2, 3, 1]))
    labels = np.full(grid.shape, 14, np.uint16, order="F")
    labels[0, 0, 0] = 6

    found = annotated_structures(labels, grid, label_set("pancreas-ct")).n_voxels()

    assert found == {**dict.fromkeys(label_set("pancreas-ct").annotated, 0), "duodenum": labels.size - 1, "liver": 1}


def test_a_label_without_a_structure_still_counts_for_the_organ_around_it() -> None:
    grid = Grid((3, 4, 5), np.eye(4))
    labels = np.zeros(grid.shape, np.uint8, order="F")
    labels[1, 1, :3] = 1, 2, 0
    lesions = LabelSet("a file", {1: "liver"}, {1: "liver", 2: "lesion"}, also={2: ("liver",)})

    assert annotated_structures(labels, grid, lesions).n_voxels() == {"liver": 2}


@pytest.mark.parametrize("name", label_set_names())
def test_the_rules_that_tables_name_exist(name: str) -> None:
    assert set(label_set(name).split.values()) <= RULES.keys()
