from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctatlas.inference.calibrated import Calibrated, find_body, find_calibrated, find_lungs
from ctatlas.synthesis.cases import draw_case, make_case
from ctatlas.volume import Grid, Volume, read
from ctatlas.volume.orientation import turn_between
from tests.inference.bodies import Painted, coordinates, grid_of, head, mirrored, torso, turned
from tests.inference.scans import ALL_ORDERS

FOUR = (4.0, 4.0, 4.0)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def volume_ml(mask: np.ndarray, grid: Grid) -> float:
    return np.count_nonzero(mask) * grid.voxel_ml


@pytest.fixture(scope="module")
def painted() -> Painted:
    return torso(grid_of(FOUR), touching=True)


@pytest.fixture(scope="module")
def found(painted: Painted) -> Calibrated:
    return find_calibrated(painted.volume)


@pytest.mark.parametrize(
    ("name", "at_least"), [("body", 0.985), ("lung_left", 0.98), ("lung_right", 0.98), ("trachea", 0.95)]
)
def test_what_was_painted_is_found(painted: Painted, found: Calibrated, name: str, at_least: float) -> None:
    assert dice(found.masks()[name], painted.truth[name]) >= at_least


def test_the_table_is_not_the_body(painted: Painted, found: Calibrated) -> None:
    x, y, _ = coordinates(painted.volume.grid)
    table = ~painted.truth["body"] & (y < -104) & (np.abs(x) < 195)

    assert np.count_nonzero(found.body & table & (np.abs(x) > 100)) == 0
    assert np.count_nonzero(found.body & table) < 0.02 * np.count_nonzero(found.body)


def test_nothing_is_said_where_a_torso_is_found(found: Calibrated) -> None:
    assert found.why_nothing == ""


def test_structures_share_no_voxel_but_with_the_body(found: Calibrated) -> None:
    stacked = found.lung_left.astype(int) + found.lung_right + found.trachea

    assert stacked.max() == 1
    assert not (stacked.astype(bool) & ~found.body).any()


def test_both_short_ways_give_the_same(painted: Painted, found: Calibrated) -> None:
    lungs = find_lungs(painted.volume)

    assert (find_body(painted.volume) == found.body).all()
    assert list(lungs) == ["lung_left", "lung_right", "trachea"]
    assert (lungs["lung_right"] == found.lung_right).all()


@settings(max_examples=8)
@given(order=st.sampled_from(ALL_ORDERS))
def test_the_order_of_axes_changes_nothing(painted: Painted, found: Calibrated, order: str) -> None:
    again = find_calibrated(painted.volume.reoriented(order))

    turn = turn_between(painted.volume.grid.orientation, order)
    assert all((mask == turn.array(found.masks()[name])).all() for name, mask in again.masks().items())


def test_a_mirror_swaps_the_sides(painted: Painted) -> None:
    there = mirrored(painted)

    seen = find_calibrated(there.volume)

    assert dice(seen.lung_left, there.truth["lung_left"]) > 0.98
    assert dice(seen.lung_right, there.truth["lung_right"]) > 0.98


@pytest.mark.parametrize(
    "grid",
    [
        pytest.param(grid_of((3.0, 3.3, 4.1), turn=turned(14, (1, 2, 0.5))), id="oblique"),
        pytest.param(grid_of((1.4, 2.0, 5.0), low_mm=(-172, -140, 25), high_mm=(172, 114, 260)), id="blocks of voxels"),
        pytest.param(grid_of((3.0, 2.8, 1.3), low_mm=(-172, -140, 70), high_mm=(172, 114, 210)), id="thin slices"),
        pytest.param(grid_of(FOUR).reoriented("LPS").crop((7, 0, 3), (94, 79, 101)), id="truncated at the sides"),
    ],
)
def test_other_grids(grid: Grid) -> None:
    there = torso(grid, touching=True)

    seen = find_calibrated(there.volume)

    assert dice(seen.body, there.truth["body"]) > 0.97  # some table stays where the back touches it
    assert dice(seen.lung_left, there.truth["lung_left"]) > 0.97
    assert dice(seen.lung_right, there.truth["lung_right"]) > 0.97


@pytest.mark.parametrize("circle", [False, True], ids=["box", "circle"])
def test_a_field_of_view_inside_the_chest_cuts_lungs_open(circle: bool) -> None:  # noqa: FBT001
    there = torso(grid_of((2.0, 2.0, 5.0), low_mm=(-105, -95, 45), high_mm=(95, 85, 200)))
    x, y = (np.arange(n)[:, None] - n / 2 for n in there.volume.grid.shape[:2])
    seen_there = (np.hypot(x, y.T) < 42) | (not circle)
    scan = Volume(np.where(seen_there[:, :, None], there.volume.array, np.int16(-2048)), there.volume.grid)

    seen = find_calibrated(scan)

    assert dice(seen.body, there.truth["body"] & seen_there[:, :, None]) > 0.99
    assert dice(seen.lung_left, there.truth["lung_left"] & seen_there[:, :, None]) > 0.95
    assert dice(seen.lung_right, there.truth["lung_right"] & seen_there[:, :, None]) > 0.95


