from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.synthesis import mistakes as made
from ctatlas.synthesis.labelled import LabelledScan, ball, depth_mm, mirrored, rod, shifted
from ctatlas.volume import Grid, box_of
from tests.anatomy_rules.checks.people import person


@pytest.fixture(scope="module")
def scan() -> LabelledScan:
    whole = person()
    return LabelledScan(whole.grid, whole.hu, whole.masks, whole.skin)


def ml(scan: LabelledScan, mask: np.ndarray) -> float:
    return float(np.count_nonzero(mask) * scan.grid.voxel_ml)


ALL = {
    "emptied": made.emptied, "scaled": made.scaled, "shrunk": made.shrunk, "scattered": made.scattered,
    "hollowed": made.hollowed, "exchanged": made.exchanged_with("partner"), "copied": made.copied_from("liver"),
    "stray": made.stray_at("heart"), "moved": made.moved, "grown": made.grown_into("spleen"), "bridged": made.bridged,
    "leaked": made.leaked, "swollen": made.swollen, "cut": made.cut_flat, "stepped": made.stepped,
    "blurred": made.blurred,
    "lumen": made.lumen_left_out, "put": made.put_on("lung_right"), "on_the_table": made.on_the_table,
}  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_a_mistake_changes_masks_and_is_the_same_for_the_same_numbers(scan: LabelledScan, name: str) -> None:
    before = {each: mask.copy() for each, mask in scan.masks.items()}

    wrong = ALL[name](scan, "kidney_left", np.random.default_rng(4))
    again = ALL[name](scan, "kidney_left", np.random.default_rng(4))

    assert wrong is not None
    assert again is not None
    changed = {each for each, mask in wrong.masks.items() if (mask != before[each]).any()}
    assert "kidney_left" in changed
    assert changed <= {"kidney_left", "kidney_right"}
    assert all((mask == before[each]).all() for each, mask in scan.masks.items())
    assert all((mask == again.masks[each]).all() for each, mask in wrong.masks.items())


@pytest.mark.parametrize("name", ["moved", "hollowed", "cut", "leaked", "grown", "stepped", "emptied"])
def test_what_is_not_there_can_not_be_spoilt(scan: LabelledScan, name: str) -> None:
    empty = scan.holding(kidney_left=np.zeros(scan.grid.shape, bool))
    assert ALL[name](empty, "kidney_left", np.random.default_rng(4)) is None


def test_a_mirrored_person_has_each_side_on_its_side(scan: LabelledScan) -> None:
    other = mirrored(scan)
    x = {name: other.grid.world(np.argwhere(mask)).mean(axis=0)[0] for name, mask in other.masks.items()}
    assert x["liver"] < -40
    assert x["kidney_left"] < -40 < 40 < x["kidney_right"]
    assert ml(other, other.masks["kidney_left"]) == pytest.approx(ml(scan, scan.masks["kidney_right"]))


@pytest.mark.parametrize("mistake", [made.interrupted, made.cut_beside("liver")])
def test_a_tube_loses_a_stretch_along_the_body(scan: LabelledScan, mistake: made.Mistake) -> None:
    wrong = mistake(scan, "aorta", np.random.default_rng(4))
    assert wrong is not None
    lost = scan.masks["aorta"] & ~wrong.masks["aorta"]
    slices = np.flatnonzero(lost.any(axis=(0, 1)))
    assert (np.diff(slices) == 1).all()
    assert not wrong.masks["aorta"][:, :, slices].any()
    assert len(slices) * scan.grid.spacing_mm[2] > 15


def test_slices_misplaced_change_the_grid_alone(scan: LabelledScan) -> None:
    wrong = made.slices_misplaced(scan, "liver", np.random.default_rng(1))
    assert wrong is not None
    ratio = wrong.grid.spacing_mm[2] / scan.grid.spacing_mm[2]
    assert ratio > 2.2 or ratio < 1 / 2.2
    assert wrong.grid.spacing_mm[:2] == pytest.approx(scan.grid.spacing_mm[:2])


def test_a_scan_that_ends_amid_an_organ(scan: LabelledScan) -> None:
    wrong = made.cropped_through(scan, "liver", np.random.default_rng(1))
    assert wrong is not None
    assert wrong.is_cut("liver")
    k = box_of(scan.masks["liver"])
    assert k is not None
    mask, whole = wrong.masks["liver"], scan.masks["liver"]
    assert 0.1 * whole.sum() < mask.sum() < 0.9 * whole.sum()


@given(
    st.tuples(*[st.floats(-40, 40)] * 3),
    st.floats(6, 25),
    st.tuples(*[st.floats(1.0, 5.0)] * 3),
    st.sampled_from([-1, 1]),
)
def test_a_ball_has_its_volume_and_place(
    centre: tuple[float, float, float], radius: float, spacing: tuple[float, float, float], first: int
) -> None:
    affine = np.diag([first * spacing[0], spacing[1], spacing[2], 1.0])
    shape = tuple(int(150 / mm) for mm in spacing)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    grid = Grid((shape[0], shape[1], shape[2]), affine)
    mask = ball(grid, np.array(centre), radius)
    away = np.linalg.norm(grid.world(np.stack(np.indices(grid.shape), axis=-1)) - centre, axis=-1)
    assert (mask == (away <= radius)).all()


def test_a_rod_reaches_from_end_to_end(scan: LabelledScan) -> None:
    ends = np.array([-40.0, 0.0, -20.0]), np.array([50.0, 10.0, 30.0])
    mask = rod(scan.grid, *ends, 8.0)
    for end in ends:
        assert mask[tuple(np.rint(scan.grid.voxel(end)).astype(int))]
    length = np.linalg.norm(ends[1] - ends[0])
    assert ml(scan, mask) == pytest.approx((np.pi * 64 * length + 4 / 3 * np.pi * 512) / 1000, rel=0.1)


@given(st.tuples(*[st.integers(-6, 6)] * 3))
def test_shifting_there_and_back_leaves_what_stayed_in_view(shift: tuple[int, int, int]) -> None:
    mask = np.random.default_rng(0).random((7, 5, 6)) < 0.5
    there = shifted(mask, np.array(shift))
    assert not (shifted(there, -np.array(shift)) & ~mask).any()
    rolled = np.roll(mask, shift, axis=(0, 1, 2))
    assert not (there & ~rolled).any()


def test_beyond_the_end_of_the_scan_is_outside() -> None:
    grid = Grid((9, 9, 9), np.diag([2.0, 3.0, 4.0, 1.0]))
    full = LabelledScan(
        grid, np.zeros(grid.shape, np.int16), {"liver": np.ones(grid.shape, bool)}, np.ones(grid.shape, bool)
    )
    assert depth_mm(full, "liver")[0, 4, 4] == 2.0
