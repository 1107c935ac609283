"""Unpack zip and tar archives from strangers: nothing leaves the folder, no link, no flood, no file over another.

Source: reference/volumes.md §9, what Python's own `extractall` lets through.
"""

from __future__ import annotations

import errno
import shutil
import stat
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from ctatlas.errors import OutputError, ScanError
from ctatlas.volume.formats import compressed
from ctatlas.volume.formats.recognise import kind_of
from ctatlas.volume.limits import (
    AT_MOST_ARCHIVE_MEMBERS,
    AT_MOST_BETWEEN_MEMBERS_BYTES,
    AT_MOST_DIRECTORY_BYTES,
    AT_MOST_FILE_BYTES,
    AT_MOST_UNPACKED_BYTES,
    FREE_AFTER_UNPACKING_BYTES,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_BLOCK_BYTES = 2**20
_DETACHED = (".nhdr", ".mhd", ".hdr")  # headers whose voxels lie in another file beside them
_END_OF_ZIP = b"PK\x05\x06"
_END_OF_ZIP64 = b"PK\x06\x06"
_END_OF_ZIP_BYTES = 22 + 65535  # with the longest remark
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_DAMAGE: tuple[type[Exception], ...] = (
    *compressed.damage(),
    zipfile.BadZipFile,
    tarfile.TarError,
    IndexError,
    RecursionError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class _Member:
    """A plain file in an archive: its name as it stands there, the size it claims, and how to read it."""

    name: str
    size: int
    open: Callable[[], AbstractContextManager[BinaryIO]]


@dataclass(slots=True)
class _Room:
    """What was unpacked so far, out of one archive and those inside it."""

    n_members: int = 0
    n_bytes: int = 0
    names: set[str] = field(default_factory=set)

    def take(self, member: _Member, folder: Path, where: str) -> None:
        """Count a member in, or refuse the archive because of it."""
        self.n_members += 1
        self.n_bytes += member.size
        if self.n_members > AT_MOST_ARCHIVE_MEMBERS:
            raise _too_many(where)
        if member.size > AT_MOST_FILE_BYTES or self.n_bytes > AT_MOST_UNPACKED_BYTES:
            raise ScanError(
                f"{where}: unpacks to more than {AT_MOST_UNPACKED_BYTES / 2**30:.0f} GiB, or a file in it to more than "
                f"{AT_MOST_FILE_BYTES / 2**30:.0f} GiB; unpack it and give the folder."
            )
        if shutil.disk_usage(folder).free < member.size + FREE_AFTER_UNPACKING_BYTES:
            raise OutputError(
                f"{where}: the disk of temporary files has no room to unpack it; make room, or set TMPDIR to a folder "
                "on another disk."
            )


def is_archive(path: Path) -> bool:
    """Tell by its content whether a file is an archive that is unpacked.

    Raises
    ------
    OSError
        When the file cannot be read.
    """
    return path.is_file() and kind_of(path) in _MEMBERS


def unpack(path: Path, folder: Path, only: str = "") -> None:
    """Unpack an archive into an existing empty folder; archives inside become folders of their name, one level deep.

    Parameters
    ----------
    path : Path
        A zip, or a tar that may be compressed with gzip, bzip2 or xz.
    folder : Path
    only : str, optional
        A file or folder in the archive that is wanted alone, as a path below `folder`; "." is the whole.

    Raises
    ------
    ScanError
        When the archive is damaged, encrypted or too large, or holds links, devices, two files of one name, or names
        that lead out of the folder.
    OutputError
        When the disk is full.
    """
    room = _Room()
    _unpack(path, folder, only, room, path.name)
    for inner in [file for file in sorted(folder.rglob("*")) if is_archive(file)]:
        below = inner.with_name(f"{inner.name}.unpacking")
        below.mkdir()
        name = inner.relative_to(folder).as_posix()
        room.names.clear()
        _unpack(inner, below, only.removeprefix(name).lstrip("/"), room, f"{path.name}: {name}")
        if any(is_archive(file) for file in below.rglob("*")):
            raise ScanError(f"{path.name}: {name} holds another archive; unpack it and give the folder.")
        inner.unlink()
        below.rename(inner)


def _unpack(path: Path, folder: Path, only: str, room: _Room, where: str) -> None:
    with _said_in_a_line(where):
        for member in _MEMBERS[kind_of(path)](path, where):
            name = _name_within(member.name, where)
            if not _is_wanted(name, only):
                continue
            room.take(member, folder, where)
            if (spelling := unicodedata.normalize("NFC", name).casefold()) in room.names:
                raise ScanError(f"{where}: holds two files called {name}; unpack it and give the folder.")
            room.names.add(spelling)
            _extract(member, folder.joinpath(*name.split("/")), where)


def _extract(member: _Member, target: Path, where: str) -> None:
    """Write one member, no more than it claims to be."""
    target.parent.mkdir(parents=True, exist_ok=True)
    n_left = member.size
    with member.open() as source, target.open("xb") as file:
        while block := source.read(_BLOCK_BYTES):
            n_left -= len(block)
            if n_left < 0:
                break
            file.write(block)
    if n_left:
        raise ScanError(f"{where}: {member.name} is not as long as the archive says; copy the archive anew.")


def _name_within(name: str, where: str) -> str:
    """Return a member's path with plain slashes, or refuse one that leads out of the folder."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    is_absolute = name.startswith(("/", "\\")) or name[1:2] == ":"
    if is_absolute or not parts or ".." in parts or not name.isprintable():
        raise ScanError(f"{where}: holds a file called {name!r}, which leads out of its folder; do not trust it.")
    return "/".join(parts)


def _is_wanted(name: str, only: str) -> bool:
    """Tell whether a member is asked for: it, all below it, the archive around it, what lies beside its header."""
    if name.startswith("__MACOSX/"):
        return False
    if only in ("", ".") or name == only or name.startswith(f"{only}/") or only.startswith(f"{name}/"):
        return True
    return only.lower().endswith(_DETACHED) and name.rpartition("/")[0] == only.rpartition("/")[0]


def _zip_members(path: Path, where: str) -> Iterator[_Member]:
    _check_zip_directory(path, where)
    with zipfile.ZipFile(path) as archive:
        if len(archive.infolist()) > AT_MOST_ARCHIVE_MEMBERS:  # before the first of them is written
            raise _too_many(where)
        for info in archive.infolist():
            mode = info.external_attr >> 16
            if info.is_dir():
                continue
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise _no_plain_file(info.filename, where)
            if info.flag_bits & 1:
                raise ScanError(f"{where}: is encrypted; unpack it with its password and give the folder.")
            if info.compress_type not in _ZIP_METHODS:
                raise ScanError(f"{where}: is compressed by a method that is not read; unpack it and give the folder.")
            opened = cast("Callable[[], AbstractContextManager[BinaryIO]]", lambda info=info: archive.open(info))
            yield _Member(info.filename, info.file_size, opened)


def _check_zip_directory(path: Path, where: str) -> None:
    """Refuse a table of contents that would flood the memory; zipfile reads it whole.

    Source: APPNOTE.TXT 4.3.14 and 4.3.16: its size stands at byte 40 of the zip64 end record, or 12 of the plain one.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _END_OF_ZIP_BYTES))
        tail = file.read(_END_OF_ZIP_BYTES)
    claims = [
        int.from_bytes(tail[at + offset : at + offset + width], "little")
        for mark, offset, width in ((_END_OF_ZIP, 12, 4), (_END_OF_ZIP64, 40, 8))
        if (at := tail.rfind(mark)) >= 0
    ]
    if any(claim > AT_MOST_DIRECTORY_BYTES and claim != 2**32 - 1 for claim in claims):
        raise ScanError(f"{where}: its table of contents is too long; unpack it and give the folder.")


