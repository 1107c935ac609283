"""Real files of scanners and of other projects, one trap each, where the development data are at hand.

Their README says what is right; `expected.json` and `expected_series.json` hold values that other decoders agree on and
geometry that was computed from positions and orientations alone.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from ctatlas.errors import ScanError
from ctatlas.volume import Choices, Volume, not_hounsfield, read, scans_in
from ctatlas.volume.formats.dicom.decoding import hounsfield
from ctatlas.volume.formats.dicom.headers import contents_of
from ctatlas.volume.formats.dicom.pixels import stored, words_of


@pytest.fixture(scope="module")
def fixtures(shared_data: Path) -> Path:
    return shared_data / "fixtures"


@pytest.fixture(scope="module")
def expected(fixtures: Path) -> dict[str, Any]:
    return json.loads((fixtures / "expected.json").read_text())


def outcome(path: Path) -> Volume | str:
    """Return the scan or the line that refuses it; any other exception fails the test."""
    try:
        return read(path)
    except ScanError as refusal:
        assert str(refusal).isprintable(), f"{path}: more than one line"  # noqa: PT017
        return str(refusal)


SERIES = {
    "dcmqi_ct_3slice": (512, 512, 3),
    "dcmqi_23x38x3/image": (23, 38, 3),
    "dcmqi_24x38x3/image": (24, 38, 3),
    "rt_utils_oblique": (100, 50, 3),
    "philips_study_mixed/S2010": (64, 64, 28),
    "philips_study_mixed/S2020": (32, 32, 140),
    "philips_study_mixed/S2030": (32, 32, 140),
}


@pytest.mark.parametrize("folder", SERIES)
def test_geometry_of_regular_series(fixtures: Path, folder: str) -> None:
    scan = read(fixtures / "dicom" / "series" / folder)
    series = json.loads((fixtures / "expected_series.json").read_text())[folder.split("/S", maxsplit=1)[0]]
    told = next(one for one in series if one["series_uid"] == scan.facts.series_uid)
    row, column = np.reshape(told["iop"], (2, 3))
    ends = sorted((told["first_ipp"], told["last_ipp"]), key=lambda position: np.cross(row, column) @ position)
    between_rows, between_columns = told["pixel_spacing"]
    i, j, k = scan.grid.shape
    corner = np.array(ends[1]) + row * between_columns * (i - 1) + column * between_rows * (j - 1)
    assert scan.grid.shape == SERIES[folder]
    assert scan.grid.world((0, 0, 0)) == pytest.approx(ends[0] * np.array([-1, -1, 1]), abs=2e-3)
    assert scan.grid.world((0, 0, k - 1)) == pytest.approx(ends[1] * np.array([-1, -1, 1]), abs=2e-3)
    assert scan.grid.world((i - 1, j - 1, k - 1)) == pytest.approx(corner * (-1, -1, 1), abs=2e-3)
    assert scan.grid.spacing_mm[2] == pytest.approx(told["gap_median"], abs=2e-3)


@pytest.mark.parametrize(
    ("folder", "intercept"),
    [
        ("dcmqi_23x38x3/image", 0),
        ("dcmqi_24x38x3/image", 0),
        ("philips_study_mixed/S2010", -1024),
        ("philips_study_mixed/S2020", -1024),
        ("philips_study_mixed/S2030", -1024),
    ],
)
def test_values_of_regular_series(fixtures: Path, expected: dict[str, Any], folder: str, intercept: int) -> None:
    scan = read(fixtures / "dicom" / "series" / folder)
    hashes = {
        told["pixels"]["sha256_16_int32le_or_f64le"]
        for name, told in expected.items()
        if name.startswith(f"dicom/series/{folder}/")
    }
    ours = {
        sha256((scan.array[:, :, k].T - np.int32(intercept)).astype("<i4").tobytes()).hexdigest()[:16]
        for k in range(scan.grid.shape[2])
    }
    assert ours == hashes


@pytest.mark.parametrize(
    ("folder", "defects"),
    [
        (
            "ge_tilt_variable_spacing",
            ["spacing varies (4.00 mm x 13, 1.08 mm x 1, 7.00 mm x 13)", "tilt of 18.5 degrees"],
        ),
        ("philips_tilt_minus18", ["tilt of 18.5 degrees"]),
        ("siemens_tilt_no_tag", ["tilt of 14.0 degrees"]),
        ("siemens_tilt_missing_slice", ["1 slice missing", "tilt of 15.5 degrees"]),
        ("ge_missing_slice", ["1 slice missing (1 between 28.11 and 38.11 mm)"]),
        ("ge_duplicate_positions", ["more than one image at the same position (-90.00 mm)", "spacing varies"]),
        ("siemens_same_position", ["all images lie at one position"]),
        ("philips_two_orientations_mr", ["4 x MR object"]),
        ("philips_study_mixed/S1000", ["1 x localizer"]),
        ("philips_study_mixed/S4010", ["2 x secondary capture"]),
        ("dcmqi_23x38x3", ["2 CT series"]),
        ("dcmqi_23x38x3/seg", ["1 x SEG object"]),
        ("dcmqi_23x38x3/nrrd", ["1 x file that is not DICOM"]),
        ("codec_set", ["16 x MR object"]),
    ],
)
def test_what_is_irregular_is_named(fixtures: Path, folder: str, defects: list[str]) -> None:
    line = outcome(fixtures / "dicom" / "series" / folder)
    assert isinstance(line, str)
    assert [defect for defect in defects if defect not in line] == []


def test_of_a_mixed_study_the_thin_soft_series_is_taken_and_the_rest_named(fixtures: Path) -> None:
    study = fixtures / "dicom" / "series" / "philips_study_mixed"
    scan = read(study)
    assert scan.facts.series_description == "STD BRAIN 1MM, iDose"
    assert np.array_equal(scan.array, read(study / "S2020").array)
    assert scan.facts.notes == (
        'took CT series 202 "STD BRAIN 1MM, iDose" (140 images 1 mm apart); passed over '
        '203 "BONE BRAIN 1MM" (140 images 1 mm apart; sharper kernel); '
        '201 "STD BRAIN 5MM" (28 images 5 mm apart; larger slice distance)',
        'passed over as no CT volume: 1 x localizer (series 100); 2 x secondary capture (series 401 "Exam Summary")',
    )
    assert read(study, Choices(series="203")).facts.series_description == "BONE BRAIN 1MM"


@pytest.mark.parametrize("size", ["23x38x3", "24x38x3"])
def test_enhanced_and_single_frame_images_are_the_same_volume(fixtures: Path, size: str) -> None:
    folder = fixtures / "dicom" / "series" / f"dcmqi_{size}"
    single, enhanced = read(folder / "image"), read(folder / "multiframe")
    assert np.array_equal(enhanced.array, single.array)
    assert enhanced.grid.same_place(single.grid)
    assert enhanced.grid.spacing_mm == pytest.approx((0.7, 0.7, 2.5), abs=1e-4)
    assert sorted(one.frame for one in enhanced.facts.slices) == [1, 2, 3]
    assert "2 CT series that are equally fit" in str(outcome(folder))


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("single/eCT_Supplemental.dcm", None),
        ("encapsulated/CT0012.fragmented_no_bot_jpeg_lossless.57.dcm", None),
        ("encapsulated/CT0012.fragmented_no_bot_jpeg_ls.80.dcm", None),
        ("encapsulated/CT0012.not_fragmented_no_bot_rle.dcm", None),
        ("encapsulated/CT0012.fragmented_no_bot_jpeg_ls.81.dcm", "compressed with loss"),
    ],
)
def test_enhanced_ct_of_two_frames_is_read_when_it_is_named(fixtures: Path, name: str, note: str | None) -> None:
    path = fixtures / "dicom" / name
    assert "a volume has at least 3 images" in str(outcome(path))
    uid = contents_of(path).frames[0].image.series_uid
    scan = read(path, Choices(series=uid))
    assert scan.grid.spacing_mm[2] == pytest.approx(10)
    assert scan.grid.affine[0, 0] > 0  # columns grow toward -x in LPS
    assert (scan.array.min(), scan.array.max()) == ((-1024, 172) if note is None else (-1024, 174))
    assert note is None or note in scan.facts.notes[-1]
    original = contents_of(fixtures / "dicom" / "single" / "eCT_Supplemental.dcm").frames
    off = np.abs(scan.array.astype(int) - hounsfield(original, "")[:, :, ::-1])
    assert off.max() == (0 if note is None else 2)


def test_three_studies_in_one_oblique_series(fixtures: Path) -> None:
    scan = read(fixtures / "dicom" / "series" / "rt_utils_oblique")
    assert np.linalg.det(scan.grid.affine[:3, :3]) == pytest.approx(39.375, abs=1e-3)
    assert scan.grid.spacing_mm[:2] == pytest.approx((2.5, 3.5))
    assert scan.array.dtype == np.float32
    assert scan.facts.notes[-1] == "the images of this series name 3 studies"


def told_series(fixtures: Path, folder: str) -> dict[str, Any]:
    return json.loads((fixtures / "expected_series.json").read_text())[folder][0]


MENDED = {
    "philips_tilt_minus18": (54, 2.3708, ["gantry tilt of 18.50 degrees"]),
    "siemens_tilt_no_tag": (4, 4.8515, ["gantry tilt of 14.00 degrees"]),
    "siemens_tilt_missing_slice": (5, 0.7497, ["1 missing slice interpolated linearly: k = 3"]),
    "ge_missing_slice": (5, 5.0, ["1 missing slice interpolated linearly: k = 3"]),
    "ge_tilt_variable_spacing": (
        135,
        1.0753,
        ["gantry tilt of 18.50 degrees", "uneven slice distances (1.08 to 7.00 mm)"],
    ),
}


@pytest.mark.parametrize("folder", MENDED)
def test_real_irregular_series_are_mended_on_request(fixtures: Path, folder: str) -> None:
    place = fixtures / "dicom" / "series" / folder
    n_slices, spacing_mm, repairs = MENDED[folder]
    assert str(outcome(place)).endswith("--repair")
    scan, told = read(place, Choices(repair=True)), told_series(fixtures, folder)
    assert scan.grid.shape[2] == n_slices
    assert scan.grid.spacing_mm[2] == pytest.approx(spacing_mm, abs=2e-3)
    assert all(said.startswith(wanted) for said, wanted in zip(scan.facts.repairs, repairs, strict=True))
    assert len(scan.facts.slices) == told["n_files"]
    row, column = np.reshape(told["iop"], (2, 3))
    along = np.array([one.position_mm for one in scan.facts.slices]) @ np.cross(row, column)
    steps = np.diff(along)
    assert [steps.min(), np.median(steps), steps.max()] == pytest.approx(
        [told["gap_min"], told["gap_median"], told["gap_max"]], abs=2e-3
    )


@pytest.mark.parametrize("folder", ["philips_tilt_minus18", "ge_tilt_variable_spacing"])
def test_mended_values_are_those_of_the_images_where_they_lie(fixtures: Path, folder: str) -> None:
    """The first image is not shifted: it stands in the mended scan as it was, at its own position."""
    scan = read(fixtures / "dicom" / "series" / folder, Choices(repair=True))
    first, plane = scan.facts.slices[0], scan.facts.plane
    assert plane is not None
    frame = next(
        one
        for one in contents_of(fixtures / "dicom" / "series" / folder).frames
        if one.image.instance_uid == first.instance_uid
    )
    at = np.rint(scan.grid.voxel(np.array(first.position_mm) * (-1, -1, 1))).astype(int)
    found = scan.array[at[0] : at[0] + plane.columns, at[1] : at[1] + plane.rows, at[2]]
    expected = hounsfield([frame], folder)[:, :, 0]
    assert at[2] == 0
    assert np.array_equal(found, expected)


def test_what_cannot_be_mended_stays_refused(fixtures: Path) -> None:
    place = fixtures / "dicom" / "series" / "ge_duplicate_positions"
    with pytest.raises(ScanError, match=r"same position \(-90.00 mm\); the spacing varies .* cannot be mended"):
        read(place, Choices(repair=True))


def test_a_media_folder(fixtures: Path) -> None:
    """Two patients; the DICOMDIR names files of a third that are not there."""
    place = fixtures / "dicom" / "dicomdir"
    scan = read(place)
    assert scan.grid.shape == (16, 16, 5)
    assert scan.grid.spacing_mm[2] == pytest.approx(2.5)
    assert "irregular" in scan.facts.notes[0]
    assert scan.facts.notes[1] == "the DICOMDIR names 17 files that are not there"
    assert "CR object" in scan.facts.notes[2]
    with pytest.raises(ScanError, match="missing"):
        read(place / "77654033" / "CT2", Choices(repair=True))


def test_one_mr_in_four_compressions_is_one_volume(fixtures: Path, tmp_path: Path) -> None:
    for path in (fixtures / "dicom" / "series" / "codec_set").rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.Modality = "CT"
        dataset.save_as(tmp_path / f"{path.parent.name}-{path.name}")
    scan = read(tmp_path)
    assert scan.grid.shape == (256, 256, 4)
    assert "12 images were copies of others and left out" in scan.facts.notes


def test_an_object_with_a_lookup_table_is_no_ct(fixtures: Path) -> None:
    assert "found 1 x OT object" in str(outcome(fixtures / "dicom" / "single" / "mlut_18.dcm"))


@pytest.mark.parametrize("codec", ["j2k", "jpeg", "jpegls", "rle"])
def test_codecs(fixtures: Path, expected: dict[str, Any], tmp_path: Path, codec: str) -> None:
    for path in (fixtures / "dicom" / "series" / "codec_set" / codec).iterdir():
        dataset = pydicom.dcmread(path)
        dataset.Modality = "CT"  # the four sets hold one MR; as CT they may be read
        dataset.save_as(tmp_path / path.name)
    scan = read(tmp_path)
    name = next(name for name in expected if name.startswith(f"dicom/series/codec_set/{codec}/"))
    hashes = [sha256(scan.array[:, :, k].T.astype("<i4").tobytes()).hexdigest()[:16] for k in range(4)]
    assert scan.grid.spacing_mm == pytest.approx((1, 1, 1), abs=1e-4)
    assert expected[name]["pixels"]["sha256_16_int32le_or_f64le"] in hashes


@pytest.mark.parametrize(
    ("codec", "sound", "damaged"),
    [
        ("jpeg", b"\xff\xc4", b"\xff\x6d"),  # no Huffman table: gdcm ends the process
        ("jpeg", b"\xff\xc3\x00\x0b\x10\x01", b"\xff\xc3\x00\x0b\x10\x41"),  # 16,640 rows
        ("jpegls", b"\xff\xf7", b"\xff\xf8"),
        ("jpegls", b"\xff\xd8\xff", b"\xff\xd9\xff"),
        ("j2k", b"\xff\x4f\xff\x51", b"\xff\x4f\xff\x52"),
        ("j2k", b"\xff\x52", b"\xff\x55"),
        ("rle", b"\x02\0\0\0\x40\0\0\0", b"\x09\0\0\0\x40\0\0\0"),
    ],
)
def test_damaged_codestreams(fixtures: Path, tmp_path: Path, codec: str, sound: bytes, damaged: bytes) -> None:
    for path in (fixtures / "dicom" / "series" / "codec_set" / codec).iterdir():
        dataset = pydicom.dcmread(path)
        dataset.Modality = "CT"
        assert sound in dataset.PixelData
        dataset.PixelData = dataset.PixelData.replace(sound, damaged, 1)
        dataset.save_as(tmp_path / path.name)
    assert "cannot be decoded" in str(outcome(tmp_path))


def sha_of(numbers: np.ndarray) -> str:
    return sha256(numbers.astype("<i4").tobytes()).hexdigest()[:16]


def test_stored_values_of_every_ct_image(fixtures: Path, expected: dict[str, Any]) -> None:
    """Every CT file of the fixtures that has a place in space, through our decoding, against other decoders' values."""
    wrong, n_seen = [], 0
    for name, told in expected.items():
        frames = contents_of(fixtures / name).frames if told.get("Modality") == "CT" else ()
        if frames and "jpeg_baseline.51" not in name:
            n_seen += 1
            numbers = np.stack([stored(words, frame) for words, frame in zip(words_of(frames), frames, strict=True)])
            if sha_of(numbers) != told["pixels"]["sha256_16_int32le_or_f64le"]:
                wrong.append(name)
    assert wrong == []
    assert n_seen >= 440


