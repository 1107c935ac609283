from __future__ import annotations

import numpy as np
import pytest

from ctatlas.anatomy_rules import Finding, Tidied, apply_rules, rules_from
from ctatlas.volume import Grid, Segmentation

GRID = Grid((20, 18, 16), np.diag([5.0, 10.0, 10.0, 1.0]))  # a voxel has 0.5 mL


def blocks(*boxes: tuple[slice, slice, slice]) -> np.ndarray:
    mask = np.zeros(GRID.shape, dtype=bool)
    for box in boxes:
        mask[box] = True
    return mask


LARGE = (slice(3, 8), slice(3, 8), slice(3, 8))  # 125 voxels, 62.5 mL
MIDDLE = (slice(11, 14), slice(3, 6), slice(3, 6))  # 27 voxels, 13.5 mL
SMALL = (slice(11, 13), slice(10, 12), slice(10, 12))  # 8 voxels, 4 mL
EDGE = (slice(0, 2), slice(12, 14), slice(10, 12))  # 8 voxels at the end of the scan


def ruled(masks: dict[str, np.ndarray], **row: object) -> Tidied:
    rules = rules_from([{"structures": list(masks), "source": "a test", **row}])
    return apply_rules(Segmentation.from_masks(GRID, masks), rules)


@pytest.mark.parametrize(
    ("parameters", "left"),
    [
        ({}, [LARGE]),
        ({"count": 2}, [LARGE, MIDDLE]),
        ({"count": 9}, [LARGE, MIDDLE, SMALL]),
        ({"count": 9, "at_least_of_largest": 0.1}, [LARGE, MIDDLE]),
        ({"count": 9, "at_least_of_largest": 27 / 125}, [LARGE, MIDDLE]),
    ],
)
def test_keep_largest(parameters: dict[str, float], left: list[tuple[slice, slice, slice]]) -> None:
    tidied = ruled({"liver": blocks(LARGE, MIDDLE, SMALL)}, kind="keep_largest", **parameters)

    assert (tidied.segmentation.mask("liver") == blocks(*left)).all()


def test_voxels_that_touch_at_a_corner_are_one_piece() -> None:
    corner = (slice(8, 9), slice(8, 9), slice(8, 9))

    tidied = ruled({"liver": blocks(LARGE, corner)}, kind="keep_largest")

    assert (tidied.segmentation.mask("liver") == blocks(LARGE, corner)).all()


def test_a_finding_tells_what_was_removed() -> None:
    tidied = ruled({"liver": blocks(LARGE, MIDDLE, SMALL)}, kind="keep_largest")

    assert tidied.findings == (Finding("liver", "keep_largest", "smaller pieces beside the 1 kept", removed_ml=17.5),)


def test_drop_small_goes_by_millilitres() -> None:
    tidied = ruled({"colon": blocks(MIDDLE, SMALL)}, kind="drop_small", below_ml=4.1)

    assert (tidied.segmentation.mask("colon") == blocks(MIDDLE)).all()
    assert not ruled({"colon": blocks(MIDDLE, SMALL)}, kind="drop_small", below_ml=4.0).findings


def test_drop_small_may_spare_what_the_scan_has_cut() -> None:
    tidied = ruled({"colon": blocks(SMALL, EDGE)}, kind="drop_small", below_ml=5.0, unless_at_edge=True)

    assert (tidied.segmentation.mask("colon") == blocks(EDGE)).all()


def test_too_small_a_structure_is_dropped_whole_but_its_name_stays() -> None:
    tidied = ruled({"kidney_left": blocks(MIDDLE, SMALL)}, kind="plausible_volume", at_least_ml=18.0)

    assert tidied.segmentation.names == ("kidney_left",)
    assert not tidied.segmentation.mask("kidney_left").any()
    assert tidied.findings[0].removed_ml == 17.5


def test_a_structure_that_the_scan_has_cut_is_never_too_small() -> None:
    assert not ruled({"kidney_left": blocks(MIDDLE, EDGE)}, kind="plausible_volume", at_least_ml=100.0).findings


def test_too_large_a_structure_is_noted_and_left() -> None:
    tidied = ruled({"gallbladder": blocks(LARGE)}, kind="plausible_volume", at_most_ml=61.0)

    assert (tidied.segmentation.mask("gallbladder") == blocks(LARGE)).all()
    assert [(finding.removed_ml, finding.added_ml) for finding in tidied.findings] == [(0.0, 0.0)]
    assert "63 mL in all" in tidied.findings[0].why


def test_limits_not_given_are_those_of_the_table_of_structures() -> None:
    tidied = ruled({"spleen": blocks(MIDDLE), "kidney_left": blocks(LARGE)}, kind="plausible_volume")

    assert [finding.structure for finding in tidied.findings] == ["spleen"]  # 20 mL at least; of a kidney 30


def test_holes_are_filled_where_nothing_else_is() -> None:
    hole, vessel, dent = ((slice(5, 6), slice(5, 6), slice(n, n + 1)) for n in (4, 6, 3))
    shell = blocks(LARGE) & ~blocks(hole, vessel, dent)

    tidied = ruled({"liver": shell, "hepatic_vessel": blocks(vessel)}, kind="fill_holes", structures=["liver"])

    assert (tidied.segmentation.mask("liver") == (shell | blocks(hole, dent))).all() is np.False_
    assert (tidied.segmentation.mask("liver") & blocks(vessel)).sum() == 0
    assert tidied.findings == ()


def test_a_closed_hole_is_filled() -> None:
    hole, vessel = ((slice(5, 6), slice(5, 6), slice(n, n + 1)) for n in (4, 6))
    shell = blocks(LARGE) & ~blocks(hole, vessel)

    tidied = ruled({"liver": shell, "hepatic_vessel": blocks(vessel)}, kind="fill_holes", structures=["liver"])

    assert (tidied.segmentation.mask("liver") == (shell | blocks(hole))).all()
    assert (tidied.segmentation.mask("hepatic_vessel") == blocks(vessel)).all()
    assert tidied.findings == (Finding("liver", "fill_holes", "enclosed on all sides", added_ml=0.5),)


def test_the_body_around_does_not_keep_a_hole_open() -> None:
    hole = (slice(5, 6), slice(5, 6), slice(5, 6))
    masks = {"liver": blocks(LARGE) & ~blocks(hole), "body": np.ones(GRID.shape, dtype=bool)}

    tidied = ruled(masks, kind="fill_holes", structures=["liver"])

    assert (tidied.segmentation.mask("liver") == blocks(LARGE)).all()
    assert tidied.segmentation.mask("body").all()


def test_what_is_filled_counts_in_the_rules_that_follow() -> None:
    hole = (slice(4, 7), slice(4, 7), slice(4, 7))
    rows = [
        {"kind": "drop_small", "structures": ["liver"], "below_ml": 1.0, "source": "a test"},
        {"kind": "fill_holes", "structures": ["liver"], "source": "a test"},
        {"kind": "plausible_volume", "structures": ["liver"], "at_least_ml": 62.0, "source": "a test"},
    ]

    tidied = apply_rules(Segmentation.from_masks(GRID, {"liver": blocks(LARGE) & ~blocks(hole)}), rules_from(rows))

    assert (tidied.segmentation.mask("liver") == blocks(LARGE)).all()
