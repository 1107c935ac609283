"""Every NIfTI and NRRD file of other projects, one trap each, has the outcome that its README calls right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest

from ctatlas.errors import ScanError
from ctatlas.volume import Choices, read
from ctatlas.volume.formats.nrrd import read_labels

BALL = (30, 30, 30)
SCANS = {  # name -> shape, spacing, orientation, sum of the values
    "nifti/anatomical.nii": ((33, 41, 25), (2, 2, 2), "LAS", 284_166_082),
    "nifti/standard.nii.gz": ((4, 5, 7), (1, 3, 2), "RAS", 7_650),
    "nifti/reoriented_anat_moved.nii": ((21, 26, 22), (4, 4, 4), "RAS", 32_737_865),
    "nifti/resampled_anat_moved.nii": ((17, 21, 3), (4, 4, 8), "LAS", 7_592_834),
    "nrrd/pynrrd/BallBinary30x30x30.nrrd": (BALL, (1, 1, 1), "LPS", 3_682_296),
    "nrrd/pynrrd/BallBinary30x30x30.nhdr": (BALL, (1, 1, 1), "LPS", 3_682_296),
    "nrrd/pynrrd/BallBinary30x30x30_gz.nrrd": (BALL, (1, 1, 1), "LPS", 3_682_296),
    "nrrd/pynrrd/BallBinary30x30x30_bz2.nrrd": (BALL, (1, 1, 1), "LPS", 3_682_296),
    "nrrd/pynrrd/BallBinary30x30x30_gz_lineskip.nrrd": (BALL, (1, 1, 1), "LPS", 3_682_296),
    "nrrd/pynrrd/BallBinary30x30x30_gz_byteskip_minus_one.nrrd": (BALL, (1, 1, 1), "LPS", 3_682_296),
    "nrrd/pynrrd/BallBinary30x30x30_byteskip_minus_one.nhdr": (BALL, (1, 1, 1), "LPS", 3_682_296),
    "nrrd/pynrrd/BallBinary30x30x30_byteskip_minus_one_nifti.nhdr": (BALL, (1, 1, 1), "LPS", 3_682_296),
    "nrrd/pynrrd/BallBinary30x30x30.nii.gz": (BALL, (1, 1, 1), "LPS", 3_682_296),
    "nrrd/slicer/CTChest4.nrrd": ((128, 128, 34), (3.0468760, 3.0468760, 10), "RAS", -597_631_092),
}
REFUSED = {
    "nifti/functional.nii": r"4-D image \(i 17, j 21, k 3, time 20\).*--phase 1 to 20",
    "nifti/example4d.nii.gz": r"4-D image \(i 128, j 96, k 24, time 2\)",
    "nifti/example_nifti2.nii.gz": "4-D image",
    "nifti/nifti1.hdr": r"without its voxels",
    "nifti/nifti2.hdr": r"without its voxels",
    "nifti/analyze.hdr": "Analyze 7.5",
    "nrrd/pynrrd/BallBinary30x30x30_byteskip_minus_five.nhdr": "passes over -5 bytes",
    "nrrd/pynrrd/BallBinary30x30x30_nifti.nhdr": "goes on after the voxels",
    "nrrd/pynrrd/BallBinary30x30x30.raw": "is neither DICOM",
    "nrrd/pynrrd/test1d_ascii.nrrd": "does not say how it lies in the patient",
    "nrrd/pynrrd/test2d_ascii.nrrd": "does not say how it lies in the patient",
    "nrrd/pynrrd/test_customFields.nrrd": "does not say how it lies in the patient",
    "nrrd/pynrrd/test_simple4d_raw.nrrd": "does not say where it lies",
    "nrrd/slicer/Segmentation.seg.nrrd": "holds a segmentation, not a CT",
    "nrrd/slicer/SegmentationOverlapping.seg.nrrd": "holds a segmentation, not a CT",
}
LABELS = {  # name -> ids and how many voxels each has
    "heart_seg": None,
    "liver_seg": {1: 107_098},
    "liver_spine_gapped_seg": None,
    "liver_spine_seg": {1: 107_098, 2: 12_439},
    "partial_overlaps-1": None,
    "partial_overlaps-2": None,
    "partial_overlaps-3": None,
    "sparse_labelmap_noppv_seg": {1: 630},
    "sparse_labelmap_ppv5_seg": {1: 630, 5: 912},
    "spine_seg": None,
}


@pytest.fixture(scope="module")
def fixtures(shared_data: Path) -> Path:
    return shared_data / "fixtures"


def test_every_file_is_judged(fixtures: Path) -> None:
    files = {p.relative_to(fixtures).as_posix() for kind in ("nifti", "nrrd") for p in (fixtures / kind).rglob("*.*")}
    assert files == {*SCANS, *REFUSED, *(f"nrrd/dcmqi/{name}.nrrd" for name in LABELS)}


@pytest.mark.parametrize("name", SCANS)
def test_scans(fixtures: Path, name: str) -> None:
    shape, spacing, orientation, total = SCANS[name]
    scan = read(fixtures / name)
    assert scan.grid.shape == shape
    assert scan.grid.spacing_mm == pytest.approx(spacing, abs=1e-5)
    assert scan.grid.orientation == orientation
    assert int(scan.array.sum(dtype=np.int64)) == total


@pytest.mark.parametrize("name", [name for name in SCANS if ".nii" in name])
def test_nifti_is_where_nibabel_sees_it(fixtures: Path, name: str) -> None:
    scan, told = read(fixtures / name), nibabel.load(fixtures / name)
    assert np.allclose(scan.grid.affine, told.affine, atol=1e-5)
    values = told.get_fdata()
    assert np.array_equal(scan.array, np.where(np.isnan(values), -1024, values).astype(scan.array.dtype))
    assert (scan.facts.notes == ()) == (not np.isnan(values).any())


@pytest.mark.parametrize("name", ["CTChest4.nrrd"])
def test_nrrd_is_where_its_header_says(fixtures: Path, name: str) -> None:
    scan = read(fixtures / "nrrd" / "slicer" / name)
    values, header = nrrd.read(str(fixtures / "nrrd" / "slicer" / name))
    last = header["space origin"] + (np.array(values.shape) - 1) @ header["space directions"]
    assert np.array_equal(scan.array, values)
    assert scan.grid.world(np.array(values.shape) - 1) == pytest.approx(last * (-1, -1, 1), abs=1e-6)
    assert int(scan.array.min()) == -3024


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_scan_is_one_line(fixtures: Path, name: str) -> None:
    with pytest.raises(ScanError, match=REFUSED[name]) as caught:
        read(fixtures / name)
    assert str(caught.value).startswith(f"{Path(name).name}: ")


@pytest.mark.parametrize("name", LABELS)
def test_label_maps(fixtures: Path, name: str) -> None:
    path = fixtures / "nrrd" / "dcmqi" / f"{name}.nrrd"
    ids, counts = np.unique(nrrd.read(str(path))[0], return_counts=True)
    told = LABELS[name] or {int(i): int(n) for i, n in zip(ids, counts, strict=True) if i}
    found = read_labels(path).labels
    assert {int(i): int((found == i).sum()) for i in np.unique(found) if i} == told


@pytest.mark.parametrize(("name", "n"), [("functional.nii", 20), ("example4d.nii.gz", 2), ("example_nifti2.nii.gz", 2)])
@pytest.mark.parametrize("which", [lambda _: 1, lambda n: n])
def test_a_phase_of_real_4d_images(fixtures: Path, name: str, n: int, which: Callable[[int], int]) -> None:
    phase = which(n)
    scan = read(fixtures / "nifti" / name, Choices(phase=phase))
    told = nibabel.load(fixtures / "nifti" / name)
    assert np.allclose(scan.array, told.get_fdata()[..., phase - 1], rtol=1e-6)
    assert np.allclose(scan.grid.affine, told.affine, atol=1e-4)
    assert f"phase {phase} of {n} was read" in scan.facts.notes
