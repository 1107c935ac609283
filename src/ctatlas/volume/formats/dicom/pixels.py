"""The stored numbers of a frame, taken from its file."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from itertools import groupby, repeat
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom.codestreams import decode
from ctatlas.volume.formats.dicom.files import inflated, parser_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ctatlas.volume.formats.dicom.files import PixelPlace
    from ctatlas.volume.formats.dicom.frames import Frame, Image
    from ctatlas.volume.formats.dicom.pixel_format import PixelFormat


def words_of(frames: Iterable[Frame], planes: Iterable[np.ndarray | None] = repeat(None)) -> Iterator[np.ndarray]:
    """Yield the pixels of frames as they stand in the file, (rows, columns) unsigned, all bits allocated.

    Frames of one image that follow each other are taken from its file in one go.

    Parameters
    ----------
    frames : iterable of Frame
    planes : iterable of (rows, columns) array, optional
        One a frame, C order: memory in which its pixels may be yielded, which spares a copy.

    Raises
    ------
    ScanError
        When pixels are missing, cut off, damaged, or of another size than the header says.
    """
    for image, wanted in groupby(zip(frames, planes), key=lambda pair: pair[0].image):  # noqa: B905 - planes may go on
        with _decoding(image):
            source = _frames_in(image)
            for frame, plane in wanted:
                yield _unsigned(source(frame.number, plane), image)


def stored(words: np.ndarray, frame: Frame, out: np.ndarray | None = None) -> np.ndarray:
    """Return the stored bits with their sign; the others may hold old overlays. `out` may be the words themselves."""
    pixels = frame.image.pixels
    n_unused = 8 * words.dtype.itemsize - pixels.bits_stored
    if not n_unused:
        return words.view(np.dtype(f"i{words.dtype.itemsize}")) if pixels.is_signed else words
    if not pixels.is_signed:
        kept: np.ndarray = np.bitwise_and(words, words.dtype.type(2**pixels.bits_stored - 1), out=out)
        return kept
    shifted: np.ndarray = np.left_shift(words, words.dtype.type(n_unused), out=out)
    signed = shifted.view(np.dtype(f"i{words.dtype.itemsize}"))
    signed >>= signed.dtype.type(n_unused)
    return signed


def span_of(pixels: PixelFormat) -> tuple[int, ...]:
    """Return the least and the greatest number that an image can store."""
    n = 2**pixels.bits_stored
    return (-n // 2, n // 2 - 1) if pixels.is_signed else (0, n - 1)


def padding_of(words: np.ndarray, numbers: np.ndarray, frame: Frame) -> np.ndarray | None:
    """Return which pixels lie outside the image, None when the file names no padding.

    Both words and numbers are compared, and the sign of the value is ours to find, because real files write it wrongly
    (63536 for -2000) or keep the value in bits that are not stored.
    """
    pixels = frame.image.pixels
    if pixels.padding is None:
        return None
    span = 2**pixels.bits_allocated
    ends = [value % span for value in (pixels.padding, pixels.padding_limit) if value is not None]
    padding: np.ndarray = words == words.dtype.type(ends[0])
    if pixels.is_signed:
        ends = [end - span if end >= span // 2 else end for end in ends]
    low, high = min(ends), max(ends)
    if low != high or pixels.bits_stored < pixels.bits_allocated:
        padding |= (numbers >= low) & (numbers <= high)
    return padding


@contextmanager
def _decoding(image: Image) -> Iterator[None]:
    """Turn what a decoder raises into one line."""
    try:
        yield
    except ScanError:
        raise
    except parser_errors() as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        syntax = image.pixels.transfer_syntax or "unknown"
        raise ScanError(
            f"{image.path.name}: its pixels (transfer syntax {syntax}) cannot be decoded: {reason}. Copy the file anew."
        ) from error


def _frames_in(image: Image) -> Callable[[int, np.ndarray | None], np.ndarray]:
    """Return what gives frame n (from 1) of an image's file, perhaps in the memory it is handed."""
    if image.place is None:
        raise ValueError("there are none")
    if image.place.n_bytes is None:
        compressed = _codestreams(image, image.place)
        return lambda number, _: decode(compressed[number - 1], image.pixels)
    return partial(_open_words, image, image.place, inflated(image.path) if image.place.is_deflated else None)


def _codestreams(image: Image, place: PixelPlace) -> list[bytes]:
    """Return the compressed frames of a file, each put together from its fragments."""
    from pydicom.encaps import generate_frames

    with image.path.open("rb") as file:
        file.seek(place.start)
        found = list(generate_frames(file.read(), number_of_frames=image.n_frames))
    if len(found) != image.n_frames:
        raise ValueError(f"there are {len(found)} compressed frames; expected {image.n_frames}")
    return found


def _open_words(
    image: Image, place: PixelPlace, data: bytes | None, number: int, plane: np.ndarray | None
) -> np.ndarray:
    """Return a frame that lies uncompressed in its file, or in the inflated data."""
    pixels = image.pixels
    shape, n_words = (pixels.rows, pixels.columns), pixels.rows * pixels.columns
    kind = np.dtype(f"{'<' if place.is_little_endian else '>'}u{pixels.bits_allocated // 8}")
    n_bytes = n_words * kind.itemsize
    if number * n_bytes > (place.n_bytes or 0):
        raise ValueError(f"there are {place.n_bytes} bytes; expected {image.n_frames * n_bytes}")
    if kind.itemsize == 1 and not place.is_little_endian:
        raise ValueError("8-bit pixels in big-endian words are not read")
    start = place.start + (number - 1) * n_bytes
    if data is not None:
        words = np.frombuffer(data[start : start + n_bytes], kind)
    else:
        if plane is None or plane.shape != shape or plane.itemsize != kind.itemsize:
            plane = np.empty(shape, kind)
        words = _read_into(plane.view(kind), image, start)
    if words.size != n_words:
        raise ValueError(f"the file ends after {words.size} of {n_words} pixels")
    return words.reshape(shape)


def _read_into(words: np.ndarray, image: Image, start: int) -> np.ndarray:
    """Fill an array from a file; return its filled beginning, flat."""
    with image.path.open("rb") as file:
        file.seek(start)
        return words.reshape(-1)[: file.readinto(words.data) // words.itemsize]


def _unsigned(words: np.ndarray, image: Image) -> np.ndarray:
    """Return decoded pixels as unsigned numbers of this machine, or refuse them if they are not as the header says."""
    pixels = image.pixels
    is_as_said = words.shape == (pixels.rows, pixels.columns) and 8 * words.dtype.itemsize == pixels.bits_allocated
    if not is_as_said or words.dtype.kind not in "iu":
        raise ScanError(
            f"{image.path.name}: holds {words.dtype} pixels of shape {words.shape}; expected {pixels.rows} rows of "
            f"{pixels.columns} {pixels.bits_allocated}-bit numbers. The file is damaged: copy it anew."
        )
    native: np.ndarray = words.astype(words.dtype.newbyteorder("="), copy=False)
    return native.view(np.dtype(f"u{native.dtype.itemsize}"))
