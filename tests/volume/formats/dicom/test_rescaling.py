"""Stored numbers become the HU that slow arithmetic gives, in whatever memory the pixels lie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import event, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ctatlas.volume.formats.dicom.frames import Frame, Image
from ctatlas.volume.formats.dicom.pixel_format import PixelFormat, Rescale
from ctatlas.volume.formats.dicom.rescaling import put_hounsfield

FORMAT = PixelFormat(3, 5, 16, 16, 15, False, "MONOCHROME2", None, None, "1.2.840.10008.1.2.1", False)  # noqa: FBT003


@st.composite
def formats(draw: st.DrawFn) -> PixelFormat:
    allocated = draw(st.sampled_from([8, 16, 16, 16, 32]))
    stored = draw(st.sampled_from([allocated, allocated, draw(st.integers(1, allocated))]))
    return replace(
        FORMAT,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=stored - 1,
        is_signed=draw(st.booleans()),
        padding=draw(st.none() | st.integers(-(2**15), 2**16 - 1)),
    )


def slowly(words: np.ndarray, pixels: PixelFormat, rule: Rescale) -> list[float | None]:
    """Return HU pixel by pixel in Python's numbers; None for padding."""
    found: list[float | None] = []
    for word in words.ravel().tolist():
        number = word % 2**pixels.bits_stored
        if pixels.is_signed and number >= 2 ** (pixels.bits_stored - 1):
            number -= 2**pixels.bits_stored
        is_padding = False
        if pixels.padding is not None:
            span = 2**pixels.bits_allocated
            value = pixels.padding % span
            signed = value - span if pixels.is_signed and value >= span // 2 else value
            is_padding = word == value or number == signed
        found.append(None if is_padding else (rule.slope or 0) * number + (rule.intercept or 0))
    return found


@given(
    formats(),
    st.sampled_from([1.0, 1.0, 2.0, -1.0, 0.5]),
    st.sampled_from([0.0, -1024.0, -1024.0, 40_000.0, 0.25]),
    st.data(),
)
def test_in_any_memory_as_slow_arithmetic(
    pixels: PixelFormat, slope: float, intercept: float, data: st.DataObject
) -> None:
    kind = np.dtype(f"u{pixels.bits_allocated // 8}")
    words = data.draw(arrays(kind, (3, 5)))
    rule = Rescale(slope, intercept, "HU", None)
    frame = Frame(Image(Path("x"), "1", "2", "3", "4", "5", "HFS", 1, pixels, None), 1, (), "", (), (), (), rule, ())
    expected = slowly(words, pixels, rule)
    real = [value for value in expected if value is not None]
    fits_short = all(value == int(value) and -(2**15) <= value < 2**15 for value in real)
    for out in (np.empty((3, 5), np.int16), np.empty((3, 5), np.float32)):
        for there in ("apart", "read-only", "in place"):
            if there == "in place" and out.itemsize != kind.itemsize:
                continue
            source = out.view(kind) if there == "in place" else words.copy()
            source[...] = words
            source.flags.writeable = there != "read-only"
            fits = put_hounsfield(source, frame, out)
            assert fits == (fits_short or out.dtype == np.float32)
            if fits:
                assert np.array_equal(
                    out.ravel(), np.array([-1024 if hu is None else hu for hu in expected], out.dtype)
                )
    event("short" if fits_short else "float")
