"""Contours as the bytes of a DICOM sequence in Implicit VR Little Endian.

A structure set has thousands of contours. pydicom makes objects of each element of each of them, and of each number,
which takes minutes; the bytes themselves take no time. Source: DICOM PS3.5 §7.1.3, §7.5.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from pydicom import Dataset

_ITEM = (0xFFFE, 0xE000)
_CONTOUR_IMAGE_SEQUENCE = (0x3006, 0x0016)
_GEOMETRIC_TYPE = (0x3006, 0x0042)
_NUMBER_OF_POINTS = (0x3006, 0x0046)
_CONTOUR_DATA = (0x3006, 0x0050)
_SOP_CLASS = (0x0008, 0x1150)
_SOP_INSTANCE = (0x0008, 0x1155)
_FRAME_NUMBER = (0x0008, 0x1160)


def contour_item(points_mm: np.ndarray, image: bytes) -> bytes:
    """Return a closed line, (n, 3) LPS mm, on an image from `image_sequence`, as an item of ContourSequence."""
    data = "\\".join(map(decimal_text, points_mm.ravel().tolist()))
    return _element(
        _ITEM,
        image
        + _text(_GEOMETRIC_TYPE, "CLOSED_PLANAR")
        + _text(_NUMBER_OF_POINTS, str(len(points_mm)))
        + _text(_CONTOUR_DATA, data),
    )


def image_sequence(reference: Dataset) -> bytes:
    """Return the image that a contour lies on, as a ContourImageSequence."""
    parts = _uid(_SOP_CLASS, reference.ReferencedSOPClassUID) + _uid(_SOP_INSTANCE, reference.ReferencedSOPInstanceUID)
    if "ReferencedFrameNumber" in reference:
        parts += _text(_FRAME_NUMBER, str(reference.ReferencedFrameNumber))
    return _element(_CONTOUR_IMAGE_SEQUENCE, _element(_ITEM, parts))


def decimal_text(number: float) -> str:
    """Write a coordinate in at most 16 characters, as VR DS demands, to a tenth of a micrometre.

    >>> decimal_text(-123.45678901234567), decimal_text(2.5), decimal_text(-0.00001)
    ('-123.4568', '2.5', '0')
    """
    text = f"{number:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _element(tag: tuple[int, int], value: bytes) -> bytes:
    return struct.pack("<HHI", *tag, len(value)) + value


def _text(tag: tuple[int, int], text: str) -> bytes:
    return _element(tag, text.encode("ascii") + b" " * (len(text) % 2))


def _uid(tag: tuple[int, int], uid: str) -> bytes:
    return _element(tag, uid.encode("ascii") + b"\0" * (len(uid) % 2))
