"""The DICOM files of a place: what each says, and where in it the pixels lie, which are not read yet.

Names, folders and DICOMDIR are ignored. What claims to be DICOM and cannot be understood stops the reading, because a
slice lost at the end of a stack would show nowhere else.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, TypeVar

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom import elements
from ctatlas.volume.formats.recognise import kind_of
from ctatlas.volume.limits import AT_MOST_SLICE_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset

IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"  # DICOMDIR
DEFLATED = "1.2.840.10008.1.2.1.99"
HeaderT_co = TypeVar("HeaderT_co", bound=elements.Header, covariant=True)
_AT_MOST_INFLATED_BYTES = 256 * 2**20  # an enhanced CT of 500 frames; a bomb stops there
_LONG_LENGTH = (b"OB", b"OW", b"UN", b"OF", b"OD", b"OL")  # representations with a 4-byte length
_PIXEL_DATA = (0x7FE0, 0x0010)
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class PixelPlace:
    """Where the pixel data of a file lie.

    Attributes
    ----------
    start : int
        First byte of the value, counted in the inflated data set when that is deflated.
    n_bytes : int or None
        As the file says; None for compressed frames, which run to the end of the file.
    """

    start: int
    n_bytes: int | None
    is_little_endian: bool
    is_deflated: bool


@dataclass(frozen=True, slots=True)
class DicomFile(Generic[HeaderT_co]):
    """One DICOM file without its pixels; `pixels` is None where it has no integer ones."""

    path: Path
    dataset: HeaderT_co
    transfer_syntax: str
    is_media_directory: bool
    pixels: PixelPlace | None


def files_in(place: Path) -> Iterator[Path]:
    """Yield a file itself, or every visible file of a folder and below, in a fixed order."""
    if not place.is_dir():
        yield place
        return
    for folder, below, files in os.walk(place):
        below[:] = sorted(name for name in below if not name.startswith("."))
        paths = (Path(folder, name) for name in sorted(files) if not name.startswith("."))
        yield from (path for path in paths if path.is_file())


def open_dicom(path: Path, names: Sequence[str]) -> DicomFile[Dataset] | None:
    """Read the named elements of a file, up to its pixels; None when it is not DICOM.

    Raises
    ------
    ScanError
        When it cannot be read, is damaged, or is too large for a DICOM image.
    """
    try:
        with path.open("rb") as file:
            start = file.read(132)
            if start[128:] != b"DICM" and kind_of(path) != "dicom":
                return None
            file.seek(0)
            with understanding(path):
                return _opened(path, file, names)
    except OSError as error:
        raise ScanError(f"{path.name}: cannot be read: {error.strerror or error}.") from error


def inflated(path: Path) -> bytes:
    """Return the data set of a deflated file, or refuse it when it grows beyond what an image can be."""
    with path.open("rb") as file:
        _meta(file)
        return _inflate(file, path)


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
        zlib.error,
    )


@contextmanager
def quietly() -> Iterator[None]:
    """Keep pydicom's warnings about a file's small faults to ourselves: what matters is checked and said here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def understanding(path: Path) -> Iterator[None]:
    """Turn what a parser raises into one line."""
    try:
        with quietly():
            yield
    except ScanError:
        raise
    except parser_errors() as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ScanError(f"{path.name}: is damaged or no valid DICOM ({reason}); copy it anew or remove it.") from error


def _opened(path: Path, file: BinaryIO, names: Sequence[str]) -> DicomFile[Dataset]:
    """Read what a file says, standing at its beginning."""
    n_bytes = os.fstat(file.fileno()).st_size
    if n_bytes > AT_MOST_SLICE_FILE_BYTES:
        raise ScanError(
            f"{path.name}: has {n_bytes / 2**20:.0f} MiB; expected at most "
            f"{AT_MOST_SLICE_FILE_BYTES / 2**20:.0f} for one DICOM image."
        )
    meta = _meta(file)
    syntax = str(meta.get("TransferSyntaxUID", "") or "").strip("\0 ")
    source = io.BytesIO(_inflate(file, path)) if syntax == DEFLATED else file  # pydicom would inflate without limit
    dataset = _dataset(source, syntax, names)
    is_media_directory = meta.get("MediaStorageSOPClassUID", "") == MEDIA_DIRECTORY
    if not elements.text(dataset, "SOPClassUID") and not is_media_directory:
        raise ScanError(f"{path.name}: is damaged or no valid DICOM (no SOP class); copy it anew or remove it.")
    return DicomFile(path, dataset, syntax, is_media_directory, _pixel_place(source, dataset, syntax))


def _meta(file: BinaryIO) -> FileMetaDataset:
    """Read the file meta information, which is empty in a file without preamble; leaves the file where data begin."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.filereader import read_dataset

    def is_data(tag: int, _: str | None, __: int) -> bool:
        return tag >> 16 != 2

    file.seek(128)
    if file.read(4) != b"DICM":
        return FileMetaDataset()
    return FileMetaDataset(read_dataset(file, False, True, stop_when=is_data))  # noqa: FBT003


def _dataset(source: BinaryIO, syntax: str, names: Sequence[str]) -> Dataset:
    """Read named elements up to the pixels, at which the source is left; without a syntax pydicom finds out."""
    from pydicom import dcmread
    from pydicom.filereader import read_dataset

    if not syntax:
        source.seek(0)
        return dcmread(source, stop_before_pixels=True, specific_tags=list(names), force=True)
    return read_dataset(
        source,
        syntax == IMPLICIT,
        syntax != BIG_ENDIAN,
        stop_when=lambda tag, _, __: 0x7FE00008 <= int(tag) < 0x7FE10000,  # pydicom compares tags slowly
        specific_tags=_tags(tuple(names)),
    )


@cache
def _tags(names: tuple[str, ...]) -> Any:
    from pydicom.datadict import tag_for_keyword

    return [tag for tag in map(tag_for_keyword, names) if tag is not None]


def _inflate(file: BinaryIO, path: Path) -> bytes:
    """Return the inflated rest of a file."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    data = stream.decompress(file.read(), _AT_MOST_INFLATED_BYTES + 1)
    if not stream.eof and len(data) <= _AT_MOST_INFLATED_BYTES:
        raise ScanError(f"{path.name}: is stored deflated and cut off; copy it anew.")
    if len(data) > _AT_MOST_INFLATED_BYTES:
        raise ScanError(
            f"{path.name}: is stored deflated and holds over {_AT_MOST_INFLATED_BYTES / 2**20:.0f} MiB; "
            "expected one DICOM image. Store it uncompressed."
        )
    return data


def _pixel_place(source: BinaryIO, dataset: Dataset, syntax: str) -> PixelPlace | None:
    """Read the header of the pixel data element, at which the parser stopped; None when there is none.

    Source: DICOM PS3.5 §7.1: group, element, representation, length; the last two by the transfer syntax.
    """
    is_implicit, is_little_endian = dataset.original_encoding
    order = "<" if is_little_endian else ">"
    header = source.read(8)
    if len(header) < 8 or struct.unpack(f"{order}HH", header[:4]) != _PIXEL_DATA:
        return None
    if is_implicit or header[4:6] in _LONG_LENGTH:
        (n_bytes,) = struct.unpack(f"{order}I", header[4:] if is_implicit else source.read(4))
    else:
        (n_bytes,) = struct.unpack(f"{order}H", header[6:])
    length = None if n_bytes == _UNDEFINED else n_bytes
    return PixelPlace(source.tell(), length, bool(is_little_endian), syntax == DEFLATED)