def agreement_at_the_sides(scan: Volume, left: float, right: float) -> dict[str, float]:
    """Cut a scan short by shares of its width; return by name how well what is found agrees with before."""
    upright = scan.reoriented("LPS")
    i, j, k = upright.grid.shape
    kept = slice(int(i * right), i - int(i * left))  # i grows to the left
    whole, seen = (
        find_calibrated(each).masks() for each in (upright, upright.crop((kept.start, 0, 0), (kept.stop, j, k)))
    )
    return {name: dice(seen[name], mask[kept]) for name, mask in whole.items() if mask[kept].any()}


@pytest.mark.parametrize("subject", [1, 2])
def test_the_end_of_the_scan_is_the_wall_of_a_lung_that_it_cuts(subject: int) -> None:
    scan = make_case(draw_case(90_001, subject, shape=(128, 128, 75), conditions=())).volume

    assert min(agreement_at_the_sides(scan, left=0.35, right=0.0).values()) > 0.99


@pytest.mark.parametrize(("file", "left", "right"), [("nsclc-r01-001_ct_2mm", 0.2, 0.2), ("4dlung-113_ct", 0.0, 0.35)])
def test_real_lungs_that_the_scan_cuts(shared_data: Path, file: str, left: float, right: float) -> None:
    scan = read(shared_data / "torso_ct" / f"{file}.nii.gz")

    assert min(agreement_at_the_sides(scan, left=left, right=right).values()) > 0.99


def test_air_between_arm_and_trunk_is_no_body_though_the_scan_ends_in_both() -> None:
    there = torso(grid_of(FOUR, low_mm=(-260, -166, -151), high_mm=(260, 30, 49)))
    x, y, _ = coordinates(there.volume.grid)
    arm, bone = (np.hypot(x - 215, y - 20) < reach for reach in (30, 10))
    touch = (np.abs(x - 180) < 40) & (np.abs(y) < 5)  # a fold of cloth or skin: too thin to be of the trunk
    hu = np.select([bone, arm | touch], [700, 40], there.volume.array).astype(np.int16)

    body = find_body(Volume(hu, there.volume.grid))

    assert np.count_nonzero(body & arm) == np.count_nonzero(arm)
    assert not (body & ~there.truth["body"] & ~arm & ~touch & (y > -40)).any()


def test_a_collapsed_lung_keeps_its_side() -> None:
    there = torso(grid_of(FOUR), right_lung=0.3)

    seen = find_calibrated(there.volume)

    assert dice(seen.lung_right, there.truth["lung_right"]) > 0.95
    assert dice(seen.lung_left, there.truth["lung_left"]) > 0.98


def test_a_lung_that_is_gone_is_not_made_of_the_other() -> None:
    there = torso(grid_of(FOUR), right_lung=0.0)

    seen = find_calibrated(there.volume)

    assert not seen.lung_right.any()
    assert dice(seen.lung_left, there.truth["lung_left"]) > 0.98


def test_bases_of_lungs_are_found_and_gas_below_is_not() -> None:
    there = torso(grid_of(FOUR, high_mm=(202, 150, 70)))

    seen = find_calibrated(there.volume)

    assert dice(seen.lung_left, there.truth["lung_left"]) > 0.95
    assert dice(seen.lung_right, there.truth["lung_right"]) > 0.95
    assert not seen.trachea.any()


def test_a_tongue_of_lung_beside_the_spine_is_no_windpipe() -> None:
    there = torso(grid_of(FOUR, high_mm=(202, 150, 98)))
    x, y, z = coordinates(there.volume.grid)
    tongue = (np.hypot(x - 14, y + 30) < 10) & (z > 40)
    hu = np.where(tongue, there.volume.array[there.truth["lung_left"]].mean() - 10, there.volume.array)
    noise = np.random.default_rng(1).normal(0, 20, hu.shape)

    seen = find_calibrated(Volume(np.where(tongue, hu + noise, hu).astype(np.int16), there.volume.grid))

    assert seen.lung_left.any()
    assert not seen.trachea.any()


def test_a_belly_has_no_lungs_whatever_gas_is_in_it() -> None:
    there = torso(grid_of(FOUR, high_mm=(202, 150, 20)))

    seen = find_calibrated(there.volume)

    assert dice(seen.body, there.truth["body"]) > 0.97  # some table stays where the back touches it
    assert not (seen.lung_left | seen.lung_right | seen.trachea).any()


