"""Which scans lie at a place: one file, a DICOM folder, or a folder of many scans. Looks at names and first bytes only.

A scan that is broken is listed like any other; reading it says what is wrong. Masks are not scans: what lies beside or
below a case's `ct.nii.gz`, files marked as labels, and 8-bit numbers, which cannot be HU, are passed over.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.errors import ScanError
from ctatlas.volume.choices import AS_IT_IS, Choices
from ctatlas.volume.formats.dicom.headers import first_study_uid
from ctatlas.volume.formats.nifti import read_header
from ctatlas.volume.formats.recognise import kind_of
from ctatlas.volume.reading import kind_at, read

if TYPE_CHECKING:
    from ctatlas.volume.scan import Volume

_CASE_FILES = ("ct.nii.gz", "ct.nii")  # of AbdomenAtlas, TotalSegmentator and our own cases
_SCAN_ENDINGS = (".nii.gz", ".nii")
_UNREAD_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".nrrd", ".nhdr", ".mha", ".mhd")  # listed, then refused
_MASK_ENDINGS = (".seg.nrrd",)
_LOOKED_AT = 50  # files of a folder whose content is looked at until one is DICOM
_DEPTH = 16
_NAME_LENGTH = 80
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}  # Windows


@dataclass(frozen=True, slots=True)
class ScanSource:
    """One scan that can be read.

    Attributes
    ----------
    case : str
        A name that is safe as a file or folder name on every system and unique among the sources of one call.
    path : Path
        The file, or the DICOM folder.
    choices : Choices
        How to read it, as far as that was decided.
    """

    case: str
    path: Path
    choices: Choices = AS_IT_IS

    def read(self) -> Volume:
        """Read the scan, or refuse it with `ScanError`."""
        return read(self.path, self.choices)


@dataclass(frozen=True, slots=True)
class _Folder:
    """What matters in a folder: single-file scans, the study of its DICOM files (None: no DICOM), folders below."""

    path: Path
    files: tuple[Path, ...]
    study: str | None
    below: tuple[_Folder, ...]

    @property
    def studies(self) -> set[str]:
        """Studies here and below; folders that name none count each for themselves."""
        own = set() if self.study is None else {self.study or str(self.path)}
        return own.union(*(folder.studies for folder in self.below))

    @property
    def is_empty(self) -> bool:
        """Whether nothing here or below could be a scan."""
        return not self.files and not self.studies and all(folder.is_empty for folder in self.below)

    @property
    def has_files(self) -> bool:
        """Whether single-file scans lie here or below."""
        return bool(self.files) or any(folder.has_files for folder in self.below)


def scans_in(path: Path | str, choices: Choices = AS_IT_IS) -> list[ScanSource]:
    """List the scans of a file or folder, in the order of their names.

    Parameters
    ----------
    path : Path or str
        A scan's file; a DICOM folder (one study, in any sub-folders); or a folder of such files, such folders, or case
        folders with a `ct.nii.gz`, at any depth.
    choices : Choices, optional
        Handed on to `read`.

    Returns
    -------
    list of ScanSource
        At least one.

    Raises
    ------
    ScanError
        When nothing lies there that could be a scan.
    """
    place = Path(path)
    if not place.is_dir():
        kind_at(place)
        return [ScanSource(safe_name(_stem(place.name)), place, choices)]
    try:
        found = _scans(_look(place, _DEPTH))
    except OSError as error:
        raise ScanError(f"{place}: cannot be read: {error.strerror or error}.") from error
    if not found:
        raise ScanError(
            f"{place}: holds no CT scan (masks do not count); expected NIfTI or DICOM files, or folders of them."
        )
    sources: list[ScanSource] = []
    taken: set[str] = set()
    for scan in found:
        name = _unique(safe_name(_case_name(scan, place)), taken)
        sources.append(ScanSource(name, scan, choices))
    return sources


def safe_name(text: str) -> str:
    """Return a name that no file system and no shell takes for anything else: letters, digits, dot, dash, underscore.

    >>> safe_name("../../Mueller^Hans (2)")
    'Mueller_Hans_2'
    >>> safe_name("...")
    'scan'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", plain)[:_NAME_LENGTH].strip("._-")
    return f"{name}_" if name.split(".")[0].lower() in _RESERVED else name or "scan"


def _look(folder: Path, depth: int) -> _Folder:
    """Look through a folder and those below; links to folders are not followed, hidden names passed over."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    files = [entry for entry in entries if entry.is_file()]
    case = next((file for name in _CASE_FILES for file in files if file.name.lower() == name), None)
    if case is not None:
        return _Folder(folder, (case,), None, ())
    single = tuple(file for file in files if file.name.lower().endswith(_SCAN_ENDINGS) and not _is_mask(file))
    unread = tuple(
        file
        for file in files
        if file.name.lower().endswith(_UNREAD_ENDINGS) and not file.name.lower().endswith(_MASK_ENDINGS)
    )
    below = [entry for entry in entries if entry.is_dir() and not entry.is_symlink()] if depth else []
    return _Folder(
        folder,
        tuple(sorted(single + unread)),
        _study([file for file in files if not file.name.lower().endswith(_SCAN_ENDINGS + _UNREAD_ENDINGS)]),
        tuple(_look(entry, depth - 1) for entry in below),
    )


def _scans(folder: _Folder) -> list[Path]:
    """Return the scans of a folder: DICOM of one study belongs together, whatever sub-folders it was sorted into."""
    if folder.study is not None or (len(folder.studies) == 1 and not folder.has_files):
        inside = [below for below in folder.below if not below.is_empty]
        if folder.study is None and len(inside) == 1:
            return _scans(inside[0])
        apart = (below for below in folder.below if not below.studies)  # the others are read with this folder
        return [*folder.files, folder.path, *(scan for below in apart for scan in _scans(below))]
    return [*folder.files, *(scan for below in folder.below for scan in _scans(below))]


def _study(files: list[Path]) -> str | None:
    """Return the study of the first DICOM file, None when there is none; a DICOMDIR has no study."""
    for file in files[:_LOOKED_AT]:
        if file.name.upper() != "DICOMDIR" and _kind(file) == "dicom":
            return first_study_uid(file)
    return None


def _kind(file: Path) -> str:
    """Return a file's format; what cannot be read is left for reading to complain about."""
    try:
        return kind_of(file)
    except OSError:
        return "unknown"


def _is_mask(file: Path) -> bool:
    """Tell whether a NIfTI file holds labels: it says so, or its numbers have no room for HU."""
    try:
        header = read_header(file)
    except ScanError:
        return False
    return header.is_labels or (header.stored.itemsize == 1 and (header.slope, header.intercept) == (1, 0))


def _case_name(scan: Path, place: Path) -> str:
    """Return the part of a scan's path that tells it from the others."""
    inside = scan.relative_to(place)
    if inside.name.lower() in _CASE_FILES:
        inside = inside.parent
    parts = [*inside.parts[:-1], _stem(inside.name) if scan.is_file() else inside.name]
    return "_".join(part for part in parts if part) or place.resolve().name


def _stem(name: str) -> str:
    """Return a file's name without the ending of its format."""
    ending = next((end for end in (*_SCAN_ENDINGS, *_UNREAD_ENDINGS, ".dcm") if name.lower().endswith(end)), "")
    return name[: len(name) - len(ending)]


def _unique(name: str, taken: set[str]) -> str:
    """Return the name, or with a number behind it when it is taken (case does not tell names apart)."""
    numbered = (name if n == 1 else f"{name}_{n}" for n in count(1))
    free = next(one for one in numbered if one.lower() not in taken)
    taken.add(free.lower())
    return free
