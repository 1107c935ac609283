"""What is no error passes: one kidney, what the field of view leaves out or cuts, lungs that touch, mirrored organs."""

from __future__ import annotations

import numpy as np
import pytest

from ctatlas.anatomy_rules.checks import repaired
from ctatlas.volume import Segmentation
from tests.anatomy_rules.bodies import grid_of
from tests.anatomy_rules.checks.people import person, told
from tests.inference.scans import ALL_ORDERS


@pytest.mark.parametrize("order", ALL_ORDERS[::9])
def test_a_healthy_person_has_no_finding_in_any_order_of_axes(order: str) -> None:
    assert told(person(grid_of((5.0, 6.0, 4.0)).reoriented(order)).findings()) == set()


def test_a_healthy_person_that_lies_askew_has_no_finding() -> None:
    angle = np.deg2rad(8)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    assert told(person(grid_of((4.0, 5.0, 3.5), turn=turn)).findings()) == set()


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_single_kidney_is_no_error(side: str) -> None:
    assert told(person(without=(f"kidney_{side}",)).without(f"kidney_{side}").findings()) == set()


def test_no_kidney_at_all_is_an_error() -> None:
    found = person().without("kidney_left", "kidney_right").findings()
    assert told(found) == {("missing", "kidney_left"), ("missing", "kidney_right")}


@pytest.mark.parametrize(
    "heights_mm",
    [
        (110, 250),  # chest alone: no liver in view
        (60, 250),
        (-30, 250),  # amid the liver
        (-340, -110),  # pelvis alone
        (-340, 20),
        (-120, 60),  # a few organs, all cut
        (-10, 25),  # a thin slab
    ],
)
def test_what_the_field_of_view_leaves_out_or_cuts_is_no_error(heights_mm: tuple[float, float]) -> None:
    assert told(person().cropped(*heights_mm).findings()) == set()


def test_a_cut_organ_is_noted() -> None:
    found = person().cropped(-30, 250).findings("cut_by_scan")
    assert ("cut_by_scan", "liver") in told(found)
    assert {each.severity for each in found} == {"note"}


def test_lungs_that_touch_are_no_error() -> None:
    whole = person()
    x = whole.grid.world(np.argwhere(np.ones(whole.grid.shape, bool)))[:, 0].reshape(whole.grid.shape)
    chest = whole.ball(0, 70, 130, 40) & ~whole.masks["heart"]
    joined = whole.holding(
        lung_left=whole.masks["lung_left"] | (chest & (x < 0)),
        lung_right=whole.masks["lung_right"] | (chest & (x >= 0)),
    )
    joined.hu[chest] = -750
    assert told(joined.findings()) == set()


def test_mirrored_organs_are_told_and_nothing_is_offered() -> None:
    whole = person(mirror=True)
    found = whole.findings()

    assert told(found) == {("situs", "liver"), ("situs", "spleen")}
    assert {each.severity for each in found} == {"warning"}
    assert repaired(Segmentation.from_masks(whole.grid, whole.masks), found) == {}


def test_what_is_known_to_be_absent_is_not_missing() -> None:
    without = person(without=("spleen",)).without("spleen")
    assert told(without.findings()) == {("missing", "spleen")}
    assert told(without.findings(absent=frozenset({"spleen"}))) == set()


def test_nothing_at_all_is_no_error_of_a_check() -> None:
    whole = person()
    assert told(whole.without(*whole.masks).findings()) == set()


def test_one_voxel_of_everything_is_survived() -> None:
    whole = person()
    masks = {name: np.zeros(whole.grid.shape, bool) for name in whole.masks}
    for mask in masks.values():
        mask[3, 4, 5] = True
    assert ("duplicate", "lung_right") in told(whole.holding(**masks).findings())
