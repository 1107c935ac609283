"""Single images of scanners and of other projects, one trap each: in all compressions, whatever they show.

Images of other modalities are told to be CT, so that the CT reader's decoding meets all compressions that the fixtures
hold. `expected.json` has the values on which other decoders agree. Only colour, float, one-bit and unreadable pixels
are left, which no CT has; each of those is refused below.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import CTImageStorage

from ctatlas.errors import ScanError
from ctatlas.volume import Choices, read
from ctatlas.volume.formats.dicom.codestreams import DECODERS
from ctatlas.volume.formats.dicom.decoding import hounsfield
from ctatlas.volume.formats.dicom.frames import Frame
from ctatlas.volume.formats.dicom.headers import contents_of
from ctatlas.volume.formats.dicom.pixels import padding_of, stored, words_of


@pytest.fixture(scope="module")
def fixtures(shared_data: Path) -> Path:
    return shared_data / "fixtures"


@pytest.fixture(scope="module")
def expected(fixtures: Path) -> dict[str, Any]:
    return json.loads((fixtures / "expected.json").read_text())


OTHER_IMAGES = [
    "JLSL_16_15_1_1F.dcm",
    "JPEG-LL.dcm",
    "JPEG2000.dcm",
    "JPEGLSNearLossless_16.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_expb.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_padded.dcm",
    "decimal_rescale.dcm",
    "emri_small.dcm",
    "emri_small_RLE.dcm",
    "emri_small_big_endian.dcm",
    "emri_small_jpeg_2k_lossless.dcm",
    "emri_small_jpeg_ls_lossless.dcm",
    "image_dfl.dcm",
    "mlut_18.dcm",
    "slicethickness_empty_string.dcm",
]


def as_ct(source: Path, target: Path) -> tuple[Frame, ...]:
    """Copy an image, its pixels untouched, with the header of a CT; return its frames."""
    dataset = pydicom.dcmread(source)
    dataset.Modality, dataset.SOPClassUID, dataset.SeriesInstanceUID = "CT", CTImageStorage, "1.2.3"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [2, 1.5]
    dataset.setdefault("SOPInstanceUID", "1.2.3.4")
    dataset.save_as(target)
    return contents_of(target).frames


@pytest.mark.parametrize("name", OTHER_IMAGES)
def test_stored_values_in_every_compression(
    fixtures: Path, expected: dict[str, Any], tmp_path: Path, name: str
) -> None:
    frames = as_ct(fixtures / "dicom" / "single" / name, tmp_path / name)
    told = expected[f"dicom/single/{name}"]["pixels"]
    numbers = np.stack([stored(words, frame) for words, frame in zip(words_of(frames), frames, strict=True)])
    assert [numbers.min(), numbers.max()] == [told["min"], told["max"]]
    assert numbers.squeeze().shape == tuple(told["shape"])
    assert sha256(numbers.astype("<i4").tobytes()).hexdigest()[:16] == told["sha256_16_int32le_or_f64le"]


def test_no_image_of_the_fixtures_was_forgotten(expected: dict[str, Any]) -> None:
    """Every grey image that others decode is above, or a CT, whose values are tested with all other CT."""
    seen = {f"dicom/single/{name}" for name in OTHER_IMAGES}
    other = {
        name
        for name, told in expected.items()
        if name.startswith("dicom/single/") and "sha256_16_int32le_or_f64le" in told.get("pixels", {})
    }
    other -= {name for name in other if expected[name].get("Modality") == "CT" or expected[name]["pixels"]["min"] % 1}
    assert {Path(name).stem for name in other - seen} == {
        *("HTJ2KLossless_08_RGB", "HTJ2K_08_RGB", "SC_rgb_jpeg_dcmtk", "SC_rgb_rle"),  # colour
        *("JPGExtended", "parametric_map_float", "rtdose_1frame"),  # 12-bit lossy JPEG, float, a dose
    }


@pytest.mark.parametrize("syntax", DECODERS)
def test_every_decoder_is_installed(syntax: str) -> None:
    assert DECODERS[syntax][0] in get_decoder(syntax).available_plugins


@pytest.mark.parametrize(
    ("name", "hu"),
    [
        ("CT_small.dcm", (-896, 1167)),
        ("J2K_pixelrep_mismatch.dcm", (-2000, 1896)),
        ("decimal_rescale.dcm", (-4096, -4096)),
    ],
)
def test_hounsfield_units(fixtures: Path, tmp_path: Path, name: str, hu: tuple[int, int]) -> None:
    (frame,) = as_ct(fixtures / "dicom" / "single" / name, tmp_path / name)
    array = hounsfield([frame], name)
    assert array.dtype == np.int16
    assert (array.min(), array.max()) == hu


@pytest.mark.parametrize("name", ["JPEG2000-embedded-sequence-delimiter.dcm", "MR_truncated.dcm"])
def test_damaged_pixels_are_refused(fixtures: Path, tmp_path: Path, name: str) -> None:
    frames = as_ct(fixtures / "dicom" / "single" / name, tmp_path / name)
    with pytest.raises(ScanError, match=rf"^{name}: its pixels .* cannot be decoded"):
        hounsfield(frames, name)


def test_twelve_bit_lossy_jpeg_is_refused_by_name(fixtures: Path) -> None:
    path = fixtures / "dicom" / "encapsulated" / "CT0012.fragmented_no_bot_jpeg_baseline.51.dcm"
    uid = contents_of(path).frames[0].image.series_uid
    with pytest.raises(ScanError, match="12-bit lossy JPEG, which is not read because its values are unreliable"):
        read(path, Choices(series=uid))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ExplVR_BigEndNoMeta.dcm", "1 x RTPLAN object"),
        ("ExplVR_LitEndNoMeta.dcm", "1 x RTPLAN object"),
        ("HTJ2KLossless_08_RGB.dcm", "1 x object without modality"),
        ("HTJ2K_08_RGB.dcm", "1 x object without modality"),
        ("SC_rgb_jpeg_dcmtk.dcm", "1 x OT object"),
        ("SC_rgb_rle.dcm", "1 x OT object"),
        ("mlut_18.dcm", "1 x OT object"),
        ("parametric_map_float.dcm", "1 x OT object"),
        ("reportsi.dcm", "1 x SR object"),
        ("rtdose_1frame.dcm", "1 x RTDOSE object"),
        ("rtplan.dcm", "1 x RTPLAN object"),
        ("rtstruct.dcm", "1 x RTSTRUCT object"),
        ("test-SR.dcm", "1 x SR object"),
    ],
)
def test_what_is_no_ct_is_passed_over_with_the_reason(fixtures: Path, name: str, found: str) -> None:
    path = fixtures / "dicom" / "single" / name
    (aside,) = contents_of(path).set_aside
    assert f"1 x {aside.what}" == found
    with pytest.raises(ScanError):
        read(path)


def test_padding_of_a_real_series(fixtures: Path) -> None:
    frames = contents_of(fixtures / "dicom" / "series" / "dcmqi_ct_3slice").frames
    array = hounsfield(frames, "ct")
    for k, (words, frame) in enumerate(zip(words_of(frames), frames, strict=True)):
        told = stored(words, frame)
        assert (told == -2000).any()
        assert np.array_equal(array[:, :, k].T, np.where(told == -2000, -1024, told - 1024))


def test_padding_that_a_real_series_writes_with_the_wrong_sign(fixtures: Path) -> None:
    for frame in contents_of(fixtures / "dicom" / "series" / "ge_duplicate_positions").frames:
        assert frame.image.pixels.padding == 63536
        numbers = np.array([[-2000, -1024]], np.int16)
        assert padding_of(numbers.view(np.uint16), numbers, frame).tolist() == [[True, False]]
