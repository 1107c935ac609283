"""RTSTRUCT files of planning systems and of rt-utils: each has the outcome that the README of the data states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from ctatlas.errors import ScanError
from ctatlas.volume import Choices, Grid, Volume, read, read_segmentation, segmentation_kind
from ctatlas.volume.formats.rtstruct.read import read_rtstruct


@pytest.fixture(scope="module")
def fixtures(shared_data: Path) -> Path:
    return shared_data / "fixtures" / "dicom" / "rtstruct"


def test_a_planning_systems_nested_lines_are_holes_and_an_empty_structure_is_empty(fixtures: Path) -> None:
    rt = pydicom.dcmread(fixtures / "dicompyler_rtss.dcm", force=True)
    points = np.concatenate(
        [
            np.reshape(line.ContourData, (-1, 3))
            for one in rt.ROIContourSequence
            for line in one.get("ContourSequence", [])
        ]
    ).astype(float)
    low, high = points.min(0) - (6.123, 6.217, 6), points.max(0) + 6  # no pixel centre on a line
    heights = np.unique(points[:, 2])
    shape = tuple(int(n) for n in np.ceil((high - low) / (1.5, 2.0, 3.0)))
    affine = np.diag([-1.5, -2.0, 3.0, 1.0])
    affine[:3, 3] = (-low[0], -low[1], heights[0] - 6)
    found = read_rtstruct(fixtures / "dicompyler_rtss.dcm", grid=Grid(shape, affine))
    assert len(found.names) == 10
    assert any("Areola has no contour" in note for note in found.notes)
    n_voxels = found.n_voxels()
    assert n_voxels["Areola"] == 0
    assert all(n > 0 for name, n in n_voxels.items() if name != "Areola")
    names = {int(roi.ROINumber): str(roi.ROIName) for roi in rt.StructureSetROISequence}
    (lung,) = [one for one in rt.ROIContourSequence if names[one.ReferencedROINumber] == "Lt Lung"]
    lines = [np.reshape(line.ContourData, (-1, 3)).astype(float) for line in lung.ContourSequence]
    assert len(lines) == 165
    x, y = -low[0] - 1.5 * np.arange(shape[0]), -low[1] - 2.0 * np.arange(shape[1])
    expected = np.zeros(shape, bool)
    for line in lines:
        expected[:, :, round((line[0, 2] - affine[2, 3]) / 3)] ^= inside(line, -x, -y)
    assert (found.mask("Lt_Lung") == expected).all()


def inside(line: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Tell which points of a grid a line encloses, as matplotlib sees it."""
    from matplotlib.path import Path as Outline

    points = np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    return Outline(line[:, :2], closed=False).contains_points(points).reshape(len(x), len(y))


@pytest.fixture(scope="module")
def two_slices(fixtures: Path) -> Volume:
    """The CT slices of rt-utils: too few to be read as a scan unless they are named."""
    uid = str(pydicom.dcmread(fixtures / "rt_utils_mock" / "ct_1.dcm").SeriesInstanceUID)
    return read(fixtures / "rt_utils_mock", Choices(series=uid))


def test_two_contours_on_one_plane(fixtures: Path, two_slices: Volume) -> None:
    path = fixtures / "rt_utils_mock" / "rt.dcm"
    found = read_segmentation(path, scan=two_slices)
    (name,) = found.names
    (one,) = pydicom.dcmread(path).ROIContourSequence
    lines = [np.reshape(line.ContourData, (-1, 3)).astype(float) for line in one.ContourSequence]
    assert len(lines) == 2
    columns, rows, _ = two_slices.grid.shape
    upright = found.reoriented("LPS")
    x = upright.grid.world(np.array([(i, 0, 0) for i in range(columns)]))[:, 0]
    y = upright.grid.world(np.array([(0, j, 0) for j in range(rows)]))[:, 1]
    expected = inside(lines[0], -x, -y) ^ inside(lines[1], -x, -y)
    drawn = upright.mask(name)
    assert drawn.any((0, 1)).sum() == 1
    assert np.count_nonzero(drawn.any(2) ^ expected) <= 0.01 * np.count_nonzero(expected)  # centres that lie on a line


@pytest.mark.parametrize("name", ["invalid_reference_rt.dcm", "non_existent_reference_rt.dcm"])
def test_contours_on_a_series_that_is_not_there_are_refused(fixtures: Path, two_slices: Volume, name: str) -> None:
    with pytest.raises(ScanError, match=r"contours of ROI-1 lie up to 5\.00 mm from the nearest slice"):
        read_segmentation(fixtures / "rt_utils_mock" / name, scan=two_slices)


def test_without_preamble_it_is_known_by_what_it_says(shared_data: Path, two_slices: Volume) -> None:
    path = shared_data / "fixtures" / "dicom" / "single" / "rtstruct.dcm"
    assert segmentation_kind(path) == "rtstruct"
    with pytest.raises(ScanError, match=r"was drawn on series 1\.2\.826\.0\.1\.3680043\.8\.498\."):
        read_segmentation(path, scan=two_slices)


@pytest.mark.parametrize("name", ["rtplan.dcm", "rtdose_1frame.dcm", "reportsi.dcm", "no_meta.dcm", "CT_small.dcm"])
def test_other_objects_hold_no_masks(shared_data: Path, name: str) -> None:
    with pytest.raises(ScanError, match="holds no segmentation"):
        read_segmentation(shared_data / "fixtures" / "dicom" / "single" / name)


def test_every_file_has_an_outcome_here(fixtures: Path) -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    named = {path.name for path in fixtures.rglob("*.dcm") if path.name in text}
    assert named | {"ct_2.dcm"} == {path.name for path in fixtures.rglob("*.dcm")}  # which is read with the first
