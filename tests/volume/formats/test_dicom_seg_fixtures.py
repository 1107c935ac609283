"""SEG files of dcmqi, highdicom and pydicom: each has the outcome that the README of the development data states."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
import pytest

from ctatlas.errors import ScanError
from ctatlas.volume import Volume, read, read_segmentation
from ctatlas.volume.formats.dicom_seg.read import read_dicom_seg
from tests.volume.formats.dicom.oracles import nrrd, on

if TYPE_CHECKING:
    import numpy as np


@pytest.fixture(scope="module")
def fixtures(shared_data: Path) -> Path:
    return shared_data / "fixtures"


@pytest.fixture(scope="module")
def files(fixtures: Path) -> Path:
    return fixtures / "dicom" / "seg"


@pytest.fixture(scope="module")
def scan(fixtures: Path) -> Volume:
    return read(fixtures / "dicom" / "series" / "dcmqi_ct_3slice")


@pytest.fixture(scope="module")
def liver(fixtures: Path, scan: Volume) -> np.ndarray:
    """The liver as another program drew it from the same file."""
    return on(nrrd(fixtures / "nrrd" / "dcmqi" / "liver_seg.nrrd"), scan.grid) > 0


SAME_LIVER = ["dcmqi_liver.dcm", "pydicom_liver.dcm", "pydicom_liver_expb.dcm", "pydicom_liver_j2k.dcm"]


@pytest.mark.parametrize("name", SAME_LIVER)
def test_a_liver_on_its_ct(files: Path, scan: Volume, liver: np.ndarray, name: str) -> None:
    found = read_segmentation(files / name, scan=scan)
    assert found.n_voxels() == {"liver": 107_098}
    assert (found.mask("liver") == liver).all()
    alone = read_segmentation(files / name)
    assert alone.grid.reoriented(scan.grid.orientation).same_place(scan.grid)
    assert (alone.reoriented(scan.grid.orientation).mask("liver") == liver).all()


def test_frames_that_do_not_end_with_a_byte(files: Path) -> None:
    assert read_segmentation(files / "pydicom_liver_nonbyte_aligned.dcm").n_voxels() == {"liver": 107_098}


def test_segments_may_overlap(files: Path, scan: Volume) -> None:
    found = read_segmentation(files / "dcmqi_partial_overlaps.dcm", scan=scan)
    assert list(found.n_voxels().values()) == [9602, 11888, 10743, 6693, 4713]
    assert found.n_layers > 1


@pytest.mark.parametrize(("size", "n_voxels"), [("23x38x3", 322), ("24x38x3", 315)])
def test_odd_sizes_against_the_nrrd_of_the_same_labels(fixtures: Path, size: str, n_voxels: int) -> None:
    folder = fixtures / "dicom" / "series" / f"dcmqi_{size}"
    (seg,) = folder.rglob("label.seg")
    scan = read(folder / "image")
    found = read_segmentation(seg, scan=scan)
    (labels,) = folder.rglob("label.nrrd")
    (name,) = found.names
    assert found.n_voxels() == {name: n_voxels}
    assert (found.mask(name) == (on(nrrd(labels), scan.grid) > 0)).all()


@pytest.mark.parametrize("padding", ["noppv", "ppv5"])
def test_a_label_map_that_leaves_out_empty_frames(files: Path, padding: str) -> None:
    found = read_segmentation(files / f"dcmqi_sparse-labelmap-{padding}.dcm")
    assert (found.grid.shape[2], found.n_voxels()) == (3, {"liver": 630})


def test_frames_far_apart_make_a_tall_volume(files: Path) -> None:
    found = read_segmentation(files / "highdicom_seg_image_ct_binary_overlap.dcm")
    assert (found.grid.shape, list(found.n_voxels().values())) == ((16, 16, 165), [64, 16])


@pytest.mark.parametrize(
    ("name", "n_voxels"),
    [
        ("highdicom_seg_image_ct_binary.dcm", 638),
        ("highdicom_seg_image_ct_binary_single_frame.dcm", 1832),
        ("highdicom_seg_image_ct_binary_fractional.dcm", 638),
    ],
)
def test_highdicoms_own(files: Path, name: str, n_voxels: int) -> None:
    assert list(read_segmentation(files / name).n_voxels().values()) == [n_voxels]


def test_fractions_count_from_one_half(files: Path) -> None:
    path = files / "highdicom_seg_image_ct_true_fractional.dcm"
    stored = pydicom.dcmread(path).pixel_array
    found = read_segmentation(path)
    assert list(found.n_voxels().values()) == [int((stored / 255 >= 0.5).sum())]
    assert found.notes == ("its masks are fractions, of which a half and more count",)
    assert (stored > 0).sum() > (stored / 255 >= 0.5).sum()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("highdicom_seg_image_cr_binary.dcm", "no position in a patient"),
        ("highdicom_seg_image_sm_control_labelmap.dcm", "no position in a patient"),
        ("highdicom_seg_image_sm_control_labelmap_palette_color.dcm", "no position in a patient"),
        ("pydicom_liver_deflate.dcm", "transfer syntax 1.2.840.10008.1.2.8.1"),
        ("pydicom_liver_rle.dcm", "frames of 1 bit in transfer syntax 1.2.840.10008.1.2.5"),
        ("pydicom_liver_nonbyte_aligned_rle.dcm", "frames of 1 bit in transfer syntax 1.2.840.10008.1.2.5"),
        ("highdicom_sr_document.dcm", "holds no segmentation"),
        ("highdicom_ct_image.dcm", "holds no segmentation"),
    ],
)
def test_what_is_no_segmentation_of_a_ct_is_refused(files: Path, name: str, words: str) -> None:
    with pytest.raises(ScanError, match=words.replace(".", r"\.")):
        read_segmentation(files / name)


def test_every_file_has_an_outcome_here(files: Path) -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    named = {path.name for path in files.glob("*.dcm") if path.name in text or path.stem.rsplit("-", 1)[0] in text}
    assert named == {path.name for path in files.glob("*.dcm")}


def test_of_another_scan_is_refused(files: Path, fixtures: Path) -> None:
    other = read(fixtures / "dicom" / "series" / "philips_study_mixed" / "S2010")
    with pytest.raises(ScanError, match="another frame of reference"):
        read_dicom_seg(files / "dcmqi_liver.dcm", other)
