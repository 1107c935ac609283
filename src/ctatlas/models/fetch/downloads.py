"""A file from a server to the disk: goes on where it was cut, and is either whole and the right one or not there."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ctatlas.errors import InstallError, ModelError, OutputError
from ctatlas.hashing import sha256_file
from ctatlas.models.fetch.address import Address
from ctatlas.models.fetch.connection import Answer, CutError, ask
from ctatlas.models.fetch.first_bytes import N_BYTES, first_bytes, refuse_stand_in
from ctatlas.models.fetch.parts import Part, agree, begun, total_of
from ctatlas.progress import SILENT, Progress
from ctatlas.settings import settings

AT_MOST_BYTES = 64 * 1024**3
PATIENCE = 6  # attempts in a row that bring next to nothing
PATIENCE_FOR_NOTHING = 3  # where not one byte has come
WAIT_S = 1.0  # after the first of them; twice as long after each more
SLOWEST_BYTES, WITHIN_S = 60_000, 60.0  # what brings less in that time is taken for cut
_STEP = 1024**2
_PROGRESS_BYTES = 1024**2  # an attempt that brought so much was worth another
_SPARE_BYTES = 64 * 1024**2  # left free on the disk
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a file before it is asked for."""

    sha256: str = ""
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Got:
    """What was fetched; `revision` is the commit that the hub took it from, where it tells."""

    path: Path
    sha256: str
    bytes: int
    revision: str


def download(
    address: Address, folder: Path, *, expected: Expected | None = None, progress: Progress = SILENT, name: str = ""
) -> Got:
    """Fetch a file into a folder under its name, going on with what an earlier call began.

    What is begun lies in `<file>.part` until it is whole; whoever calls keeps others away from the folder.

    Parameters
    ----------
    address : Address
    folder : Path
        Made when missing.
    expected : Expected, optional
        The hash and the size, as far as they are known; what the server says of them counts beside.
    progress : Progress, optional
        Hears of megabytes.
    name : str, optional
        What to call it there.

    Raises
    ------
    ModelError
        When the server has no such file, gives something else, or can't be reached although asked several times.
    InstallError
        When no connection may be opened.
    OutputError
        When there is no room for it, or no permission.
    """
    if settings().offline:
        raise InstallError(
            f"{address.said}: no connection is opened while 'offline' is set (CTATLAS_OFFLINE); "
            "get the file elsewhere and give it to 'ctatlas models import'"
        )
    known = expected or Expected()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = begun(folder / f"{address.file}.part", address)
        _fetch(part, address, known, _Meter(progress, name or address.file))
        return _finished(part, folder / address.file, address, known)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        what = "the disk is full; what came is kept, make room and call again" if full else error.strerror
        raise OutputError(f"{folder}: can't be written to: {what}") from None


def _fetch(part: Part, address: Address, known: Expected, meter: _Meter) -> None:
    """Ask until all is there."""
    idle, wait_s, best = 0, WAIT_S, part.size
    while True:
        try:
            if _one_attempt(part, address, known, meter):
                return
            reason = f"it ended at {part.size:,} of {part.total:,} bytes"
        except CutError as cut:
            reason = str(cut)
        if part.size - best >= _PROGRESS_BYTES:
            idle, wait_s, best = 0, WAIT_S, part.size
            continue
        idle += 1
        if idle >= (PATIENCE if part.size else PATIENCE_FOR_NOTHING):
            kept = f"; {part.size:,} bytes are kept, call again to go on" if part.size else ""
            host = urlsplit(address.url).hostname
            raise ModelError(f"{address.said}: {host}: {reason}, {idle} times in a row{kept}")
        time.sleep(wait_s)
        wait_s *= 2


def _one_attempt(part: Part, address: Address, known: Expected, meter: _Meter) -> bool:
    """Write down what one connection gives; tell whether the file is whole then."""
    if part.total is not None and part.size == part.total:
        return True
    # Only what can be told from another state of the file is gone on with.
    begin = part.size if part.stamp or part.sha256 or known.sha256 else 0
    answer = ask(address, begin=begin, stamp=part.stamp)
    try:
        if answer.status == 416 and total_of(answer) == part.size:  # it is whole: the server hadn't said how long it is
            part.total = part.size
            return True
        begin = agree(part, answer, begin, known.bytes)
        _refuse_what_is_no_file(answer, address)
        _refuse_size(part, begin, address, known)
        part.remember()
        meter.start(begin, part.total)
        _write(part, answer, begin, address, meter)
    except ModelError:
        part.forget()
        raise
    finally:
        answer.body.close()
    return part.total is None or part.size == part.total


