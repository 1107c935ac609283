from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctatlas.errors import ModelError, ScanError
from ctatlas.inference.nnunet.cases import CaseFiles
from ctatlas.inference.nnunet.images import orientation_of_reader, read_case
from tests.support.nnunet_scans import noisy_scan, write_scan

SHAPE = (9, 12, 15)
OBLIQUE = np.array([[0.1, 0.2, 1.3, 5.0], [-1.0, 0.1, 0.1, 7.0], [0.05, -1.1, 0.2, 9.0], [0, 0, 0, 1.0]])


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    columns = np.linalg.qr(OBLIQUE[:3, :3])[0]
    columns *= np.sign((columns * OBLIQUE[:3, :3]).sum(0))
    affine = OBLIQUE.copy()
    affine[:3, :3] = columns * (1.0, 1.1, 1.3)
    return write_scan(tmp_path / "x_0000.nii.gz", noisy_scan(SHAPE, border=1), (1.0, 1.1, 1.3), affine=affine)


def test_the_reader_that_turns_does_as_simpleitk_turns(scan: Path) -> None:
    """nnU-Net 2.8 has a reader around DICOMOrient(image, "RAS"); the package in the tests is older."""
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.ReadImage(scan)
    turned = sitk.DICOMOrient(image, "RAS")
    case = read_case(CaseFiles("x", (scan,)), "SimpleITKIOWithReorient")
    assert np.array_equal(case.image[0], sitk.GetArrayFromImage(turned))
    np.testing.assert_allclose(case.spacing, turned.GetSpacing()[::-1], atol=1e-5)
    assert np.array_equal(case.as_stored(case.image[0]).T, sitk.GetArrayFromImage(image))


def test_the_usual_reader_turns_nothing(scan: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.ReadImage(scan)
    case = read_case(CaseFiles("x", (scan,)), "SimpleITKIO")
    assert np.array_equal(case.image[0], sitk.GetArrayFromImage(image))
    np.testing.assert_allclose(case.spacing, image.GetSpacing()[::-1], atol=1e-5)


def test_channels_must_lie_on_each_other(scan: Path, tmp_path: Path) -> None:
    other = write_scan(tmp_path / "x_0001.nii.gz", noisy_scan(SHAPE, border=1), (1.0, 1.1, 1.4))
    with pytest.raises(ScanError, match=r"x_0001\.nii\.gz: lies on other voxels than x_0000\.nii\.gz"):
        read_case(CaseFiles("x", (scan, other)), "SimpleITKIO")


def test_readers_of_pictures_are_refused() -> None:
    with pytest.raises(ModelError, match="NaturalImage2DIO of the plans reads no CT; known: SimpleITKIO"):
        orientation_of_reader("NaturalImage2DIO")
