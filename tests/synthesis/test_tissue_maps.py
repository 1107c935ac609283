"""Label maps of structures → tissues."""

import math

import numpy as np

from ctatlas.synthesis.tables import tissue_id
from ctatlas.synthesis.tissue_maps import Split, as_tissues, split_by_place

NAMES = {1: "liver", 3: "kidney_left", 7: "stomach_and_duodenum", 8: "stomach", 9: "duodenum", 118: "body"}


def ball(radius_mm, step):
    x, y, z = np.ogrid[-45:45:step, -45:45:step, -45:45:step]
    return x**2 + y**2 + z**2 < radius_mm**2


def test_a_kidney_gets_a_cortex_of_nine_millimetres_around_a_medulla():
    step, radius, wall = 1.5, 30.0, 9.0
    painted, known = as_tissues(ball(radius, step) * np.uint8(3), NAMES, step)
    assert known == {"kidney_left"}
    medulla, both = (painted == tissue_id("kidney_left_medulla")).sum(), (painted > 0).sum()
    assert abs(medulla / both - ((radius - wall) / radius) ** 3) < 0.03


def test_what_has_no_wall_is_one_tissue_and_the_body_is_none():
    labels = np.full((8, 8, 8), 118, dtype=np.uint8)
    labels[2:6, 2:6, 2:6] = 1
    painted, known = as_tissues(labels, NAMES, 4.0)
    assert known == {"liver"}
    np.testing.assert_array_equal(painted, np.where(labels == 1, tissue_id("liver"), 0))


def test_a_merged_structure_is_named_by_its_place_and_the_first_box_decides():
    labels = np.full((4, 1, 1), 7, dtype=np.uint8)
    labels[3] = 1
    splits = [
        Split("stomach_and_duodenum", "stomach", (0, 0, 0), (4.0, math.inf, math.inf)),
        Split("stomach_and_duodenum", "duodenum", (2.0, 0, 0), (6.0, math.inf, math.inf)),
    ]
    out = split_by_place(labels, NAMES, splits, (2.0, 1.0, 1.0))
    assert out.ravel().tolist() == [8, 8, 9, 1]
    assert labels.ravel().tolist() == [7, 7, 7, 1]
    beyond = split_by_place(np.full((6, 1, 1), 7, dtype=np.uint8), NAMES, splits, (2.0, 1.0, 1.0))
    assert beyond.ravel().tolist() == [8, 8, 9, 7, 7, 7]
