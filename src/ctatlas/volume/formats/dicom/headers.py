"""What each DICOM file of a place says, without its pixels.

Names, folders and DICOMDIR are ignored. A file that is no CT slice is set aside with the reason; one that claims to be
DICOM and cannot be understood stops the reading, because a slice lost at the end of a stack would show nowhere else.
"""

from __future__ import annotations

import os
import struct
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctatlas.errors import ScanError
from ctatlas.volume.formats.recognise import kind_of
from ctatlas.volume.limits import AT_MOST_SERIES_FILES, AT_MOST_SLICE_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset

_MULTI_FRAME_CT = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")  # enhanced, legacy converted enhanced
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and its multi-frame variants below it
_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"  # DICOMDIR
_DEFLATED = "1.2.840.10008.1.2.1.99"
_LOCALIZER_WORDS = ("LOCALIZER", "SCOUT", "TOPOGRAM")
_TAGS = [
    "AcquisitionNumber",
    "BitsAllocated",
    "BitsStored",
    "BurnedInAnnotation",
    "Columns",
    "ConvolutionKernel",
    "FrameOfReferenceUID",
    "HighBit",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "LossyImageCompression",
    "Modality",
    "ModalityLUTSequence",
    "NumberOfFrames",
    "PatientPosition",
    "PhotometricInterpretation",
    "PixelPaddingRangeLimit",
    "PixelPaddingValue",
    "PixelRepresentation",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "Rows",
    "SOPClassUID",
    "SOPInstanceUID",
    "SamplesPerPixel",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SpecificCharacterSet",
    "StudyInstanceUID",
]


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How the stored numbers of a slice are packed and what they mean; None where the file does not say."""

    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    photometric: str
    slope: float | None
    intercept: float | None
    rescale_type: str
    has_lookup_table: bool
    padding: int | None
    padding_limit: int | None
    transfer_syntax: str
    is_lossy: bool


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """One CT slice.

    Attributes
    ----------
    orientation : (6,) float
        Directions of growing column and growing row index, LPS.
    position_mm : (3,) float
        Centre of the first pixel, LPS.
    spacing_mm : (2,) float
        Distance between rows, distance between columns (in this order).
    """

    path: Path
    instance_uid: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    acquisition: str
    kernel: str
    patient_position: str
    orientation: tuple[float, ...]
    position_mm: tuple[float, ...]
    spacing_mm: tuple[float, ...]
    pixels: PixelFormat


@dataclass(frozen=True, slots=True)
class SetAside:
    """A DICOM object that is no CT slice, and what it is instead, in words that fit behind a number ("3 localizer")."""

    path: Path
    series_uid: str
    what: str


@dataclass(frozen=True, slots=True)
class SeriesName:
    """What a person calls a series."""

    number: int | None
    description: str


@dataclass(frozen=True, slots=True)
class Contents:
    """All DICOM objects of a place."""

    slices: tuple[SliceHeader, ...]
    set_aside: tuple[SetAside, ...]
    names: dict[str, SeriesName]  # by series UID
    n_other_files: int


_EVERY_IMAGE_HAS = (
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "BitsAllocated",
    "PixelRepresentation",
    "PhotometricInterpretation",
)
MULTI_FRAME = "enhanced multi-frame CT"
NO_PLACE = "CT image without position, orientation or pixel spacing"


def contents_of(place: Path) -> Contents:
    """Read the headers of one DICOM file, or of all in a folder and below; hidden files are passed over.

    Raises
    ------
    ScanError
        When a file cannot be read, is damaged, or there are more than anybody can mean.
    """
    slices: list[SliceHeader] = []
    set_aside: list[SetAside] = []
    names: dict[str, SeriesName] = {}
    n_files = n_dicom = 0
    for path in _files(place):
        n_files += 1
        try:
            is_dicom = kind_of(path) == "dicom"
        except OSError as error:
            raise ScanError(f"{path.name}: cannot be read: {error.strerror or error}.") from error
        if not is_dicom:
            continue
        n_dicom += 1
        if n_dicom > AT_MOST_SERIES_FILES:
            raise ScanError(f"{place.name}: holds over {AT_MOST_SERIES_FILES} DICOM files; give one scan's folder.")
        dataset = _dataset(path)
        with _understanding(path):
            uid = _text(dataset, "SeriesInstanceUID")
            names.setdefault(uid, SeriesName(_integer(dataset, "SeriesNumber"), _text(dataset, "SeriesDescription")))
            what = _what_else(dataset)
            if what is None:
                slices.append(_slice(path, dataset))
            elif what:
                set_aside.append(SetAside(path, uid, what))
    return Contents(tuple(slices), tuple(set_aside), names, n_files - n_dicom)


def first_study_uid(path: Path) -> str:
    """Return the study a DICOM file belongs to, empty when it does not say or cannot be read."""
    try:
        return _text(_dataset(path), "StudyInstanceUID")
    except ScanError:
        return ""


def parser_errors() -> tuple[type[Exception], ...]:
    """Return whatever pydicom and the decoders raise on damaged or hostile bytes.

    Source: tried on fixtures and thousands of damaged copies.
    """
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (
        ArithmeticError,
        AttributeError,
        BytesLengthException,
        EOFError,
        InvalidDicomError,
        LookupError,
        MemoryError,
        NotImplementedError,
        OSError,
        RecursionError,
        RuntimeError,
        struct.error,
        TypeError,
        ValueError,
    )


@contextmanager
def quietly() -> Iterator[None]:
    """Keep pydicom's warnings about a file's small faults to ourselves: what matters is checked and said here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _files(place: Path) -> Iterator[Path]:
    """Yield a file itself, or every visible file of a folder in a fixed order."""
    if not place.is_dir():
        yield place
        return
    for folder, below, files in os.walk(place):
        below[:] = sorted(name for name in below if not name.startswith("."))
        paths = (Path(folder, name) for name in sorted(files) if not name.startswith("."))
        yield from (path for path in paths if path.is_file())


