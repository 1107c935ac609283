"""How frames become the pixel data of a SEG."""

from __future__ import annotations

import numpy as np


class Bits:
    """Pixels as one stream of bits, lowest first; a frame need not end with a byte. Source: DICOM PS3.5 8.1.1, 8.2."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.rest = np.zeros(0, bool)

    def put(self, pixels: np.ndarray) -> None:
        """Add a frame, (rows, columns) bool."""
        bits = np.concatenate([self.rest, pixels.ravel().astype(bool)])
        whole = len(bits) // 8 * 8
        self.parts.append(np.packbits(bits[:whole], bitorder="little").tobytes())
        self.rest = bits[whole:]

    def joined(self) -> bytes:
        """Return the value of PixelData."""
        data = b"".join([*self.parts, np.packbits(self.rest, bitorder="little").tobytes()])
        return data + b"\0" * (len(data) % 2)


class RunLengths:
    """Frames of label numbers, run-length encoded: few bytes for labels, without loss, and old enough for everybody."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def put(self, pixels: np.ndarray) -> None:
        """Add a frame, (rows, columns) uint8 or uint16."""
        from pydicom.pixels.encoders.base import get_encoder
        from pydicom.uid import RLELossless

        rows, columns = pixels.shape
        bits = pixels.dtype.itemsize * 8
        self.parts.append(
            get_encoder(RLELossless).encode(
                np.ascontiguousarray(pixels),
                rows=rows,
                columns=columns,
                number_of_frames=1,
                samples_per_pixel=1,
                bits_allocated=bits,
                bits_stored=bits,
                pixel_representation=0,
                photometric_interpretation="MONOCHROME2",
                encoding_plugin="pydicom",  # named, so that equal frames give equal bytes everywhere
            )
        )

    def joined(self) -> bytes:
        """Return the value of PixelData."""
        from pydicom.encaps import encapsulate

        return encapsulate(self.parts)
