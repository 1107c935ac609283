"""Which files and folders below a folder are scans. Looks at names and first bytes only.

A scan that is broken is listed like any other; reading it says what is wrong. Masks are not scans: what lies beside or
below a case's `ct.nii.gz`, files marked as labels, and 8-bit numbers, which cannot be HU, are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ctatlas.errors import ScanError
from ctatlas.volume.formats import metaimage, nifti, nrrd
from ctatlas.volume.formats.dicom.headers import first_study_uid
from ctatlas.volume.formats.recognise import kind_of

CASE_FILES = ("ct.nii.gz", "ct.nii")  # of AbdomenAtlas, TotalSegmentator and our own cases
_IMAGE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
_PACKED_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z")  # 7z is listed, then refused
_MASK_ENDINGS = (".seg.nrrd", ".seg.dcm", ".rtstruct.dcm")
_SCAN_ENDINGS = _IMAGE_ENDINGS + _PACKED_ENDINGS
_HEADERS = {"metaimage": metaimage.read_header, "nifti": nifti.read_header, "nrrd": nrrd.read_header}
_DATA_FILES = {"metaimage": metaimage.data_files, "nrrd": nrrd.data_files}
_LOOKED_AT = 50  # files of a folder whose content is looked at until one is DICOM
_DEPTH = 16


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


def unknown(_: Path) -> bool:
    """Say of any file that nothing is known of it."""
    return False


def scans_below(folder: Path, where: str, surely: Callable[[Path], bool] = unknown) -> list[Path]:
    """Return the scans of a folder, at any depth, in the order of their names: files, and folders of one DICOM study.

    `where` is what to call the folder in a refusal. Files of which `surely` is true are scans without a look into them.

    Raises
    ------
    ScanError
        When there is none, or the folder cannot be read.
    """
    try:
        found = _scans(_look(folder, _DEPTH, surely))
    except OSError as error:
        raise ScanError(f"{where}: cannot be read: {error.strerror or error}.") from error
    if not found:
        raise ScanError(
            f"{where}: holds no CT scan (masks do not count); expected DICOM, NIfTI, NRRD or MetaImage files, or "
            "folders of them."
        )
    return found


def is_mask(file: Path) -> bool:
    """Tell whether a file that is no DICOM holds labels: it says so, or its numbers have no room for HU."""
    read_header = _HEADERS.get(_kind(file))
    try:
        return read_header is not None and read_header(file).is_surely_labels
    except ScanError:
        return False


def files_of(path: Path) -> list[Path]:
    """Return the files that a scan is read from: all of a folder, a file, and those with the voxels of a header."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    find = _DATA_FILES.get(_kind(path))
    try:
        return [path, *(find(path) if find else ())]
    except ScanError:
        return [path]


def stem(name: str) -> str:
    """Return a file's name without the ending of its format."""
    ending = next((end for end in (*_MASK_ENDINGS, *_SCAN_ENDINGS, ".dcm") if name.lower().endswith(end)), "")
    return name[: len(name) - len(ending)]


def _look(folder: Path, depth: int, surely: Callable[[Path], bool]) -> _Folder:
    """Look through a folder and those below; links to folders are not followed, hidden names passed over."""
    with os.scandir(folder) as listing:
        entries = sorted((entry for entry in listing if not entry.name.startswith(".")), key=lambda entry: entry.name)
    files = [folder / entry.name for entry in entries if entry.is_file()]
    case = next((file for name in CASE_FILES for file in files if file.name.lower() == name), None)
    if case is not None:
        return _Folder(folder, (case,), None, ())
    single = tuple(
        file for file in files if file.name.lower().endswith(_SCAN_ENDINGS) and (surely(file) or not is_mask(file))
    )
    voxels = {data for file in single for data in _beside(file)}  # of detached headers
    below = [folder / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)] if depth else []
    return _Folder(
        folder,
        tuple(file for file in single if file not in voxels),
        _study([file for file in files if not file.name.lower().endswith(_SCAN_ENDINGS)]),
        tuple(_look(entry, depth - 1, surely) for entry in below),
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


def _beside(file: Path) -> list[Path]:
    """Return the files that hold the voxels of a header; NIfTI has none, and need not be opened to know."""
    return [] if file.name.lower().endswith((".nii.gz", ".nii")) else files_of(file)[1:]


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
