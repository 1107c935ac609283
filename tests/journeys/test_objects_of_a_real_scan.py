"""DICOM SEG, RTSTRUCT and .seg.nrrd of a real scan by the bundled model, judged and read by other people's programs.

CRLM-CT-1004: 41 slices of 512 x 512, feet first, in a zip, names not in the order of slices.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ctatlas.commands.app import run
from ctatlas.measure.overlap import dice
from ctatlas.volume import Grid, Segmentation, Volume, read_segmentation
from tests.journeys.test_objects import FILES, OBJECTS, masks, same
from tests.volume.formats.dicom.oracles import dciodvfy_errors, dcmqi_masks, plastimatch_masks

pytestmark = pytest.mark.slow
Found = Mapping[str, tuple[np.ndarray, Grid]]
Truth = tuple[Volume, Segmentation]


def on_scan(found: Found, grid: Grid) -> dict[str, np.ndarray]:
    """Return masks of another reader on a grid, by where their voxels lie in the patient."""
    placed = {name: np.zeros(grid.shape, bool) for name in found}
    for name, (array, theirs) in found.items():
        placed[name][tuple(np.rint(grid.voxel(theirs.world(np.argwhere(array > 0)))).astype(int).T)] = True
    return placed


@pytest.fixture(scope="module")
def series(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real") / "ct"
    shutil.unpack_archive(shared_data / "torso_ct" / "crlm-1004_dicom.zip", folder)
    return next(path.parent for path in folder.rglob("*.dcm"))


@pytest.fixture(scope="module")
def results(series: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results") / "out"
    assert run(["segment", str(series), str(out), "--quiet", *OBJECTS]) == 0
    return out


@pytest.fixture(scope="module")
def truth(series: Path, results: Path) -> Truth:
    return masks(results, series)


@pytest.mark.parametrize("name", FILES)
def test_we_read_the_very_masks(results: Path, truth: Truth, name: str) -> None:
    scan, drawn = truth
    assert sum(n > 0 for n in drawn.n_voxels().values()) >= 10
    assert same(read_segmentation(results / name, scan=scan), drawn)


@pytest.mark.parametrize("name", FILES[:2])
def test_dciodvfy_finds_no_error(results: Path, name: str) -> None:
    assert dciodvfy_errors(results / name) == []


def test_dcmqi_reads_the_very_masks(results: Path, truth: Truth, tmp_path: Path) -> None:
    scan, drawn = truth
    found = on_scan(dcmqi_masks(results / FILES[0], tmp_path / "dcmqi"), scan.grid)
    assert same(Segmentation.from_masks(scan.grid, found), drawn)


@pytest.mark.filterwarnings("ignore")
def test_highdicom_reads_the_very_masks(results: Path, truth: Truth) -> None:
    from highdicom.seg import segread

    seg = segread(results / FILES[0])
    volume = seg.get_volume()
    grid = Grid(volume.spatial_shape, np.diag([-1, -1, 1, 1]) @ volume.affine)
    names = [str(one.SegmentLabel) for one in seg.SegmentSequence]
    scan, drawn = truth
    found = on_scan({name: (volume.array[..., n], grid) for n, name in enumerate(names)}, scan.grid)
    assert same(Segmentation.from_masks(scan.grid, found), drawn)


def test_plastimatch_draws_the_very_masks(series: Path, results: Path, truth: Truth, tmp_path: Path) -> None:
    scan, drawn = truth
    found = on_scan(plastimatch_masks(results / FILES[1], series, tmp_path / "plastimatch"), scan.grid)
    assert set(found) == {name for name, n in drawn.n_voxels().items() if n}
    assert min(dice(mask, drawn.mask(name)) for name, mask in found.items()) >= 0.995


def test_the_liver_is_on_the_patients_right(results: Path) -> None:
    rt = pydicom.dcmread(results / FILES[1])
    names = {roi.ROINumber: roi.ROIName for roi in rt.StructureSetROISequence}
    x_mm = {
        names[one.ReferencedROINumber]: np.mean([line.ContourData[0] for line in one.ContourSequence])
        for one in rt.ROIContourSequence
        if "ContourSequence" in one
    }
    assert x_mm["liver"] < x_mm["aorta"] < x_mm["spleen"]  # LPS: x grows toward the patient's left
    assert x_mm["kidney_right"] < x_mm["vertebrae"] < x_mm["kidney_left"]
