"""Compressed frames: what a stream says about itself, before a decoder believes it, and the decoders."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from ctatlas.volume.formats.dicom.frames import Frame
    from ctatlas.volume.formats.dicom.pixel_format import PixelFormat

# One decoder each, so that a file gives the same on every machine, and its seconds for a million pixels on a core of
# 2026. gdcm only where nothing else can: on damaged data it may end the whole process. Source: the shared codec
# fixtures, a CT of 41 slices in each compression, and damaged copies.
DECODERS = {
    "1.2.840.10008.1.2.4.50": ("gdcm", 0.01),
    "1.2.840.10008.1.2.4.57": ("gdcm", 0.023),
    "1.2.840.10008.1.2.4.70": ("gdcm", 0.028),
    "1.2.840.10008.1.2.4.80": ("pyjpegls", 0.018),
    "1.2.840.10008.1.2.4.81": ("pyjpegls", 0.018),
    "1.2.840.10008.1.2.4.90": ("pylibjpeg", 0.1),
    "1.2.840.10008.1.2.4.91": ("pylibjpeg", 0.1),
    "1.2.840.10008.1.2.4.201": ("pylibjpeg", 0.05),
    "1.2.840.10008.1.2.4.202": ("pylibjpeg", 0.05),
    "1.2.840.10008.1.2.4.203": ("pylibjpeg", 0.05),
    "1.2.840.10008.1.2.5": ("pylibjpeg", 0.005),
}
_RLE = "1.2.840.10008.1.2.5"
_START_OF_FRAME = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_END = b"\xff\xd9"  # of a JPEG, JPEG-LS or JPEG 2000 stream


def decode(frame: bytes, pixels: PixelFormat) -> np.ndarray:
    """Decode one compressed frame, (rows, columns).

    Raises
    ------
    ValueError
        When the stream is cut off, no image, or one of another size than the header says; decoders raise others.
    """
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder

    if pixels.transfer_syntax not in DECODERS:
        raise ValueError("there is no decoder for it; store the images uncompressed or as JPEG 2000")
    _check(frame, pixels)
    told: Any = {
        "rows": pixels.rows,
        "columns": pixels.columns,
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "bits_allocated": pixels.bits_allocated,
        "bits_stored": pixels.bits_stored,
        "photometric_interpretation": pixels.photometric,
        "pixel_representation": int(pixels.is_signed),
        "pixel_keyword": "PixelData",
    }
    decoder, (plugin, _) = get_decoder(pixels.transfer_syntax), DECODERS[pixels.transfer_syntax]
    array, _ = decoder.as_array(encapsulate([frame], has_bot=False), raw=True, decoding_plugin=plugin, **told)
    return array


def decoding_seconds(frames: Iterable[Frame]) -> float:
    """Estimate for how long frames keep one core busy, 0 for uncompressed ones."""
    formats = (frame.image.pixels for frame in frames)
    return sum(DECODERS.get(one.transfer_syntax, ("", 0))[1] * one.rows * one.columns / 1e6 for one in formats)


def _check(frame: bytes, pixels: PixelFormat) -> None:
    """Refuse a frame that is no whole image of the size its header says."""
    if pixels.transfer_syntax == _RLE:
        _check_run_lengths(frame, pixels)
        return
    rows, columns = _jpeg_2000_size(frame) if frame[:4] == b"\xff\x4f\xff\x51" else _jpeg_size(frame)
    if (rows, columns) != (pixels.rows, pixels.columns):
        raise ValueError(
            f"the compressed image has {rows} rows of {columns}, the header says {pixels.rows} rows of {pixels.columns}"
        )
    if not frame.rstrip(b"\0\xff").endswith(_END):  # decoders fill up what is missing, most without a word
        raise ValueError("the compressed image is cut off")


def _check_run_lengths(frame: bytes, pixels: PixelFormat) -> None:
    """Refuse a frame whose segments are not one for each byte of a pixel, in order and inside it, or hold more pixels.

    A short segment is found when it is decoded; on a long one the decoder would panic, which no `except Exception`
    catches. Source: DICOM PS3.5 G.5: 16 32-bit numbers, that of segments and the start of each.
    """
    n_segments, *starts = struct.unpack("<16I", frame[:64])
    used = starts[: pixels.bits_allocated // 8]
    if n_segments != len(used) or used[0] != 64 or used != sorted(set(used)) or used[-1] >= len(frame):
        raise ValueError("damaged run-length header")
    if any(
        _unpacks_to(frame[start:end]) > pixels.rows * pixels.columns for start, end in pairwise([*used, len(frame)])
    ):
        raise ValueError("damaged run lengths: more pixels than the header says")


def _unpacks_to(segment: bytes) -> int:
    """Count the bytes that run lengths stand for; a last single byte only makes the length even.

    Source: DICOM PS3.5 G.3.1: n < 128 announces n + 1 bytes, n > 128 one byte 257 - n times, 128 nothing.
    """
    at = count = 0
    last = len(segment) - 1
    while at < last:
        n = segment[at]
        if n < 128:
            at += n + 2
            count += n + 1
        elif n > 128:
            at += 2
            count += 257 - n
        else:
            at += 1
    return count


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
