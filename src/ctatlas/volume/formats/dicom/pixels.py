"""The stored numbers of one slice, and what they are in HU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom.headers import PixelFormat, SliceHeader, parser_errors, quietly
from ctatlas.volume.limits import AT_MOST_SLICE_PIXELS

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset
    from pydicom.uid import UID

    from ctatlas.volume.hounsfield import HounsfieldValues

# Source: DICOM PS3.5 annex A; values of .51 differed by up to 1037 from the original in reference/volumes.md §1.
_LOSSY = {
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.203",
}
# One decoder each, so that a file gives the same on every machine. gdcm only where nothing else can: on damaged data it
# may end the whole process. Source: damaged copies of the shared codec fixtures.
_DECODERS = {
    "1.2.840.10008.1.2.4.50": "gdcm",
    "1.2.840.10008.1.2.4.57": "gdcm",
    "1.2.840.10008.1.2.4.70": "gdcm",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "pylibjpeg",
    "1.2.840.10008.1.2.4.91": "pylibjpeg",
    "1.2.840.10008.1.2.4.201": "pylibjpeg",
    "1.2.840.10008.1.2.4.202": "pylibjpeg",
    "1.2.840.10008.1.2.4.203": "pylibjpeg",
    "1.2.840.10008.1.2.5": "pydicom",
}
_TWELVE_BIT_JPEG = "1.2.840.10008.1.2.4.51"
_RLE = "1.2.840.10008.1.2.5"
_START_OF_FRAME = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}


def check_format(pixels: PixelFormat, where: str) -> None:
    """Refuse a slice whose numbers cannot be understood as HU."""
    faults = {
        f"photometric interpretation {pixels.photometric}, expected MONOCHROME2": pixels.photometric != "MONOCHROME2",
        "a modality lookup table instead of slope and intercept, which is not read": pixels.has_lookup_table,
        f"rescale type {pixels.rescale_type}, expected HU": pixels.rescale_type not in ("", "HU", "US"),
        f"{pixels.bits_allocated} bits a pixel, expected 8, 16 or 32": pixels.bits_allocated not in (8, 16, 32),
        f"{pixels.bits_stored} bits up to bit {pixels.high_bit} of {pixels.bits_allocated}": not 1
        <= pixels.bits_stored
        == pixels.high_bit + 1
        <= pixels.bits_allocated,
        f"{pixels.columns} x {pixels.rows} pixels": not 1 <= pixels.rows * pixels.columns <= AT_MOST_SLICE_PIXELS,
        "rescale slope 0": pixels.slope == 0,
        "12-bit lossy JPEG, which is not read because its values are unreliable": pixels.transfer_syntax
        == _TWELVE_BIT_JPEG,
    }
    for fault, is_so in faults.items():
        if is_so:
            raise ScanError(f"{where}: has {fault}. Export the series anew, uncompressed and in HU.")


def format_notes(formats: list[PixelFormat]) -> list[str]:
    """Say what is worth knowing about the values of a series."""
    notes = []
    if any(one.slope is None or one.intercept is None for one in formats):
        notes.append("no rescale slope and intercept in some images; stored values were taken for HU")
    if any(one.is_lossy or one.transfer_syntax in _LOSSY for one in formats):
        notes.append("images were compressed with loss")
    return notes


def put_slice(header: SliceHeader, values: HounsfieldValues) -> None:
    """Decode one slice and append its HU, column index fastest; padding becomes -1024 HU.

    Raises
    ------
    ScanError
        When pixels are missing, cut off, damaged, or of another size than the header says.
    """
    words, pixels = _words(header), header.pixels
    stored = _stored(words, pixels)
    values.put(
        stored.ravel(),
        slope=1.0 if pixels.slope is None else pixels.slope,
        intercept=0.0 if pixels.intercept is None else pixels.intercept,
        padding=None if pixels.padding is None else _padding(words, stored, pixels, pixels.padding).ravel(),
    )


def _words(header: SliceHeader) -> np.ndarray:
    """Return the pixels as they stand in the file, (rows, columns) unsigned, all bits allocated."""
    pixels, name = header.pixels, header.path.name
    try:
        with quietly():
            words = _decoded(header.path, pixels)
    except parser_errors() as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        syntax = pixels.transfer_syntax or "unknown"
        raise ScanError(
            f"{name}: its pixels (transfer syntax {syntax}) cannot be decoded: {reason}. Copy the file anew."
        ) from error
    is_as_said = words.shape == (pixels.rows, pixels.columns) and 8 * words.dtype.itemsize == pixels.bits_allocated
    if not is_as_said or words.dtype.kind not in "iu":
        raise ScanError(
            f"{name}: holds {words.dtype} pixels of shape {words.shape}; expected {pixels.rows} rows of "
            f"{pixels.columns} {pixels.bits_allocated}-bit numbers. The file is damaged: copy it anew."
        )
    native: np.ndarray = words.astype(words.dtype.newbyteorder("="), copy=False)
    return native.view(np.dtype(f"u{native.dtype.itemsize}"))


def _decoded(path: Path, pixels: PixelFormat) -> np.ndarray:
    """Return the pixels by themselves when they lie open in the file, by pydicom and its decoders when not."""
    from pydicom import dcmread
    from pydicom.pixels.utils import pixel_array

    dataset = dcmread(path, force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = _uncompressed(dataset)
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        _check_codestream(dataset.PixelData, pixels)
    elif syntax.is_little_endian:  # pydicom would cut off the unused bits, in which scanners hide padding
        words = np.frombuffer(dataset.PixelData, f"<u{pixels.bits_allocated // 8}", count=pixels.rows * pixels.columns)
        return words.reshape(pixels.rows, pixels.columns)
    return pixel_array(dataset, raw=True, decoding_plugin=_DECODERS.get(syntax, ""))


def _stored(words: np.ndarray, pixels: PixelFormat) -> np.ndarray:
    """Return the stored bits with their sign; the others may hold old overlays."""
    unused = np.array(8 * words.dtype.itemsize - pixels.bits_stored, words.dtype)
    stored: np.ndarray = words << unused
    if pixels.is_signed:
        stored = stored.view(np.dtype(f"i{words.dtype.itemsize}"))
        unused = unused.astype(stored.dtype)
    signed: np.ndarray = stored >> unused
    return signed


def _padding(words: np.ndarray, stored: np.ndarray, pixels: PixelFormat, value: int) -> np.ndarray:
    """Return which pixels lie outside the image.

    Both words and numbers are compared, and the sign of the value is ours to find, because real files write it wrongly
    (63536 for -2000) or keep the value in bits that are not stored.
    """
    span = 2**pixels.bits_allocated
    ends = [value % span, (value if pixels.padding_limit is None else pixels.padding_limit) % span]
    padding: np.ndarray = words == words.dtype.type(ends[0] % 2 ** (8 * words.dtype.itemsize))
    if pixels.is_signed:
        ends = [end - span if end >= span // 2 else end for end in ends]
    padding |= (stored >= min(ends)) & (stored <= max(ends))
    return padding


def _uncompressed(dataset: Dataset) -> UID:
    """Return the transfer syntax of a file without a file meta header, by how its elements could be read."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    is_implicit, is_little_endian = dataset.original_encoding
    if is_implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if is_little_endian else ExplicitVRBigEndian


