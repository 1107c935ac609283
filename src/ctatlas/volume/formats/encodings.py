"""How NRRD and MetaImage files write numbers: as bytes, compressed, or as text; all become streams of bytes."""

from __future__ import annotations

import bz2
import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np

from ctatlas.volume.formats import gzip_stream

_BLOCK_BYTES = 2**20
_LONGEST_NUMBER = 64  # letters


@dataclass(frozen=True, slots=True)
class Encoding:
    """One way to write numbers.

    Attributes
    ----------
    decoded : callable
        Takes a stream and the type of the numbers, returns a stream of their bytes.
    expands_at_most : int
        Bytes out per byte in.
    """

    decoded: Callable[[BinaryIO, np.dtype[Any]], BinaryIO]
    expands_at_most: int


class Pieces(io.RawIOBase):
    """A stream of the bytes that an iterator yields."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces, self._left = pieces, memoryview(b"")

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the next piece goes."""
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        n = min(len(buffer), len(self._left))
        buffer[:n] = self._left[:n]
        self._left = self._left[n:]
        return n


def one_after_another(streams: Iterator[BinaryIO]) -> BinaryIO:
    """Return several streams as one."""
    return cast("BinaryIO", Pieces(block for stream in streams for block in _blocks(stream)))


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(_BLOCK_BYTES):
        yield block


def _zlib(stream: BinaryIO) -> Iterator[bytes]:
    """Inflate a zlib stream block by block; what follows it is passed on as it is, for the reader to refuse."""
    inflate = zlib.decompressobj()
    while not inflate.eof:
        block = inflate.unconsumed_tail or stream.read(_BLOCK_BYTES)
        if not block:
            yield inflate.flush()
            if not inflate.eof:
                raise EOFError("the compressed data end early")
            return
        yield inflate.decompress(block, _BLOCK_BYTES)
    yield inflate.unused_data
    yield from _blocks(stream)


def _text(stream: BinaryIO, stored: np.dtype[Any]) -> Iterator[bytes]:
    """Turn numbers written in decimal, between blanks or commas, into bytes."""
    rest = b""
    for block in _blocks(stream):
        *words, rest = re.split(rb"[\s,]+", rest + block)
        if len(rest) > _LONGEST_NUMBER:
            raise ValueError("a number is too long")
        yield _numbers(words, stored)
    yield _numbers([rest], stored)


def _numbers(words: list[bytes], stored: np.dtype[Any]) -> bytes:
    """Return the bytes of numbers written in decimal; refuse what the type cannot hold."""
    number = float if stored.kind == "f" else int
    return np.array([number(word) for word in words if word], dtype=stored).tobytes()


def _hex(stream: BinaryIO) -> Iterator[bytes]:
    """Turn pairs of hexadecimal digits, blanks between them or not, into bytes."""
    odd = b""
    for block in _blocks(stream):
        digits = odd + b"".join(block.split())
        even = len(digits) // 2 * 2
        odd = digits[even:]
        yield bytes.fromhex(digits[:even].decode("ascii"))
    if odd:
        raise ValueError("an odd number of digits")


RAW = Encoding(lambda stream, _: stream, 1)
GZIP = Encoding(lambda stream, _: gzip_stream.decompressing(stream), gzip_stream.EXPANDS_AT_MOST)
ZLIB = Encoding(lambda stream, _: cast("BinaryIO", Pieces(_zlib(stream))), gzip_stream.EXPANDS_AT_MOST)
# A block of bzip2 holds up to 46 MB of one byte in 40 bytes.
BZIP2 = Encoding(lambda stream, _: cast("BinaryIO", bz2.BZ2File(stream)), 2**21)
TEXT = Encoding(lambda stream, stored: cast("BinaryIO", Pieces(_text(stream, stored))), 4)
HEX = Encoding(lambda stream, _: cast("BinaryIO", Pieces(_hex(stream))), 1)


def damage() -> tuple[type[Exception], ...]:
    """Return what reading damaged data raises, besides an `OSError` without a number from bzip2."""
    return (ValueError, OverflowError, *gzip_stream.damage())