def _write(part: Part, answer: Answer, begin: int, address: Address, meter: _Meter) -> None:
    most = part.total if part.total is not None else AT_MOST_BYTES
    with part.path.open("r+b" if begin else "wb") as file:
        file.seek(begin)
        file.truncate()
        at = begin
        for piece in _pieces(answer):
            if at == 0:
                refuse_stand_in(Path(address.file), piece[:N_BYTES])
            file.write(piece)
            at += len(piece)
            meter.add(len(piece))
            if at > most:
                raise ModelError(f"{address.said}: gives more than the {most:,} bytes it said")


def _refuse_what_is_no_file(answer: Answer, address: Address) -> None:
    kind = answer.headers.get_content_type()
    if kind in {"text/html", "application/xhtml+xml"}:
        refuse_stand_in(Path(address.file), b"<")
    packed = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if packed not in {"", "identity"}:
        raise ModelError(f"{address.said}: comes packed as {packed}, which was not asked for; its length can't be told")


def _refuse_size(part: Part, begin: int, address: Address, known: Expected) -> None:
    if part.total is None:
        return
    if known.bytes is not None and part.total != known.bytes:
        raise ModelError(f"{address.said}: {part.total:,} bytes, its card says {known.bytes:,}: it is another file")
    if part.total > AT_MOST_BYTES:
        raise ModelError(f"{address.said}: {part.total:,} bytes; at most {AT_MOST_BYTES:,} are fetched")
    free = shutil.disk_usage(part.path.parent).free - _SPARE_BYTES
    if part.total - begin > free:
        raise OutputError(
            f"{part.path.parent}: {address.file} needs {(part.total - begin) / _MB:,.0f} MB more, "
            f"{max(free, 0) / _MB:,.0f} MB are free; make room, or set CTATLAS_HOME to a larger disk"
        )


def _pieces(answer: Answer) -> Iterator[bytes]:
    """Hand out what comes; a server that trickles is taken for cut."""
    began, came = time.monotonic(), 0
    while True:
        try:
            piece = answer.body.read1(_STEP)
        except TimeoutError:
            raise CutError("the server says nothing") from None
        except (OSError, EOFError, ValueError) as error:
            raise CutError(str(error) or "the connection broke") from None
        except Exception as error:  # noqa: BLE001  http.client has errors of its own for answers that end early
            raise CutError(f"the answer ended early ({type(error).__name__})") from None
        if not piece:
            return
        yield piece
        came += len(piece)
        if (now := time.monotonic()) - began > WITHIN_S:
            if came < SLOWEST_BYTES:
                raise CutError(f"{came:,} bytes in {now - began:.0f} s")
            began, came = now, 0


def _finished(part: Part, target: Path, address: Address, known: Expected) -> Got:
    """Compare the whole file with what is known of it, and give it its name."""
    try:
        refuse_stand_in(Path(address.file), first_bytes(part.path))
    except ModelError:
        part.forget()
        raise
    size, found = part.size, sha256_file(part.path)
    for source, wanted in (("its card", known.sha256), ("the hub", part.sha256)):
        if wanted and found != wanted:
            part.forget()
            raise ModelError(
                f"{address.said}: sha256 is {found[:12]}…, {source} says {wanted[:12]}…: damaged on its way or another "
                "version; the file was removed"
            )
    if known.bytes is not None and size != known.bytes:
        part.forget()
        raise ModelError(f"{address.said}: {size:,} bytes, its card says {known.bytes:,}; the file was removed")
    with part.path.open("rb") as file:
        os.fsync(file.fileno())
    part.path.replace(target)
    part.forget()
    return Got(target, found, size, part.revision)


class _Meter:
    """Turn bytes into megabytes for whoever listens."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress, self._name, self._bytes = progress, name, 0

    def start(self, begin: int, total: int | None) -> None:
        """Begin, or begin again, at a byte."""
        self._bytes = begin
        self._progress.stage(f"{self._name} (MB)", -(-(total or 0) // _MB))
        self._progress.advance(begin // _MB)

    def add(self, n: int) -> None:
        """Count bytes."""
        before = self._bytes // _MB
        self._bytes += n
        if steps := self._bytes // _MB - before:
            self._progress.advance(steps)
