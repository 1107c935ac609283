from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from ctatlas.errors import ScanError
from ctatlas.volume import Choices, Grid, Volume, read
from ctatlas.volume.straightening import straightened, upright_grid
from tests.volume.strategies import oblique_grid, rotation


def sheared(code: str = "LPS", shift_mm: float = 0.7, shape: tuple[int, int, int] = (23, 19, 9)) -> Grid:
    """Return a grid whose slices move along j from one to the next, as a tilted gantry makes them."""
    grid = oblique_grid(code, shape=shape)
    affine = grid.affine.copy()
    affine[:3, 2] += shift_mm * affine[:3, 1] / np.linalg.norm(affine[:3, 1])
    return Grid(grid.shape, affine)


def waves(grid: Grid) -> np.ndarray:
    """Return HU that follow from the place alone, and linearly, so that linear resampling is exact."""
    points = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    return (points @ (1.5, -2.25, 0.75)).astype(np.float32)


@pytest.mark.parametrize("code", ["LPS", "RAS", "PIL", "SAL"])
@pytest.mark.parametrize("shift_mm", [-1.3, 0.7, 3.0])
def test_every_voxel_inside_has_the_value_of_its_place(code: str, shift_mm: float) -> None:
    volume = Volume(waves(sheared(code, shift_mm)), sheared(code, shift_mm))
    found = straightened(volume)
    inside = found.array != -1024
    assert np.allclose(found.array[inside], waves(found.grid)[inside], atol=2e-3)
    assert inside.sum() > 0.8 * volume.array.size
    assert not found.grid.is_sheared
    assert found.grid.orientation == code
    assert "resampled to a grid at right angles" in found.facts.repairs[0]


@pytest.mark.parametrize("seed", range(20))
def test_the_upright_grid_holds_all_of_the_sheared(seed: int) -> None:
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = rotation(seed) @ (np.eye(3) + np.triu(rng.uniform(-0.3, 0.3, (3, 3)), 1)) * (0.8, 1.1, 2.4)
    affine[:3, 3] = rng.normal(size=3) * 100
    grid = Grid((7, 9, 5), affine)
    upright = upright_grid(grid)
    corners = upright.voxel(grid.corners_mm)
    assert (corners > -1e-4).all()
    assert (corners < np.array(upright.shape) - 1 + 1e-4).all()
    assert np.sign(np.linalg.det(upright.affine)) == np.sign(np.linalg.det(affine))
    assert not upright.is_sheared


def test_a_sheared_file_is_refused_or_repaired(tmp_path: Path) -> None:
    grid = sheared()
    image = nibabel.Nifti1Image(np.asarray(waves(grid)), grid.affine)
    image.set_qform(oblique_grid(shape=grid.shape).affine, 1)  # a good qform, which some readers would use in silence
    image.to_filename(tmp_path / "ct.nii.gz")
    with pytest.raises(ScanError, match=r"not at right angles .*--repair"):
        read(tmp_path / "ct.nii.gz")
    scan = read(tmp_path / "ct.nii.gz", Choices(repair=True))
    inside = scan.array != -1024
    assert np.allclose(scan.array[inside], waves(scan.grid)[inside], atol=0.05)
    assert len(scan.facts.repairs) == 1


def test_the_first_and_the_last_slice_are_kept() -> None:
    volume = Volume(np.full((9, 8, 6), 77, np.int16, order="F"), sheared(shape=(9, 8, 6)))
    found = straightened(volume)
    assert (found.array == 77).any(axis=(0, 1)).all()
    assert found.array.dtype == np.int16
