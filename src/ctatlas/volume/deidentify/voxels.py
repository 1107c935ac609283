"""Voxels from one file into another, never more than the header says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import BinaryIO

from ctatlas.errors import ScanError
from ctatlas.volume.formats import gzip_stream
from ctatlas.volume.limits import AT_MOST_ALONG_AXIS, AT_MOST_ARRAY_BYTES

Beside = Callable[[str], BinaryIO]  # opens a file of that name in the folder of the header

DAMAGED = "can't be read to its end, or has compressed data that are cut off or damaged"
_PIECE_BYTES = 2**22
_ROOM_BYTES = 2**20  # read at most to say that something followed the voxels


@dataclass(slots=True)
class Stripped:
    """A header without text, and where its voxels are.

    Attributes
    ----------
    header : bytes
    stream : binary file
        Stands at the first voxel, decompressed.
    n_bytes : int
        Of all voxels.
    whole_is_packed, voxels_are_packed : bool
        What to compress in the new file: everything, or only the voxels.
    emptied, removed : list of str
        Fields that held something.
    """

    header: bytes
    stream: BinaryIO
    n_bytes: int
    whole_is_packed: bool = False
    voxels_are_packed: bool = False
    emptied: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def deeds(self) -> dict[str, str]:
        """Return the cells of the log."""
        cells = {"removed": " ".join(sorted(self.removed)), "emptied": " ".join(sorted(self.emptied))}
        return {deed: names for deed, names in cells.items() if names}


def check_size(sizes: list[int], itemsize: int) -> int:
    """Return the number of bytes of an array, or refuse one that no scan has.

    Raises
    ------
    ScanError
    """
    n_bytes = prod(sizes) * itemsize
    if not sizes or any(not 1 <= n <= AT_MOST_ALONG_AXIS for n in sizes) or n_bytes > AT_MOST_ARRAY_BYTES:
        raise ScanError("has a header that claims more voxels than a scan can have, or none")
    return n_bytes


def unreadable() -> tuple[type[Exception], ...]:
    """Return what reading a file raises that is cut off, damaged or on a bad disk."""
    return OSError, *gzip_stream.damage()


def copy_voxels(image: Stripped, out: BinaryIO) -> None:
    """Write the new header and exactly the voxels; what follows them in the old file stays behind.

    Raises
    ------
    ScanError
        When there are fewer.
    """
    if image.whole_is_packed:
        with gzip_stream.compressing(out) as packed:
            packed.write(image.header)
            _copy(image, packed)
        return
    out.write(image.header)
    if image.voxels_are_packed:
        with gzip_stream.compressing(out) as packed:
            _copy(image, packed)
    else:
        _copy(image, out)


def _copy(image: Stripped, out: BinaryIO) -> None:
    left = image.n_bytes
    while left:
        piece = _read(image.stream, min(left, _PIECE_BYTES))
        if not piece:
            raise ScanError("has fewer voxels than its header says; the file is cut off")
        out.write(piece)
        left -= len(piece)
    if _read(image.stream, _ROOM_BYTES):
        image.removed.append("bytes-after-voxels")


def _read(stream: BinaryIO, n_bytes: int) -> bytes:
    """Read from the old file; what goes wrong with it must not look like a fault of the new one."""
    try:
        return stream.read(n_bytes)
    except unreadable():
        raise ScanError(DAMAGED) from None
