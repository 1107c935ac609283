"""The stored numbers of one slice, and what they are in HU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom.headers import PARSER_ERRORS, PixelFormat, SliceHeader, quietly
from ctatlas.volume.limits import AT_MOST_SLICE_PIXELS

if TYPE_CHECKING:
    from pydicom import Dataset

    from ctatlas.volume.hounsfield import HounsfieldValues

# Source: DICOM PS3.5 annex A; values of .51 differed by up to 1037 from the original in reference/volumes.md §1.
_LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91",
          "1.2.840.10008.1.2.4.203"}
_TWELVE_BIT_JPEG = "1.2.840.10008.1.2.4.51"


def check_format(pixels: PixelFormat, where: str) -> None:
    """Refuse a slice whose numbers cannot be understood as HU."""
    faults = {
        f"photometric interpretation {pixels.photometric}, expected MONOCHROME2": pixels.photometric != "MONOCHROME2",
        "a modality lookup table instead of slope and intercept, which is not read": pixels.has_lookup_table,
        f"rescale type {pixels.rescale_type}, expected HU": pixels.rescale_type not in ("", "HU", "US"),
        f"{pixels.bits_allocated} bits a pixel, expected 8, 16 or 32": pixels.bits_allocated not in (8, 16, 32),
        f"{pixels.bits_stored} bits up to bit {pixels.high_bit} of {pixels.bits_allocated}":
            not 1 <= pixels.bits_stored <= pixels.high_bit + 1 <= pixels.bits_allocated,
        f"{pixels.columns} x {pixels.rows} pixels": not 1 <= pixels.rows * pixels.columns <= AT_MOST_SLICE_PIXELS,
        "rescale slope 0": pixels.slope == 0,
        "12-bit lossy JPEG, which is not read because its values are unreliable":
            pixels.transfer_syntax == _TWELVE_BIT_JPEG,
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
    raw = _decoded(header)
    pixels = header.pixels
    stored = _stored(raw, pixels)
    values.put(
        stored.ravel(),
        slope=1.0 if pixels.slope is None else pixels.slope,
        intercept=0.0 if pixels.intercept is None else pixels.intercept,
        padding=_padding(raw, stored, pixels),
    )


def _decoded(header: SliceHeader) -> np.ndarray:
    """Return the numbers as they stand in the file, (rows, columns) unsigned."""
    from pydicom import dcmread
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import UID

    pixels, name = header.pixels, header.path.name
    try:
        with quietly():
            dataset = dcmread(header.path, force=True)
            _check_codestream(dataset, pixels)
            raw = pixel_array(dataset, raw=True)
    except PARSER_ERRORS as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        syntax = UID(pixels.transfer_syntax).name or "unknown transfer syntax"
        raise ScanError(f"{name}: its pixels ({syntax}) cannot be decoded: {reason}. Copy the file anew.") from error
    if raw.shape != (pixels.rows, pixels.columns) or raw.dtype.kind not in "iu":
        raise ScanError(f"{name}: holds {raw.dtype} pixels of shape {raw.shape}; expected whole numbers, "
                        f"{pixels.rows} rows of {pixels.columns}. The file is damaged: copy it anew.")
    unsigned: np.ndarray = raw.view(np.dtype(f"u{raw.dtype.itemsize}"))
    return unsigned


def _stored(raw: np.ndarray, pixels: PixelFormat) -> np.ndarray:
    """Cut out the stored bits (others may hold old overlays) and give them their sign."""
    lowest = pixels.high_bit + 1 - pixels.bits_stored
    stored = raw
    if lowest:
        stored = stored >> lowest
    if pixels.bits_stored < 8 * raw.dtype.itemsize:
        stored = stored & raw.dtype.type(2**pixels.bits_stored - 1)
    if not pixels.is_signed:
        return stored
    if pixels.bits_stored == 8 * raw.dtype.itemsize:
        return stored.view(np.dtype(f"i{raw.dtype.itemsize}"))
    sign = 1 << (pixels.bits_stored - 1)
    signed: np.ndarray = (stored.astype(np.int64) ^ sign) - sign
    return signed.astype(np.dtype(f"i{raw.dtype.itemsize}"))


def _padding(raw: np.ndarray, stored: np.ndarray, pixels: PixelFormat) -> np.ndarray | None:
    """Return which pixels lie outside the image, flat; None when the file knows no such value.

    The value is compared without its sign, which real files write wrongly (63536 for -2000).
    """
    if pixels.padding is None:
        return None
    span = 2**pixels.bits_allocated
    if pixels.padding_limit is None:
        padding: np.ndarray = raw == raw.dtype.type(pixels.padding % span)
        return padding.ravel()
    ends = [pixels.padding % span, pixels.padding_limit % span]
    if pixels.is_signed:
        ends = [end - span if end >= span // 2 else end for end in ends]
    between: np.ndarray = (stored >= min(ends)) & (stored <= max(ends))
    return between.ravel()


def _check_codestream(dataset: Dataset, pixels: PixelFormat) -> None:
    """Refuse a compressed image that claims another size than its header, before a decoder takes memory for it."""
    from pydicom.encaps import generate_frames

    if not dataset.file_meta.get("TransferSyntaxUID", "") or not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    size = _codestream_size(frame)
    if size is not None and size != (pixels.rows, pixels.columns):
        raise ValueError(f"the compressed image has {size[0]} rows of {size[1]}, the header says {pixels.rows} rows of "
                         f"{pixels.columns}")


def _codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Return rows and columns that a JPEG, JPEG-LS or JPEG 2000 stream claims; None for others.

    Source: ITU-T T.81 (frame header: SOF, length, precision, lines, samples), T.800 (SIZ: extents less offsets).
    """
    if frame[:4] == b"\xff\x4f\xff\x51":
        x, y, x_offset, y_offset = (int.from_bytes(frame[at:at + 4], "big") for at in (8, 12, 16, 20))
        return y - y_offset, x - x_offset
    at = 2
    while frame[:2] == b"\xff\xd8" and at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return int.from_bytes(frame[at + 5:at + 7], "big"), int.from_bytes(frame[at + 7:at + 9], "big")
        at += 2 + int.from_bytes(frame[at + 2:at + 4], "big")
    return None
