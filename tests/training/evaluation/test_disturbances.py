"""A disturbance does to the masks what it does to the scan, and a perfect model is not disturbed."""

from __future__ import annotations

import numpy as np
import pytest

from ctatlas.training.evaluation import disturbances as module
from ctatlas.training.evaluation.cases import Case
from ctatlas.training.evaluation.disturbances import (
    DISTURBANCES,
    Change,
    Disturbance,
    changes,
    cropped,
    noisy,
    summary_of,
    table_of,
    thickened,
    turned,
)
from ctatlas.volume import Grid, Segmentation, Volume

AFFINE = np.array([[-2.0, 0, 0, 7], [0, 0, 2.5, 9], [0, -3, 0, 11], [0, 0, 0, 1]])  # left, down, front
GRID = Grid((30, 24, 27), AFFINE)


def case() -> Case:
    """Return an organ of 100 HU in nothing, larger toward the head and the left."""
    mask = np.zeros(GRID.shape, dtype=bool, order="F")
    mask[12:29, 2:18, 6:24] = True
    hu = np.where(mask, 100, -1000).astype(np.int16)
    return Case("phantom", "one", Volume(hu, GRID), Segmentation.from_masks(GRID, {"liver": mask}))


def threshold(volume: Volume, _models: object) -> Segmentation:
    """Find what is denser than -450 HU: half of a voxel at least."""
    return Segmentation.from_masks(volume.grid, {"liver": volume.array >= -450})


@pytest.mark.parametrize("each", DISTURBANCES, ids=lambda each: each.name)
def test_scan_and_masks_stay_on_one_grid_and_show_the_same(each: Disturbance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find", threshold)
    found = changes(case(), ["any"], [each])
    assert [change.plain for change in found] == [1.0]
    assert found[0].disturbed > 0.98


def test_turning_moves_no_voxel_in_the_world() -> None:
    each = turned("SAR")
    before, after = case().truth, each.masks(case().truth)
    assert after.grid.orientation == "SAR"
    one, other = (s.grid.world(np.argwhere(s.mask("liver"))) for s in (before, after))
    np.testing.assert_allclose(np.sort(one, axis=0), np.sort(other, axis=0))


def test_the_upper_half_is_the_heads() -> None:
    upper = cropped("upper half", (0, 0, 0.5), (1, 1, 1)).scan(case().volume)
    whole = case().volume
    assert upper.grid.shape == (30, 27, 12)
    assert upper.grid.corners_mm[:, 2].max() == pytest.approx(whole.grid.corners_mm[:, 2].max())
    assert upper.grid.corners_mm[:, 2].min() > whole.grid.corners_mm[:, 2].mean() - 2


def test_thick_slices_lie_where_the_thin_ones_lay() -> None:
    thick = thickened(6.0).scan(case().volume)
    assert thick.grid.spacing_mm[2] == pytest.approx(6.0)
    ends = [grid.corners_mm[:, 2] for grid in (thick.grid, case().volume.grid)]  # centres of the outer voxels
    assert ends[0].min() - 3.0 == pytest.approx(ends[1].min() - 1.5)
    assert ends[0].max() + 3.0 == pytest.approx(ends[1].max() + 1.5)


def test_noise_has_the_strength_it_says() -> None:
    flat = Volume(np.zeros((40, 40, 40), dtype=np.int16), Grid((40, 40, 40), np.eye(4)))
    assert noisy(20.0).scan(flat).array.std() == pytest.approx(20, rel=0.02)


def test_a_summary_names_the_structure_that_loses_most() -> None:
    found = [
        Change("noise", "one", "liver", 0.9, 0.9),
        Change("noise", "two", "liver", 0.9, 0.8),
        Change("noise", "one", "spleen", 0.8, 0.6),
    ]
    (row,) = summary_of(found)
    assert row["n_cases"] == 2
    assert row["mean_change"] == pytest.approx(-0.1)
    assert row["worst_structure"] == "spleen"
    assert "| noise | 2 | 0.867 | -0.100 | spleen -0.200 |" in table_of([row])
