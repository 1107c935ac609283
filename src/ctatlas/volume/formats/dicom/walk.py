"""The header of an ordinary DICOM file, found without pydicom, which takes longer for it than reading the pixels does.

Ordinary is what pydicom reads in the same way without a second thought: a preamble, little endian, known
representations, lengths that add up. Whatever else a file does, `walked` gives None, and pydicom decides.
Source: DICOM PS3.5 §7; pydicom 3.0.2, which is the oracle in the tests.
"""

from __future__ import annotations

import os
import re
import struct
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ctatlas.volume.formats.dicom import elements
from ctatlas.volume.formats.dicom.files import BIG_ENDIAN, DEFLATED, IMPLICIT, MEDIA_DIRECTORY, DicomFile, PixelPlace
from ctatlas.volume.limits import AT_MOST_SLICE_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_FIRST_BYTES, _MORE_BYTES = 2**14, 2**20  # most headers fit into the first
_AT_MOST_DEPTH = 16
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # two bytes of nothing, four of length
_EXPLICIT, _IMPLICIT, _LENGTH = (struct.Struct(form).unpack_from for form in ("<HH2sH", "<HHI", "<I"))
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END, _DELIMITERS = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0xFFFE
_MEDIA_CLASS, _SYNTAX, _CHARACTER_SET, _SOP_CLASS, _PIXELS = 0x00020002, 0x00020010, 0x00080005, 0x00080016, 0x7FE00010
_PIXELS_OF_ANY_KIND = range(0x7FE00008, 0x7FE10000)
_KNOWN_SYNTAX = re.compile(rb"1\.2\.840\.10008\.1\.2(\.[0-9]+)*")
_KNOWN_CHARACTER_SET = re.compile(rb"[A-Z0-9_ \\]*")


class Element(NamedTuple):
    """A value as it stands in the file, None if empty."""

    value: bytes | None
    VR: str


class Elements:
    """What was found of a header; it is asked as a pydicom data set is, and holds no sequence."""

    def __init__(self, found: Mapping[int, Element]) -> None:
        self.get_item = found.get


class _UnusualError(Exception):
    """Never seen outside."""


def walked(path: Path, names: tuple[str, ...]) -> DicomFile[Elements] | None:
    """Read the named elements of a file, up to its pixels; None where pydicom must be asked."""
    data = b""
    with suppress(OSError, _UnusualError), path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size > AT_MOST_SLICE_FILE_BYTES:
            return None
        for n_bytes in (_FIRST_BYTES, _MORE_BYTES):
            data += file.read(n_bytes)
            with suppress(EOFError, struct.error):  # the header goes on
                return _file(path, data, names)
    return None


def _file(path: Path, data: bytes, names: tuple[str, ...]) -> DicomFile[Elements]:
    """Read a header from the beginning of a file."""
    if data[128:132] != b"DICM":
        raise _UnusualError
    syntax, start = _meta(data)
    header, place = _header(data, start, _wanted(names), is_implicit=syntax == IMPLICIT)
    return DicomFile(path, header, syntax, is_media_directory=False, pixels=place)


@cache
def _wanted(names: tuple[str, ...]) -> Mapping[int, Any]:
    """Return tags by their numbers; None for those of sequences, which are left to pydicom."""
    return {int(tag): None if _is_sequence(tag) else tag for tag in map(elements.tag, names)}


@cache
def _is_sequence(tag: int) -> bool:
    """Tell whether an element of undefined length is a sequence, if its file does not say; private ones are."""
    from pydicom.datadict import dictionary_VR

    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:
        return True


