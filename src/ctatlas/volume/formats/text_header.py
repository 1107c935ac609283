"""The numbers behind a text header, as NRRD and MetaImage have them: in the same file or in others beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ctatlas.errors import ScanError
from ctatlas.volume.formats.detached import beside
from ctatlas.volume.formats.encodings import RAW, Encoding, damage, one_after_another
from ctatlas.volume.formats.voxels import StoredImage, check_can_hold, cut_off, skip

_LONGEST_LINE = 2**20
_BEFORE_LAST_BYTES = 2**26


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where the numbers of an image are, and how they are written.

    Attributes
    ----------
    files : sequence of str
        Names of the files with the numbers; none when they follow the header.
    line_skip : int
        Lines to pass over in each file, before it is decompressed.
    byte_skip : int
        Bytes to pass over in each file, after it is decompressed; -1: the numbers are its last bytes.
    """

    image: StoredImage
    encoding: Encoding
    files: Sequence[str] = ()
    line_skip: int = 0
    byte_skip: int = 0


def stream_of(numbers: Numbers, header: BinaryIO, path: Path) -> BinaryIO:
    """Return a stream at the first number; refuse what the files cannot hold.

    `header` is the file at `path`, read to the end of its header.
    """
    image, expands = numbers.image, numbers.encoding.expands_at_most
    if not numbers.files:
        check_can_hold(image, path.stat().st_size, expands, path.name)
        return _at_numbers(header, numbers, image.n_bytes, path.name)
    places = [beside(path, name) for name in numbers.files]
    check_can_hold(image, sum(place.stat().st_size for place in places), expands, path.name)
    return one_after_another(_opened_in_turn(places, numbers, path.name))


@contextmanager
def said_in_a_line(path: Path) -> Iterator[None]:
    """Turn what may go wrong while reading into one line."""
    try:
        yield
    except ScanError:
        raise
    except damage() as error:
        raise ScanError(f"{path.name}: its voxels are cut off or damaged ({error}); copy the file anew.") from error
    except OSError as error:
        raise ScanError(f"{path.name}: cannot be read: {error.strerror or error}.") from error


def _opened_in_turn(places: list[Path], numbers: Numbers, where: str) -> Iterator[BinaryIO]:
    """Yield the numbers of one file after another, each open only while it is read."""
    for place in places:
        with place.open("rb") as file:
            yield _at_numbers(file, numbers, numbers.image.n_bytes // len(places), where)


def _at_numbers(file: BinaryIO, numbers: Numbers, n_bytes: int, where: str) -> BinaryIO:
    """Return a stream at the first of `n_bytes` bytes of numbers."""
    for _ in range(numbers.line_skip):
        if not file.readline(_LONGEST_LINE):
            raise cut_off(numbers.image, where)
    if numbers.byte_skip == -1:
        return _last_bytes(file, numbers, n_bytes, where)
    stream = numbers.encoding.decoded(file, numbers.image.stored)
    skip(stream, numbers.byte_skip)
    return stream


def _last_bytes(file: BinaryIO, numbers: Numbers, n_bytes: int, where: str) -> BinaryIO:
    """Return a stream of the last bytes; of compressed data their number is counted in a first pass."""
    start = file.tell()
    if numbers.encoding is RAW:
        total = file.seek(0, 2) - start
    else:
        counted, total = numbers.encoding.decoded(file, numbers.image.stored), 0
        while block := counted.read(2**20):
            total += len(block)
            if total > n_bytes + _BEFORE_LAST_BYTES:
                raise ScanError(f"{where}: goes on for more than 64 MiB before its voxels. The header is broken.")
    if total < n_bytes:
        raise cut_off(numbers.image, where)
    file.seek(start)
    stream = numbers.encoding.decoded(file, numbers.image.stored)
    skip(stream, total - n_bytes)
    return stream
