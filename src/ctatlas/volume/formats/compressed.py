"""Whole-file compression, known by its first bytes: gzip, bzip2, xz."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import BinaryIO, cast

from ctatlas.volume.formats import gzip_stream

_MAGIC: dict[bytes, tuple[str, Callable[[BinaryIO], BinaryIO]]] = {
    gzip_stream.MAGIC: ("gzip", gzip_stream.decompressing),
    b"BZh": ("bzip2", lambda file: cast("BinaryIO", bz2.BZ2File(file))),
    b"\xfd7zXZ\0": ("xz", lambda file: cast("BinaryIO", lzma.LZMAFile(file))),  # noqa: SIM115 - its user closes the file
}


def compression_of(block: bytes) -> str:
    """Return ``"gzip"``, ``"bzip2"`` or ``"xz"`` for a file's first bytes, or nothing."""
    return next((name for magic, (name, _) in _MAGIC.items() if block.startswith(magic)), "")


def decompressed(file: BinaryIO) -> BinaryIO:
    """Return a stream of what a file at its beginning holds, decompressed as it is read; itself if not compressed."""
    block = file.read(6)
    file.seek(0)
    opening = next((opening for magic, (_, opening) in _MAGIC.items() if block.startswith(magic)), None)
    return opening(file) if opening else file


def damage() -> tuple[type[Exception], ...]:
    """Return what reading cut or damaged data raises; bzip2 also raises an `OSError` without a number."""
    return (EOFError, zlib.error, lzma.LZMAError, MemoryError, *gzip_stream.damage())