@contextmanager
def _understanding(path: Path) -> Iterator[None]:
    """Turn what a parser raises into one line."""
    try:
        with quietly():
            yield
    except ScanError:
        raise
    except parser_errors() as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ScanError(f"{path.name}: is damaged or no valid DICOM ({reason}); copy it anew or remove it.") from error


def _dataset(path: Path) -> Dataset:
    """Read the header elements we need."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_file_meta_info

    with _understanding(path):
        if path.stat().st_size > AT_MOST_SLICE_FILE_BYTES:
            raise ScanError(
                f"{path.name}: has {path.stat().st_size / 2**20:.0f} MiB; expected at most "
                f"{AT_MOST_SLICE_FILE_BYTES / 2**20:.0f} for one DICOM image."
            )
        try:
            meta = read_file_meta_info(path)
            if meta.get("TransferSyntaxUID") == _DEFLATED:  # dcmread would inflate it all, however much that is
                raise ScanError(
                    f"{path.name}: is stored deflated (transfer syntax {_DEFLATED}), which is not read; "
                    "convert it to Explicit VR Little Endian."
                )
        except InvalidDicomError:  # no preamble: nothing says how it is stored, so it is not deflated either
            pass
        dataset = dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS), force=True)
        if not _text(dataset, "SOPClassUID") and not _is_media_directory(dataset):
            raise ScanError(f"{path.name}: is damaged or no valid DICOM (no SOP class); copy it anew or remove it.")
        return dataset


def _what_else(dataset: Dataset) -> str | None:
    """Say what an object is if it is no CT slice, empty for what is not worth a word, None for a CT slice."""
    if _is_media_directory(dataset):
        return ""
    modality, sop_class = _text(dataset, "Modality").upper(), _text(dataset, "SOPClassUID")
    image_type = " ".join(_texts(dataset, "ImageType")).upper()
    kinds = {
        f"{modality} object" if modality else "object without modality": modality != "CT",
        MULTI_FRAME: sop_class in _MULTI_FRAME_CT or (_integer(dataset, "NumberOfFrames") or 1) > 1,
        "secondary capture": sop_class == _SECONDARY_CAPTURE or sop_class.startswith(f"{_SECONDARY_CAPTURE}."),
        "screen copy with burned-in text": _text(dataset, "BurnedInAnnotation").upper() == "YES",
        "localizer": any(word in image_type for word in _LOCALIZER_WORDS),
        "CT object without image": "Rows" not in dataset or "Columns" not in dataset,
        "colour image": (_integer(dataset, "SamplesPerPixel") or 1) != 1,
        NO_PLACE: not all(
            _text(dataset, name) for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
        ),
    }
    return next((kind for kind, is_so in kinds.items() if is_so), None)


def _is_media_directory(dataset: Dataset) -> bool:
    return str(dataset.file_meta.get("MediaStorageSOPClassUID", "")) == _MEDIA_DIRECTORY


def _slice(path: Path, dataset: Dataset) -> SliceHeader:
    """Take over the values of a CT slice."""
    for name in _EVERY_IMAGE_HAS:
        if not _text(dataset, name):
            raise ScanError(f"{path.name}: lacks {name}, which every CT image has; the file is damaged, copy it anew.")
    return SliceHeader(
        path=path,
        instance_uid=_text(dataset, "SOPInstanceUID"),
        study_uid=_text(dataset, "StudyInstanceUID"),
        series_uid=_text(dataset, "SeriesInstanceUID"),
        frame_of_reference_uid=_text(dataset, "FrameOfReferenceUID"),
        acquisition=_text(dataset, "AcquisitionNumber"),
        kernel=" ".join(_texts(dataset, "ConvolutionKernel")),
        patient_position=_text(dataset, "PatientPosition"),
        orientation=_numbers(dataset, "ImageOrientationPatient", 6),
        position_mm=_numbers(dataset, "ImagePositionPatient", 3),
        spacing_mm=_numbers(dataset, "PixelSpacing", 2),
        pixels=_pixel_format(dataset),
    )


def _pixel_format(dataset: Dataset) -> PixelFormat:
    """Take over how the stored numbers are packed."""
    allocated = _integer(dataset, "BitsAllocated") or 0
    stored = _integer(dataset, "BitsStored") or allocated
    high_bit = _integer(dataset, "HighBit")
    return PixelFormat(
        rows=_integer(dataset, "Rows") or 0,
        columns=_integer(dataset, "Columns") or 0,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=stored - 1 if high_bit is None else high_bit,
        is_signed=_integer(dataset, "PixelRepresentation") == 1,
        photometric=_text(dataset, "PhotometricInterpretation"),
        slope=_number(dataset, "RescaleSlope"),
        intercept=_number(dataset, "RescaleIntercept"),
        rescale_type=_text(dataset, "RescaleType").upper(),
        has_lookup_table=bool(dataset.get("ModalityLUTSequence")),
        padding=_integer(dataset, "PixelPaddingValue"),
        padding_limit=_integer(dataset, "PixelPaddingRangeLimit"),
        transfer_syntax=str(dataset.file_meta.get("TransferSyntaxUID", "")),
        is_lossy=_text(dataset, "LossyImageCompression") == "01",
    )


def _value(dataset: Dataset, name: str) -> Any:
    """Return an element's value, None when absent or empty."""
    value = dataset.get(name)
    return None if value is None or (hasattr(value, "__len__") and not len(value)) else value


def _texts(dataset: Dataset, name: str) -> list[str]:
    value = _value(dataset, name)
    if value is None:
        return []
    values = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    return [str(one).strip("\0 ") for one in values]


def _text(dataset: Dataset, name: str) -> str:
    """Return a value as text on one line, several joined by a backslash."""
    return " ".join("\\".join(_texts(dataset, name)).split())


def _integer(dataset: Dataset, name: str) -> int | None:
    texts = _texts(dataset, name)
    return int(float(texts[0])) if texts and texts[0] else None


def _number(dataset: Dataset, name: str) -> float | None:
    return _numbers(dataset, name, 1)[0] if _text(dataset, name) else None


def _numbers(dataset: Dataset, name: str, n: int) -> tuple[float, ...]:
    """Return exactly n finite numbers."""
    numbers = tuple(float(text) for text in _texts(dataset, name))
    if name == "PixelSpacing" and not all(number > 0 for number in numbers):
        raise ValueError(f"PixelSpacing is {_text(dataset, name)[:60]!r}; expected lengths above 0 mm")
    if len(numbers) != n or not all(abs(number) < 1e9 for number in numbers):
        raise ValueError(f"{name} is {_text(dataset, name)[:60]!r}; expected {n} numbers")
    return numbers
