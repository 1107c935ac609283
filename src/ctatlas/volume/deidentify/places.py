"""Which files of a place become which de-identified files, and which none; none goes without being counted."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.errors import ScanError
from ctatlas.hashing import sha256_file
from ctatlas.volume.deidentify.dicom import read_start
from ctatlas.volume.deidentify.images import ENDINGS, ending_of
from ctatlas.volume.deidentify.key import Key
from ctatlas.volume.deidentify.naming import target_of_image, target_of_object
from ctatlas.volume.deidentify.profile import objects
from ctatlas.volume.deidentify.record import Refused
from ctatlas.volume.deidentify.refusals import AsideError, is_secondary, refuse
from ctatlas.volume.formats.dicom.files import parser_errors, quietly
from ctatlas.volume.formats.recognise import kind_of

if TYPE_CHECKING:
    from pydicom import Dataset

_PACKED = ("7z", "bzip2", "gzip", "rar", "tar", "xz", "zip")
_ENDINGS_OF_IMAGES = (".dcm", ".ima", ".mha", ".mhd", ".nhdr", ".nii", ".nii.gz", ".nrrd")
_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"  # DICOMDIR


@dataclass(frozen=True, slots=True)
class Job:
    """One file to make: `target` is its path below the output folder."""

    number: int
    source: Path
    target: str
    kind: str
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be made of a place, and what can't be.

    Attributes
    ----------
    n_passed_over : int
        Files that are no scans: texts, pictures, DICOMDIR, hidden ones.
    n_copies : int
        Files that are the same to the byte as another one, which comes once.
    """

    jobs: tuple[Job, ...]
    refused: tuple[Refused, ...]
    n_passed_over: int
    n_copies: int = 0
    allow_head: bool = False


def plan(source: Path, key: Key, *, allow_head: bool = False) -> Plan:
    """Look at every file of a place, headers only.

    Parameters
    ----------
    source : Path
        A file, or a folder of any depth; hidden folders are passed over.

    Raises
    ------
    ScanError
        When there is no scan or mask in it.
    """
    found = _Found([], [], 0)
    headers: dict[int, Dataset] = {}
    for number, (path, obstacle) in enumerate(_files(source), start=1):
        if obstacle:
            found.refused.append(Refused(path, number, "look", obstacle))
        else:
            _look(path, number, _Place(source, key, allow_head), found, headers)
    images, pictures = _without_pictures(found.jobs, headers)
    jobs, same = _without_clashes(images)
    all_refused = sorted([*found.refused, *pictures, *same], key=lambda one: one.number)
    if not jobs and not all_refused:
        raise ScanError(f"{source}: holds no DICOM, NIfTI, NRRD or MetaImage file; nothing to de-identify.")
    n_copies = len(images) - len(jobs) - len(same)
    return Plan(tuple(jobs), tuple(all_refused), found.n_passed_over, n_copies, allow_head)


@dataclass(frozen=True, slots=True)
class _Place:
    source: Path
    key: Key
    allow_head: bool


@dataclass(slots=True)
class _Found:
    jobs: list[Job]
    refused: list[Refused]
    n_passed_over: int


def _files(source: Path) -> Iterator[tuple[Path, str]]:
    """Yield every file, in the order of their names, and what keeps one from being looked at."""
    if not source.is_dir():
        yield source, ""
        return
    closed: list[OSError] = []
    for folder, below, names in os.walk(source, onerror=closed.append):
        links = [name for name in below if Path(folder, name).is_symlink()]
        below[:] = sorted(name for name in below if not name.startswith(".") and name not in links)
        yield from ((path, _obstacle(path)) for path in (Path(folder, name) for name in sorted([*names, *links])))
    yield from ((Path(error.filename), f"can't be read: {error.strerror}") for error in closed)


def _obstacle(path: Path) -> str:
    try:
        if path.is_dir():
            return "is a link to a folder, which is not followed; give that folder"
        return "" if path.is_file() else "is no plain file, or a link that leads nowhere"
    except OSError as error:
        return f"can't be read: {error.strerror}"


def _look(path: Path, number: int, place: _Place, found: _Found, headers: dict[int, Dataset]) -> None:
    """Put one file where it belongs."""
    try:
        kind = "hidden" if path.name.startswith(".") else kind_of(path)
        if kind == "dicom":
            header = read_start(path)
            if _is_media_directory(header):
                found.n_passed_over += 1
                return
            with quietly():
                refuse(header, allow_head=place.allow_head)
                target = target_of_object(header, place.key)
            headers[number] = header
        elif kind in ENDINGS:
            target = target_of_image(path, place.source, ending_of(path, kind), place.key)
        elif kind in _PACKED:
            raise ScanError("is packed, inside a folder; unpack it, or give an archive by itself")
        elif kind.startswith("damaged") or (kind == "unknown" and path.name.lower().endswith(_ENDINGS_OF_IMAGES)):
            raise ScanError("is damaged, or not what its name says")
        else:
            found.n_passed_over += 1
            return
        found.jobs.append(Job(number, path, target, kind, path.stat().st_size))
    except ScanError as error:
        found.refused.append(Refused(path, number, "look", str(error), isinstance(error, AsideError)))
    except parser_errors() as error:
        why = error.strerror if isinstance(error, OSError) else None
        reason = f"can't be read: {why}" if why else f"can't be read or understood ({type(error).__name__})"
        found.refused.append(Refused(path, number, "look", reason))


def _is_media_directory(header: Dataset) -> bool:
    with quietly():
        return str(getattr(header, "file_meta", {}).get("MediaStorageSOPClassUID", "")) == _MEDIA_DIRECTORY


def _without_pictures(jobs: list[Job], headers: dict[int, Dataset]) -> tuple[list[Job], list[Refused]]:
    """Refuse secondary images of another size than their study's scans, which are what screens look like."""
    sizes: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for header in headers.values():
        if _is_image(header) and not is_secondary(header):
            sizes[str(header.StudyInstanceUID)].add(_size(header))
    kept, refused = [], []
    for job in jobs:
        if _looks_like_picture(headers.get(job.number), sizes):
            reason = "is a secondary image of another size than the scans of its study, as screen copies are"
            refused.append(Refused(job.source, job.number, "look", reason, is_aside=True))
        else:
            kept.append(job)
    return kept, refused


def _looks_like_picture(header: Dataset | None, sizes: dict[str, set[tuple[str, str]]]) -> bool:
    if header is None or not _is_image(header) or not is_secondary(header):
        return False
    known = sizes.get(str(header.StudyInstanceUID))
    return bool(known) and _size(header) not in (known or ())


def _is_image(header: Dataset) -> bool:
    return objects()[str(header.SOPClassUID)][1] == "image"


def _size(header: Dataset) -> tuple[str, str]:
    """Return rows and columns as told, which may be no numbers at all."""
    return str(header.get("Rows")), str(header.get("Columns"))


def _without_clashes(jobs: list[Job]) -> tuple[list[Job], list[Refused]]:
    """Keep one of several files that would get one name: they are copies, or they contradict each other."""
    first: dict[str, Job] = {}
    refused = []
    for job in jobs:
        other = first.setdefault(job.target, job)
        if other is not job and sha256_file(other.source) != sha256_file(job.source):
            reason = (
                f"would get the same name as file {other.number}, but has other content; two versions of one object?"
            )
            refused.append(Refused(job.source, job.number, "look", reason))
    return list(first.values()), refused
