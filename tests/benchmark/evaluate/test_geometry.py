"""Two grids become one, or the case says that they are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ctatlas
from ctatlas.benchmark.evaluate import Evaluation, Options
from ctatlas.benchmark.evaluate.geometry import GeometryError, lattice_offset, on_one_grid
from ctatlas.volume import Grid, Segmentation, write
from tests.benchmark.evaluate.bodies import body, case_folder, dice, grid
from tests.volume.strategies import CODES


def moved(masks: Segmentation, by_mm: tuple[float, float, float]) -> Segmentation:
    """Return the same voxels, said to lie elsewhere."""
    affine = masks.grid.affine.copy()
    affine[:3, 3] += by_mm
    return Segmentation(Grid(masks.grid.shape, affine), masks.layers, masks.places)


def cropped(masks: Segmentation, lo: tuple[int, int, int], hi: tuple[int, int, int]) -> Segmentation:
    """Return the part with lo <= index < hi."""
    box = tuple(slice(*ends) for ends in zip(lo, hi, strict=True))
    return Segmentation(masks.grid.crop(lo, hi), tuple(layer[box] for layer in masks.layers), masks.places)


@given(code=st.sampled_from(CODES))
def test_flipped_and_turned_axes_are_the_same_geometry(code: str) -> None:
    placed = on_one_grid(body(), body((1, 0, 0)).reoriented(code))
    assert placed.pred.grid == placed.gt.grid == grid()
    assert all(np.array_equal(placed.pred.mask(name), body((1, 0, 0)).mask(name)) for name in body().names)
    assert placed.notes == ()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (moved(body(), (0.0, 0.0, 2.0)), r"voxels lie up to 2 mm from the reference's; expected"),
        (cropped(body(), (0, 0, 1), grid().shape), r"another grid \(31 x 27 x 18 voxels of 0.9 x 0.8 x 2.5 mm\)"),
    ],
    ids=["elsewhere", "cropped"],
)
def test_another_grid_is_refused_in_a_line(other: Segmentation, said: str) -> None:
    with pytest.raises(GeometryError, match=said):
        on_one_grid(body(), other)


def test_what_files_round_off_does_not_count() -> None:
    assert on_one_grid(body(), moved(body(), (1e-4, -1e-4, 1e-4))).pred.grid == grid()


@given(
    lo=st.tuples(*[st.integers(0, 5)] * 3),
    hi=st.tuples(*[st.integers(0, 5)] * 3),
    more=st.tuples(*[st.integers(-3, 3)] * 3),
)
def test_parts_of_one_lattice_meet_in_the_grid_of_both(
    lo: tuple[int, int, int], hi: tuple[int, int, int], more: tuple[int, int, int]
) -> None:
    end = tuple(n - one for n, one in zip(grid().shape, hi, strict=True))
    part = cropped(body(), lo, end)  # type: ignore[arg-type]
    whole = cropped(body(), more, grid().shape) if min(more) >= 0 else body()
    placed = on_one_grid(part, whole.reoriented("LPS"), has_part=True)
    for name in body().names:
        in_part, in_whole = (Segmentation(side.grid, side.layers, side.places) for side in (placed.gt, placed.pred))
        assert in_part.mask(name).sum() == part.mask(name).sum()
        assert in_whole.mask(name).sum() == whole.mask(name).sum()
        both = cropped(whole, *_overlap(part.grid, whole.grid)).mask(name)
        shared = cropped(part, *_overlap_of_part(part.grid, whole.grid)).mask(name)
        assert (placed.gt.mask(name) & placed.pred.mask(name)).sum() == (both & shared).sum()


def _overlap(part: Grid, whole: Grid) -> tuple[tuple[int, ...], tuple[int, ...]]:
    offset = np.array(lattice_offset(whole, part))
    return tuple(np.maximum(0, offset)), tuple(np.minimum(whole.shape, offset + part.shape))


def _overlap_of_part(part: Grid, whole: Grid) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return _overlap(whole, part)


def test_another_lattice_has_no_offset() -> None:
    assert lattice_offset(grid(), moved(body(), (0.45, 0.0, 0.0)).grid) is None
    assert lattice_offset(grid(), grid().resampled((0.9, 0.8, 2.4))) is None
    assert lattice_offset(grid(), grid().crop((3, -2, 1), (9, 9, 9))) == (3, -2, 1)


@pytest.fixture
def coarse(tmp_path: Path) -> tuple[Path, Path]:
    """Write a reference, and a prediction of it on a grid of half as many voxels each way."""
    case_folder(tmp_path / "gt", "a", body())
    case_folder(tmp_path / "gt", "b", body())
    case_folder(tmp_path / "pred", "b", body())
    small = on_one_grid(Segmentation(grid().resampled((1.7, 1.7, 2.6))), body(), resample=True).pred
    case_folder(tmp_path / "pred", "a", small)
    return tmp_path / "gt", tmp_path / "pred"


def test_a_case_on_another_grid_is_a_mismatch_and_the_rest_is_evaluated(coarse: tuple[Path, Path]) -> None:
    found = ctatlas.evaluate(*coarse, metrics=("dsc",))
    assert {(row.case, row.status) for row in found.measurements} == {("a", "geometry_mismatch"), ("b", "ok")}
    assert {row.value for row in found.measurements if row.case == "a"} == {None}
    assert [(each.case, each.stage) for each in found.failures] == [("a", "geometry")]
    assert "--resample" in found.failures[0].reason


def test_resampling_only_when_asked_and_then_said(coarse: tuple[Path, Path]) -> None:
    found = ctatlas.evaluate(*coarse, metrics=("dsc",), options=Options(resample=True))
    assert notes(found) == [
        (
            "a",
            "the prediction lies on another grid (16 x 13 x 18 voxels of 1.7 x 1.7 x 2.6 mm) than the reference "
            "(31 x 27 x 19 voxels of 0.9 x 0.8 x 2.5 mm): resampled to the reference's grid, nearest voxel",
        )
    ]
    assert all(row.value is not None and row.value > 0.75 for row in found.measurements)
    assert found.failures == ()


def notes(found: Evaluation) -> list[tuple[str, str]]:
    return [(note.case, note.message) for note in found.notes if note.kind == "resampled"]


def test_what_the_prediction_never_saw_is_told() -> None:
    (note,) = on_one_grid(body(), cropped(body(), (0, 0, 4), grid().shape), resample=True).notes
    assert note.message.endswith(
        "part of the reference's grid lies outside the prediction's, where nothing is predicted"
    )


def test_resampling_takes_the_voxel_of_the_world() -> None:
    fine = grid().resampled((0.45, 0.4, 1.25))
    placed = on_one_grid(Segmentation(fine), body(), resample=True)
    for name in body().names:
        points = fine.world(np.argwhere(placed.pred.mask(name)))
        voxels = np.floor(grid().voxel(points) + 0.5).astype(int)
        assert body().mask(name)[tuple(voxels.T)].all()
        volume_ml = placed.pred.mask(name).sum() * fine.voxel_ml
        assert volume_ml == pytest.approx(body().mask(name).sum() * grid().voxel_ml, rel=0.02)


def test_an_object_of_slicer_that_was_cropped_is_no_mismatch(tmp_path: Path) -> None:
    case_folder(tmp_path / "gt", "a", body())
    (tmp_path / "pred" / "a").mkdir(parents=True)
    part = cropped(body((1, 0, 0)), (1, 1, 1), (30, 26, 18))
    write(part, tmp_path / "pred" / "a" / "drawn.seg.nrrd")
    found = ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", metrics=("dsc",))
    for row in found.measurements:
        truth, whole = body().mask(row.structure), np.zeros(grid().shape, bool)
        whole[1:30, 1:26, 1:18] = part.mask(row.structure)
        assert row.value == pytest.approx(dice(truth, whole), abs=1e-15)
