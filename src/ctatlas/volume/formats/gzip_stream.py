"""Gzip streams at CT size: isal's igzip, ten times as fast as zlib, in one place because it is untyped."""

from __future__ import annotations

import os
import zlib
from importlib import import_module
from typing import Any, BinaryIO, cast

MAGIC = b"\x1f\x8b"
EXPANDS_AT_MOST = 1032  # bytes out per byte in. Source: zlib's technical details, "maximum compression factor"
_LEVEL = 2  # about the size of zlib's level 1. Source: reference/volumes.md §1
_BLOCK_BYTES = 2**20  # compressed by one thread at a time; a constant, so that equal content gives equal bytes
_THREADS_AT_MOST = 4  # a disk takes no more


def decompressing(file: BinaryIO) -> BinaryIO:
    """Return a stream of what a gzip file holds, decompressed as it is read."""
    return cast("BinaryIO", _igzip().GzipFile(fileobj=file, mode="rb"))


def compressing(file: BinaryIO) -> BinaryIO:
    """Return a stream that compresses into a file; close it before the file.

    The header bears no name and no time, so that equal content gives equal bytes and tells nothing about where it was.
    """
    return cast("BinaryIO", _igzip().GzipFile(filename="", fileobj=file, mode="wb", compresslevel=_LEVEL, mtime=0))


def compressing_scan(file: BinaryIO) -> BinaryIO:
    """Return a stream that compresses into a file on several processors, which pays for HU but not for masks.

    The bytes are those of one gzip member, and the same however many processors there are.
    """
    threads = min(_THREADS_AT_MOST, os.cpu_count() or 1)
    threaded = import_module("isal.igzip_threaded").open
    return cast("BinaryIO", threaded(file, "wb", _LEVEL, threads=threads, block_size=_BLOCK_BYTES))


def deflating() -> Any:
    """Return a compressor of a zlib stream, as MetaImage has it: `compress(bytes)` and at the end `flush()`."""
    return import_module("isal.isal_zlib").compressobj(level=_LEVEL)


def damage() -> tuple[type[Exception], ...]:
    """Return the exceptions that reading cut or damaged gzip data raises."""
    return EOFError, zlib.error, _igzip().BadGzipFile, import_module("isal.isal_zlib").error


def _igzip() -> Any:
    return import_module("isal.igzip")
