"""The values of a data set's elements, taken from their bytes: quick, and whatever value representation a file claims.

pydicom finds the elements; converting each of them by its rules costs more than reading the file, and fails on unknown
representations and on numbers that are written a little wrongly, of which real files are full.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from pydicom import Dataset

_LONG = {"TemporalPositionIndex"}
_BINARY = {
    "BitsAllocated",
    "BitsStored",
    "Columns",
    "FrameAcquisitionNumber",
    "HighBit",
    "PixelPaddingRangeLimit",
    "PixelPaddingValue",
    "PixelRepresentation",
    "Rows",
    "SamplesPerPixel",
    "TemporalPositionIndex",
}


class Header(Protocol):
    """A pydicom data set, or whatever else gives elements with `value` and `VR`."""

    def get_item(self, key: Any, /) -> Any:
        """Return the element with a tag, its value as bytes if possible; None when absent."""


def text(header: Header, name: str) -> str:
    """Return a value as text on one line, several joined by a backslash; empty when absent."""
    value = _value(header, name)
    if isinstance(value, bytes) and name in _BINARY:
        value = _number_in(value, header, name)
    if value is None:
        return ""
    if isinstance(value, bytes):
        written = value.decode("latin-1")
    elif isinstance(value, str) or not hasattr(value, "__iter__"):
        written = str(value)
    else:
        written = "\\".join(str(one) for one in value)
    parts = written.replace("\0", " ").split("\\")
    return "\\".join([" ".join(part.split()) for part in parts])


def texts(header: Header, name: str) -> tuple[str, ...]:
    """Return the values of an element as texts."""
    joined = text(header, name)
    return tuple(joined.split("\\")) if joined else ()


def integer(header: Header, name: str) -> int | None:
    """Return the first value as a whole number, None when absent or empty."""
    value = _value(header, name)
    if isinstance(value, bytes) and name in _BINARY:
        return _number_in(value, header, name)
    written = text(header, name).split("\\")[0]
    return int(float(written)) if written else None


def number(header: Header, name: str) -> float | None:
    """Return the value as a finite number, None when absent or empty."""
    return numbers(header, name, 1)[0] if text(header, name) else None


def numbers(header: Header, name: str, n: int) -> tuple[float, ...]:
    """Return exactly n finite numbers, or raise ValueError."""
    values = tuple(float(one) for one in texts(header, name))
    if name == "PixelSpacing" and not all(value > 0 for value in values):
        raise ValueError(f"PixelSpacing is {text(header, name)[:60]!r}; expected lengths above 0 mm")
    if len(values) != n or not all(abs(value) < 1e9 for value in values):
        raise ValueError(f"{name} is {text(header, name)[:60]!r}; expected {n} numbers")
    return values


def items(header: Header, name: str) -> list[Dataset]:
    """Return the items of a sequence, none when it is absent."""
    if header.get_item(tag(name)) is None:
        return []
    sequence = cast("Dataset", header).get(name)  # nothing else holds sequences
    return list(sequence) if sequence else []


def _value(header: Header, name: str) -> Any:
    """Return an element's value, as bytes when pydicom has not converted it yet; None when absent."""
    element = header.get_item(tag(name))
    return None if element is None else element.value


def _number_in(value: bytes, header: Header, name: str) -> int | None:
    """Return the first 16-bit number of an element, or its only 32-bit one."""
    if len(value) < 2:
        return None
    element = header.get_item(tag(name))
    is_little_endian = getattr(element, "is_little_endian", True)
    part = value if len(value) == 4 and name in _LONG else value[:2]
    return int.from_bytes(part, "little" if is_little_endian else "big", signed=element.VR == "SS")


@cache
def tag(name: str) -> Any:
    """Return the tag of an element by its keyword, or raise KeyError."""
    from pydicom.datadict import tag_for_keyword
    from pydicom.tag import Tag

    number = tag_for_keyword(name)
    if number is None:
        raise KeyError(name)
    return Tag(number)