def _meta(data: bytes) -> tuple[str, int]:
    """Return the transfer syntax, and where the data set begins."""
    said, at = {_MEDIA_CLASS: (b"UI", b""), _SYNTAX: (b"", b"")}, 132
    while data[at : at + 2] == b"\2\0":
        tag, kind, start, length = next(_elements(data, at, len(data), is_implicit=False))
        at = start + length
        said[tag] = kind, data[start:at].rstrip(b"\0 ")
    (class_kind, media_class), (kind, syntax) = said[_MEDIA_CLASS], said[_SYNTAX]
    if not class_kind == kind == b"UI" or media_class == MEDIA_DIRECTORY.encode() or b"\\" in media_class:
        raise _UnusualError
    if not _KNOWN_SYNTAX.fullmatch(syntax) or syntax.decode() in (BIG_ENDIAN, DEFLATED):
        raise _UnusualError
    return syntax.decode(), at


def _header(data: bytes, at: int, wanted: Mapping[int, Any], *, is_implicit: bool) -> tuple[Elements, PixelPlace]:
    """Return the wanted elements of a data set, and where its pixels lie."""
    first_kind = data[at + 4 : at + 6]
    if (first_kind.isalpha() and first_kind.isupper()) == is_implicit:  # so pydicom tells whom to believe
        raise _UnusualError
    found: dict[int, Element] = {}
    for tag, kind, start, length in _elements(data, at, len(data), is_implicit=is_implicit):
        if tag in wanted:
            if wanted[tag] is None or kind == b"SQ" or length == _UNDEFINED:
                raise _UnusualError
            found[wanted[tag]] = Element(data[start : start + length] or None, kind.decode())
        elif tag in _PIXELS_OF_ANY_KIND:
            if tag != _PIXELS or kind not in (b"OW", b"OB", b"") or not found.get(_SOP_CLASS, (None,))[0]:
                raise _UnusualError
            n_bytes = None if length == _UNDEFINED else length
            return Elements(found), PixelPlace(start, n_bytes, is_little_endian=True, is_deflated=False)
    raise EOFError


def _elements(
    data: bytes, at: int, end: int, *, is_implicit: bool, depth: int = 0
) -> Iterator[tuple[int, bytes, int, int]]:
    """Yield tag, representation (none if implicit), beginning and length of each value; in an item, its end, too."""
    kind = b""
    while at != end:
        start = at + 8
        if is_implicit:
            group, number, length = _IMPLICIT(data, at)
        else:
            group, number, kind, length = _EXPLICIT(data, at)
            if kind in _LONG:
                (length,) = _LENGTH(data, start)
                start += 4
            elif kind not in _SHORT and group != _DELIMITERS:
                raise _UnusualError
        tag = group << 16 | number
        if group == _DELIMITERS and (tag != _ITEM_END or any(data[at + 4 : start]) or not depth):
            raise _UnusualError
        if tag == _CHARACTER_SET:
            _check_character_set(kind, data[start : start + length])
        yield tag, kind, start, length
        at = start + length
        if length == _UNDEFINED and (kind == b"SQ" or (is_implicit and _is_sequence(tag))):
            at = _after_items(data, start, end, is_implicit=is_implicit, depth=depth + 1)
        if at > end:
            raise EOFError


def _check_character_set(kind: bytes, said: bytes) -> None:
    """Leave to pydicom what it might not know."""
    if kind not in (b"CS", b"") or not _KNOWN_CHARACTER_SET.fullmatch(said):
        raise _UnusualError


def _after_items(data: bytes, at: int, end: int, *, is_implicit: bool, depth: int) -> int:
    """Return where a sequence of undefined length ends."""
    while depth <= _AT_MOST_DEPTH:
        group, number, length = _IMPLICIT(data, at)
        tag, at = group << 16 | number, at + 8
        if tag == _SEQUENCE_END and not length:
            return at
        if tag != _ITEM:
            break
        stop = end if length == _UNDEFINED else at + length
        inside = _elements(data, at, stop, is_implicit=is_implicit, depth=depth)
        item_end = next((start for tag, _, start, _ in inside if tag == _ITEM_END), None)
        if (item_end is None) == (length == _UNDEFINED):
            break
        at = stop if item_end is None else item_end
    raise _UnusualError
