"""The values of a data set's elements, taken from their bytes: quick, and whatever value representation a file claims.

pydicom finds the elements; converting each of them by its rules costs more than reading the file, and fails on unknown
representations and on numbers that are written a little wrongly, of which real files are full.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

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


def text(dataset: Dataset, name: str) -> str:
    """Return a value as text on one line, several joined by a backslash; empty when absent."""
    value = _value(dataset, name)
    if value is None:
        return ""
    if isinstance(value, bytes):
        written = value.decode("latin-1") if name not in _BINARY else str(_number_in(value, dataset, name))
    elif isinstance(value, str) or not hasattr(value, "__iter__"):
        written = str(value)
    else:
        written = "\\".join(str(one) for one in value)
    parts = written.replace("\0", " ").split("\\")
    return "\\".join([" ".join(part.split()) for part in parts])


def texts(dataset: Dataset, name: str) -> tuple[str, ...]:
    """Return the values of an element as texts."""
    joined = text(dataset, name)
    return tuple(joined.split("\\")) if joined else ()


def integer(dataset: Dataset, name: str) -> int | None:
    """Return the first value as a whole number, None when absent or empty."""
    value = _value(dataset, name)
    if isinstance(value, bytes) and name in _BINARY:
        return _number_in(value, dataset, name)
    written = text(dataset, name).split("\\")[0]
    return int(float(written)) if written else None


def number(dataset: Dataset, name: str) -> float | None:
    """Return the value as a finite number, None when absent or empty."""
    return numbers(dataset, name, 1)[0] if text(dataset, name) else None


def numbers(dataset: Dataset, name: str, n: int) -> tuple[float, ...]:
    """Return exactly n finite numbers, or raise ValueError."""
    values = tuple(float(one) for one in texts(dataset, name))
    if name == "PixelSpacing" and not all(value > 0 for value in values):
        raise ValueError(f"PixelSpacing is {text(dataset, name)[:60]!r}; expected lengths above 0 mm")
    if len(values) != n or not all(abs(value) < 1e9 for value in values):
        raise ValueError(f"{name} is {text(dataset, name)[:60]!r}; expected {n} numbers")
    return values


def items(dataset: Dataset, name: str) -> list[Dataset]:
    """Return the items of a sequence, none when it is absent."""
    sequence = dataset.get(name)
    return list(sequence) if sequence else []


def _value(dataset: Dataset, name: str) -> Any:
    """Return an element's value, as bytes when pydicom has not converted it yet; None when absent."""
    element = dataset.get_item(_tag(name))
    return None if element is None else element.value


def _number_in(value: bytes, dataset: Dataset, name: str) -> int | None:
    """Return the first 16-bit number of an element, or its only 32-bit one."""
    if len(value) < 2:
        return None
    element = dataset.get_item(_tag(name))
    is_little_endian = getattr(element, "is_little_endian", True)
    part = value if len(value) == 4 and name in _LONG else value[:2]
    return int.from_bytes(part, "little" if is_little_endian else "big", signed=element.VR == "SS")


@cache
def _tag(name: str) -> Any:
    from pydicom.datadict import tag_for_keyword
    from pydicom.tag import Tag

    tag = tag_for_keyword(name)
    if tag is None:
        raise KeyError(name)
    return Tag(tag)