def test_no_dicom_file_gives_anything_but_a_scan_or_one_line(fixtures: Path) -> None:
    outcomes = {path.name: outcome(path) for path in sorted((fixtures / "dicom").rglob("*")) if path.is_file()}
    scans = {name for name, one in outcomes.items() if isinstance(one, Volume)}
    assert {name for name in scans if not name.endswith(".nrrd")} == {"mf.dcm"}


@pytest.mark.parametrize(
    "name",
    [
        "no_meta.dcm",
        "meta_missing_tsyntax.dcm",
        "no_meta_group_length.dcm",
        "badVR.dcm",
        "rtplan_truncated.dcm",
        "zipMR.gz",
        "parametric_map_float.dcm",
        "MR_truncated.dcm",
    ],
)
def test_damaged_files_are_refused_by_name(fixtures: Path, name: str) -> None:
    assert str(outcome(fixtures / "dicom" / "single" / name)).startswith(f"{name}: ")


def test_a_truncated_slice_is_never_filled_up(fixtures: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(fixtures / "dicom" / "series" / "dcmqi_ct_3slice", tmp_path / "ct")
    data = (folder / "02.dcm").read_bytes()
    (folder / "02.dcm").chmod(0o644)
    (folder / "02.dcm").write_bytes(data[:-62])
    with pytest.raises(ScanError, match=r"02\.dcm: its pixels .* cannot be decoded"):
        read(folder)


@pytest.fixture(scope="module")
def crlm(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crlm")
    zipfile.ZipFile(shared_data / "torso_ct" / "crlm-1004_dicom.zip").extractall(folder)
    return folder


def test_a_real_scan_is_the_same_from_dicom_and_nifti(shared_data: Path, crlm: Path) -> None:
    dicom, nifti = read(crlm), read(shared_data / "torso_ct" / "crlm-1004_ct.nii.gz")
    turned = dicom.reoriented(nifti.grid.orientation)
    assert np.array_equal(turned.array, nifti.array)
    assert turned.grid.same_place(nifti.grid)
    assert dicom.array.min() == -1024
    assert dicom.facts.patient_position == "FFS"
    assert dicom.facts.notes == ()


def test_the_folder_of_real_scans(shared_data: Path) -> None:
    cases = [source.case for source in scans_in(shared_data / "torso_ct")]
    assert cases == [
        "4dlung-113_ct",
        "crlm-1004_ct",
        "crlm-1004_dicom",
        "lidc-0001_ct_1p5mm",
        "lidc-0314_ct_2p5mm",
        "nsclc-r01-001_ct_2mm",
        "ts-example_ct",
    ]


@pytest.mark.parametrize(
    "name", ["4dlung-113_ct", "crlm-1004_ct", "lidc-0314_ct_2p5mm", "nsclc-r01-001_ct_2mm", "ts-example_ct"]
)
def test_real_cts_are_in_hounsfield_units(shared_data: Path, name: str) -> None:
    assert not_hounsfield(read(shared_data / "torso_ct" / f"{name}.nii.gz")) is None


@pytest.mark.parametrize("name", ["ts-example_labels", "spl-abdomen_labels", "verse-004_vertebrae"])
def test_label_maps_are_not(shared_data: Path, name: str) -> None:
    assert "map of labels" in str(not_hounsfield(read(shared_data / "labelmaps" / f"{name}.nii.gz")))