def _check_codestream(data: bytes, pixels: PixelFormat) -> None:
    """Refuse a compressed image that is no such image or of another size, before a decoder believes what it claims."""
    from pydicom.encaps import generate_frames

    frame = next(generate_frames(data, number_of_frames=1))
    if pixels.transfer_syntax == _RLE:
        return  # says nothing about its size
    if frame[:4] == b"\xff\x4f\xff\x51":
        rows, columns = _jpeg_2000_size(frame)
    else:
        rows, columns = _jpeg_size(frame)
    if (rows, columns) != (pixels.rows, pixels.columns):
        raise ValueError(
            f"the compressed image has {rows} rows of {columns}, the header says {pixels.rows} rows of {pixels.columns}"
        )


def _jpeg_2000_size(frame: bytes) -> tuple[int, int]:
    """Return rows and columns. Source: ITU-T T.800 A.5.1, SIZ: extents less offsets; number of components at 40."""
    if frame[40:42] != b"\0\1":
        raise ValueError("damaged JPEG 2000 stream, or colour")
    x, y, x_offset, y_offset = (int.from_bytes(frame[at : at + 4], "big") for at in (8, 12, 16, 20))
    return y - y_offset, x - x_offset


def _jpeg_size(frame: bytes) -> tuple[int, int]:
    """Return rows and columns of a JPEG or JPEG-LS stream that has all it needs before its first scan.

    Source: ITU-T T.81 B.2, T.87: segments of marker, length, content up to SOS (DA); SOF (C0 to CF, F7) holds length,
    precision, lines, samples, number of components; C4 holds Huffman tables, without which gdcm ends the process.
    """
    if frame[:2] != b"\xff\xd8":
        raise ValueError("no JPEG or JPEG 2000 stream")
    at, seen, sizes = 2, set[int](), list[tuple[int, int]]()
    while 0xDA not in seen:
        marker, length = frame[at : at + 2], int.from_bytes(frame[at + 2 : at + 4], "big")
        if len(marker) < 2 or marker[0] != 0xFF or marker[1] < 0xC0 or length < 2:
            raise ValueError("damaged JPEG stream")
        seen.add(marker[1])
        if marker[1] in _START_OF_FRAME:
            sizes.append((int.from_bytes(frame[at + 5 : at + 7], "big"), int.from_bytes(frame[at + 7 : at + 9], "big")))
            if frame[at + 9 : at + 10] != b"\1":
                raise ValueError("damaged JPEG stream, or colour")
        at += 2 + length
    if len(sizes) != 1 or not seen & {0xC4, 0xF7}:
        raise ValueError("damaged JPEG stream: expected one frame header, and Huffman tables before the first scan")
    return sizes[0]