def test_arms_beside_the_body_belong_to_it_and_a_board_does_not() -> None:
    there = torso(grid_of(FOUR, low_mm=(-260, -166, -151), high_mm=(260, 150, 49)))
    x, y, _ = coordinates(there.volume.grid)
    arm, bone = np.hypot(x - 215, y + 20) < 30, np.hypot(x - 215, y + 20) < 10
    board = (np.abs(x + 215) < 30) & (np.abs(y) < 25)
    hu = np.select([bone, arm, board], [700, 40, -200], there.volume.array).astype(np.int16)

    body = find_body(Volume(hu, there.volume.grid))

    assert dice(body, there.truth["body"] | arm) > 0.99


def _even(hu: int, shape: tuple[int, int, int]) -> Volume:
    return Volume(np.full(shape, hu, np.int16), Grid(shape, np.diag([4.0, 4.0, 4.0, 1.0])))


def _head() -> Volume:
    return head(grid_of((3.0, 3.0, 3.0), low_mm=(-120, -130, -120), high_mm=(120, 130, 150)))


def _noise(hu: float, spread: float) -> Volume:
    rng = np.random.default_rng(5)
    grid = grid_of((4.0, 4.5, 5.0))
    return Volume(rng.normal(hu, spread, grid.shape).astype(np.int16), grid)


def _water() -> Volume:
    grid = grid_of(FOUR)
    x, y, _ = coordinates(grid)
    noise = np.random.default_rng(2).normal(0, 10, grid.shape)
    return Volume((np.where(np.hypot(x, y) < 140, 0, -1000) + noise).astype(np.int16), grid)


def _magnetic() -> Volume:
    scan = torso(grid_of(FOUR)).volume
    return Volume(((scan.array + 1024) // 2).astype(np.int16), scan.grid)


@pytest.mark.parametrize(
    ("scan", "why"),
    [
        pytest.param(_noise(0, 300), "noise", id="noise"),
        pytest.param(_noise(-1000, 100), "nothing solid", id="air"),
        pytest.param(_even(-1024, (9, 8, 7)), "nothing solid", id="empty"),
        pytest.param(_even(7, (40, 41, 42)), "no fat", id="flat"),
        pytest.param(_water(), "", id="water"),
        pytest.param(_magnetic(), "a CT has air below", id="values that are no HU"),
        pytest.param(_head(), "head", id="head"),
    ],
)
def test_without_a_torso_nothing_is_found(scan: Volume, why: str) -> None:
    seen = find_calibrated(scan)

    assert why in seen.why_nothing
    assert seen.why_nothing
    assert not any(mask.any() for mask in seen.masks().values())
    assert all(mask.shape == scan.grid.shape for mask in seen.masks().values())


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 1), (64, 1, 64), (1, 70, 70)])
def test_scans_of_hardly_any_voxel_are_no_reason_to_fail(shape: tuple[int, int, int]) -> None:
    seen = find_calibrated(_even(40, shape))

    assert not seen.body.any()


@pytest.mark.parametrize(
    ("file", "left_ml", "right_ml"),
    [
        ("ts-example_ct", (35, 55), (65, 85)),  # bases only, below them 350 mL of gas in the bowel
        ("lidc-0314_ct_2p5mm", (1800, 2000), (880, 980)),  # effusion on the right
        ("crlm-1004_ct", (560, 620), (680, 740)),  # lower half of the lungs, in slices of 5 mm
    ],
)
def test_real_lungs(shared_data: Path, file: str, left_ml: tuple[int, int], right_ml: tuple[int, int]) -> None:
    scan = read(shared_data / "torso_ct" / f"{file}.nii.gz")

    seen = find_calibrated(scan)

    assert left_ml[0] <= volume_ml(seen.lung_left, scan.grid) <= left_ml[1]
    assert right_ml[0] <= volume_ml(seen.lung_right, scan.grid) <= right_ml[1]


def test_a_chest_wall_as_thin_as_cloth_still_holds_its_lungs() -> None:
    case = make_case(draw_case(90_001, 4, shape=(128, 128, 75)))
    found = find_lungs(case.volume)
    for name in ("lung_left", "lung_right"):
        assert dice(case.truth.mask(name), found[name]) > 0.9


def test_a_gap_in_the_chest_wall_does_not_let_the_lung_out() -> None:
    """The blur along the skin looks like lung; a hole of a few blocks must not make one pocket of both."""
    painted = torso(grid_of(FOUR))
    x, y, z = coordinates(painted.volume.grid)
    hole = (np.abs(y) < 6) & (np.abs(z - 150) < 6) & (x < -110) & (x > -170)
    scan = Volume(np.where(hole, np.int16(-850), painted.volume.array), painted.volume.grid)

    found = find_calibrated(scan)

    assert dice(found.lung_left, painted.truth["lung_left"]) >= 0.97
    assert dice(found.lung_right, painted.truth["lung_right"]) >= 0.97