def _tar_members(path: Path, where: str) -> Iterator[_Member]:
    with path.open("rb") as file:
        stream = _Measured(compressed.decompressed(file), where)
        with tarfile.open(fileobj=cast("BinaryIO", stream), mode="r|") as archive:
            for info in archive:
                if info.isdir():
                    continue
                if not info.isreg() or info.issparse():
                    raise _no_plain_file(info.name, where)
                stream.n_left = info.size + AT_MOST_BETWEEN_MEMBERS_BYTES
                content = cast("AbstractContextManager[BinaryIO]", archive.extractfile(info))
                yield _Member(info.name, info.size, lambda content=content: content)  # type: ignore[misc]
            while stream.read(_BLOCK_BYTES):  # to the end, where the compression keeps its checksum
                pass


class _Measured:
    """A stream that refuses to give more than is due: a tar's headers may claim to be as long as they like."""

    def __init__(self, stream: BinaryIO, where: str) -> None:
        self.stream, self.where = stream, where
        self.n_left = AT_MOST_BETWEEN_MEMBERS_BYTES

    def read(self, n_bytes: int) -> bytes:
        block = self.stream.read(n_bytes)
        self.n_left -= len(block)
        if self.n_left < 0:
            raise ScanError(f"{self.where}: has too long a header between its files; unpack it and give the folder.")
        return block


_MEMBERS: dict[str, Callable[[Path, str], Iterator[_Member]]] = {"zip": _zip_members, "tar": _tar_members}


def _too_many(where: str) -> ScanError:
    return ScanError(f"{where}: holds more than {AT_MOST_ARCHIVE_MEMBERS} files; unpack it and give the folder.")


def _no_plain_file(name: str, where: str) -> ScanError:
    return ScanError(f"{where}: {name} is a link or a device, not a plain file; unpack it and give the folder.")


@contextmanager
def _said_in_a_line(where: str) -> Iterator[None]:
    """Turn what may go wrong with an archive or the disk into one line."""
    try:
        yield
    except (ScanError, OutputError):
        raise
    except _DAMAGE as error:
        raise ScanError(f"{where}: the archive is cut off or damaged ({error}); copy it anew.") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ScanError(f"{where}: holds a file and a folder of one name; unpack it and give the folder.") from error
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise OutputError(f"{where}: the disk is full; make room, or set TMPDIR to another folder.") from error
        raise ScanError(f"{where}: cannot be unpacked: {error.strerror or error}.") from error
