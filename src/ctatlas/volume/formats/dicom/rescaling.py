"""From the stored numbers of a slice to Hounsfield units, written straight into the scan's array."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctatlas.volume.formats.dicom.pixels import padding_of, span_of, stored, words_of
from ctatlas.volume.hounsfield import PADDING_HU

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctatlas.volume.formats.dicom.frames import Frame
    from ctatlas.volume.formats.dicom.pixel_format import LookupTable

_INT16 = np.iinfo(np.int16)


def put_frames(frames: Sequence[Frame], out: np.ndarray) -> bool:
    """Write the HU of slices to an (i, j, k) array in Fortran order, as `put_hounsfield` does each."""
    planes = list(out.T)
    words_in_planes = zip(words_of(frames, planes), frames, planes, strict=True)
    return all(put_hounsfield(words, frame, plane) for words, frame, plane in words_in_planes)


def put_hounsfield(words: np.ndarray, frame: Frame, out: np.ndarray) -> bool:
    """Write the HU of one slice; what lies outside the image becomes -1024.

    Parameters
    ----------
    words : (rows, columns) unsigned
        As they stand in the file; their memory may be used, and may be that of `out`.
    frame : Frame
    out : (rows, columns) int16 or float32
        A view of the scan's array.

    Returns
    -------
    bool
        False when int16 cannot hold a value exactly; then `out` holds nothing of worth. float32 holds all.
    """
    may_overwrite = frame.image.pixels.padding is None and words.flags.writeable
    numbers = stored(words, frame, words if may_overwrite else None)
    padding = padding_of(words, numbers, frame)
    if padding is not None and not padding.any():
        padding = None
    rule = frame.rescale
    slope = 1.0 if rule.slope is None else rule.slope
    intercept = 0.0 if rule.intercept is None else rule.intercept
    span = span_of(frame.image.pixels)
    if rule.table is not None:
        numbers, slope, intercept, span = _looked_up(numbers, rule.table), 1.0, 0.0, _ends(np.array(rule.table.values))
    if out.dtype == np.int16 and _is_whole(slope, intercept):
        whole = int(slope), int(intercept)
        fits = _fits(span, *whole) or _fits(_ends(numbers, padding), *whole)  # the second looks at every pixel
        _put_whole(numbers, *whole, out)
    else:
        fits = _put_fractions(numbers * np.float64(slope) + intercept, padding, out)
    if padding is not None and fits:
        np.copyto(out, out.dtype.type(PADDING_HU), where=padding)
    return fits


def _is_whole(*values: float) -> bool:
    return all(value.is_integer() and abs(value) < 2**31 for value in values)


def _ends(numbers: np.ndarray, padding: np.ndarray | None = None) -> tuple[int, ...]:
    """Return the least and the greatest number outside the padding, none if all is padding."""
    inside = numbers if padding is None else numbers[~padding]
    return (int(inside.min()), int(inside.max())) if inside.size else ()


def _fits(ends: tuple[int, ...], slope: int, intercept: int) -> bool:
    """Tell whether int16 holds what becomes of a range of numbers."""
    return all(_INT16.min <= end * slope + intercept <= _INT16.max for end in ends)


def _put_whole(numbers: np.ndarray, slope: int, intercept: int, out: np.ndarray) -> None:
    """Write slope * numbers + intercept in int16 arithmetic, which wraps around and so is right if the result fits."""
    short = numbers.astype(np.int16) if numbers.dtype.itemsize != 2 else numbers.view(np.int16)
    if slope != 1:
        np.multiply(short, _wrapped(slope), out=out)
        short = out
    np.add(short, _wrapped(intercept), out=out)


def _put_fractions(values: np.ndarray, padding: np.ndarray | None, out: np.ndarray) -> bool:
    """Write float64 values, into int16 only if it holds each of them."""
    inside = values if padding is None else values[~padding]
    if out.dtype == np.int16 and inside.size:
        is_short = _INT16.min <= inside.min() and inside.max() <= _INT16.max
        if not is_short or (inside != np.rint(inside)).any():
            return False
    if padding is not None:
        values[padding] = PADDING_HU
    out[...] = values
    return True


def _wrapped(value: int) -> np.int16:
    return np.int16((value + 2**15) % 2**16 - 2**15)


def _looked_up(numbers: np.ndarray, table: LookupTable) -> np.ndarray:
    """Apply a lookup table; what lies below or above it gets its ends."""
    at = np.clip(numbers.astype(np.int64) - table.first, 0, len(table.values) - 1)
    found: np.ndarray = np.array(table.values, np.int32)[at]
    return found
