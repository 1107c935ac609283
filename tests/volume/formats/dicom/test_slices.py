"""Masks find to the images of a series and back: exact where the grid is the stack, else by the nearest voxel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.volume import Grid, ImagePlane, ScanFacts, Segmentation, SliceFacts, read
from ctatlas.volume.formats.dicom.slices import masks_on_slices, on_grid, on_images, planes_of, planes_of_grid
from tests.volume.formats.dicom.phantom import COLUMNS, ROWS, Phantom, oblique
from tests.volume.strategies import grids, rotation

CODES = ["LPS", "RAS", "SPL", "AIR", "PIR"]
SLOPING = {"row": oblique()[0], "column": oblique()[1]}


def random_masks(grid: Grid, seed: int = 0) -> Segmentation:
    rng = np.random.default_rng(seed)
    masks = {name: rng.random(grid.shape) < 0.4 for name in ("liver", "spleen", "body")}
    return Segmentation.from_masks(grid, masks)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("directions", [{}, SLOPING], ids=["axial", "oblique"])
def test_a_regular_series_gets_its_very_voxels(tmp_path: Path, code: str, directions: dict[str, object]) -> None:
    scan = read(Phantom(**directions).write(tmp_path / "ct"))
    masks = random_masks(scan.grid)
    found = dict(masks_on_slices(masks.reoriented(code), scan.facts))
    assert list(found) == ["liver", "spleen", "body"]
    assert all((found[name] == mask.T).all() for name, mask in masks.items())


def test_looking_up_pixel_by_pixel_gives_the_same_as_taking_the_stack(tmp_path: Path) -> None:
    scan = read(Phantom(**SLOPING).write(tmp_path / "ct"))
    masks = random_masks(scan.grid)
    planes = planes_of(scan.facts)
    shifted = replace(planes, origins_mm=planes.origins_mm + planes.normal * 0.4 * planes.gap_mm)
    assert shifted.grid is not None
    found = on_images(masks, shifted)
    assert all((found.mask(name) == mask).all() for name, mask in masks.items())


@given(grids(), st.sampled_from(CODES), st.integers(0, 2))
def test_there_and_back_over_the_planes_of_any_grid(grid: Grid, code: str, axis: int) -> None:
    planes = planes_of_grid(grid, axis)
    masks = random_masks(grid)
    back = on_grid(on_images(masks.reoriented(code), planes), planes, grid)
    assert back.grid == grid
    assert all((back.mask(name) == mask).all() for name, mask in masks.items())


def facts(origins: np.ndarray, row: np.ndarray, column: np.ndarray, shape: tuple[int, int] = (31, 29)) -> ScanFacts:
    """Return the facts of a series whose images lie at these origins, LPS mm, 2.0 mm between rows and 1.5 columns."""
    plane = ImagePlane((*row, *column), (2.0, 1.5), *shape)
    return ScanFacts(plane=plane, slices=tuple(SliceFacts(f"1.{n}", tuple(one)) for n, one in enumerate(origins)))


def ball(points_lps: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points_lps - (21.0, 29.0, 14.0), axis=-1) < 9.3


STACKS = {
    "tilted": np.array([(0.0, 0.75 * k, 2.5 * k) for k in range(12)]),
    "uneven": np.array([(0.0, 0.0, mm) for mm in np.cumsum([0, 3, 3, 3, 5, 5, 3, 3, 3, 3])]),
    "with a hole": np.array([(0.0, 0.0, 2.5 * k) for k in range(12) if k not in (5, 6)]),
}


@pytest.mark.parametrize("stack", STACKS)
def test_images_that_are_no_grid_get_what_lies_at_their_pixels(stack: str) -> None:
    turn = rotation(7)
    origins, row, column = STACKS[stack] @ turn.T, turn[:, 0], turn[:, 1]
    told = facts(origins, row, column)
    assert planes_of(told).grid is None
    fine = np.eye(4)
    fine[:3, :3] = np.diag([-1, -1, 1]) @ turn * 0.5
    fine[:3, 3] = np.array([-1, -1, 1]) * (turn @ (-3.1, -2.3, -1.7))
    grid = Grid((100, 140, 90), fine)
    centres = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)) * (-1, -1, 1) @ turn
    masks = Segmentation.from_masks(grid, {"liver": ball(centres)})
    ((_, found),) = masks_on_slices(masks, told)
    rows, columns = np.mgrid[:31, :29]
    pixels = STACKS[stack][:, None, None] + np.stack([columns * 1.5, rows * 2.0, 0 * rows], -1)
    distance = np.abs(np.linalg.norm(pixels - (21.0, 29.0, 14.0), axis=-1) - 9.3)
    assert found.any()
    assert (found == ball(pixels))[distance > 0.45].all()  # half the diagonal of a fine voxel


def test_back_from_uneven_images_each_voxel_asks_the_image_nearest_to_it() -> None:
    planes = planes_of(facts(np.array([(0, 0, 0.0), (0, 0, 2.2), (0, 0, 10.0)]), np.eye(3)[0], np.eye(3)[1], (4, 3)))
    images = np.zeros(planes.shape, bool)
    images[:, :, 1] = True
    grid = Grid((3, 4, 30), np.diag([-1.5, -2.0, 0.5, 1.0]))
    found = on_grid(Segmentation.from_masks(planes.index_grid, {"liver": images}), planes, grid)
    assert np.flatnonzero(found.mask("liver").all((0, 1))).tolist() == list(range(3, 13))  # 1.1 to 6.1 mm
    assert (found.mask("liver").any((0, 1)) == found.mask("liver").all((0, 1))).all()


def test_outside_of_the_grid_masks_are_empty() -> None:
    masks = Segmentation.from_masks(
        Grid((2, 2, 2), np.diag([-1.5, -2.0, 2.5, 1.0])), {"liver": np.ones((2, 2, 2), bool)}
    )
    told = facts(np.array([(-1.5, -4.0, 2.5 * k) for k in (-1, 0, 1, 2)]), np.eye(3)[0], np.eye(3)[1], (5, 4))
    ((_, found),) = masks_on_slices(masks, told)
    expected = np.zeros((4, 5, 4), bool)
    expected[1:3, 2:4, 1:3] = True
    assert (found == expected).all()


def test_facts_of_another_format_are_refused() -> None:
    with pytest.raises(ValueError, match="not read from a DICOM series"):
        planes_of(ScanFacts(kind="nifti"))


def test_facts_say_what_the_images_share(tmp_path: Path) -> None:
    planes = planes_of(read(Phantom().write(tmp_path / "ct")).facts)
    assert (planes.spacing_mm, planes.rows, planes.columns, planes.gap_mm) == ((2.0, 1.5), ROWS, COLUMNS, 3.0)
