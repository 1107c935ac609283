"""Read one scan, whatever its format: the content decides, never the name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from ctatlas.errors import ScanError
from ctatlas.volume.choices import AS_IT_IS, Choices
from ctatlas.volume.formats.recognise import kind_of
from ctatlas.volume.listing import scans_below
from ctatlas.volume.opening import opened

if TYPE_CHECKING:
    from ctatlas.volume.scan import ScanFacts, Volume


class Reader(Protocol):
    """Turn a file, or for DICOM a folder, into a scan."""

    def __call__(self, path: Path, choices: Choices) -> Volume:
        """Read the scan at `path`, or refuse it with `ScanError`."""
        ...


READERS = {
    "dicom": "ctatlas.volume.formats.dicom.read:read",
    "metaimage": "ctatlas.volume.formats.metaimage:read",
    "nifti": "ctatlas.volume.formats.nifti:read",
    "nrrd": "ctatlas.volume.formats.nrrd:read",
}

# Formats of which headers alone tell what reading will say; the others are one file each.
LOOKERS = {"dicom": "ctatlas.volume.formats.dicom.read:look"}

ARCHIVES = ("tar", "zip")
_NAMED = 3  # scans of an archive that a refusal names
_NOT_READ = {
    "7z": "is a 7z archive; unpack it and give the folder.",
    "bzip2": "is compressed with bzip2; decompress it first.",
    "damaged bzip2": "has bzip2 data that are cut off or damaged; copy the file anew.",
    "damaged gzip": "has gzip data that are cut off or damaged; copy the file anew.",
    "damaged xz": "has xz data that are cut off or damaged; copy the file anew.",
    "document": "is a PDF document, not a CT scan.",
    "gzip": "is a gzip file that holds no NIfTI image and no tar; decompress it and give what is inside.",
    "picture": "is a picture (PNG or JPEG), not a CT scan; give its DICOM files.",
    "rar": "is a RAR archive; unpack it and give the folder.",
    "xz": "is compressed with xz; decompress it first.",
}


def read(path: Path | str, choices: Choices = AS_IT_IS, *, inside: str = "") -> Volume:
    """Read one CT scan from a file, a folder of DICOM files, or an archive of either.

    Parameters
    ----------
    path : Path or str
        A NIfTI, NRRD or MetaImage file, a folder whose DICOM files (at any depth) make up one CT series, or a zip or
        tar archive with one of these.
    choices : Choices, optional
        Which series or phase is meant, and whether to repair.
    inside : str, optional
        Which of several scans in an archive: its path there, "." for the whole.

    Returns
    -------
    Volume
        HU on the scan's own grid, in the order of the file.

    Raises
    ------
    ScanError
        In one line, when there is no scan, more than one, or one that cannot be read without guessing.
    """
    place = Path(path)
    kind = kind_at(place)
    if kind not in ARCHIVES:
        return reader(kind)(place, choices)
    with opened(place, inside) as folder:
        scan = _in_archive(folder, inside)
        return reader(kind_at(scan))(scan, choices)


def look(place: Path, choices: Choices = AS_IT_IS) -> ScanFacts | None:
    """Tell what reading a scan would say, as far as headers tell that without unpacking; None when they do not.

    Raises
    ------
    ScanError
        When the scan would be refused.
    """
    kind = kind_at(place)
    if kind not in LOOKERS:
        return None
    module, _, function = LOOKERS[kind].partition(":")
    return cast("ScanFacts", getattr(import_module(module), function)(place, choices))


def _in_archive(folder: Path, inside: str) -> Path:
    """Return the scan that is meant among those of an unpacked archive."""
    if inside:
        return folder / inside
    found = scans_below(folder, folder.name)
    if len(found) > 1:
        names = ", ".join(scan.relative_to(folder).as_posix() for scan in found[:_NAMED])
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise ScanError(f"{folder.name}: holds {len(found)} scans ({names}{more}); unpack it and give one of them.")
    return found[0]


def kind_at(place: Path) -> str:
    """Return the format of what lies at a path: a key of `READERS` or one of `ARCHIVES`; a folder is taken for DICOM.

    Raises
    ------
    ScanError
        When nothing readable lies there or it is of a format that is not read.
    """
    if place.is_dir():
        return "dicom"
    try:
        if not place.is_file():
            raise ScanError(f"{place}: there is no such file or folder; check the path.")
        if not place.stat().st_size:
            raise ScanError(f"{place.name}: is empty (0 bytes); copy the scan anew.")
        kind = kind_of(place)
    except OSError as error:
        raise ScanError(f"{place.name}: cannot be read: {error.strerror or error}.") from error
    if kind in READERS or kind in ARCHIVES:
        return kind
    refusal = _NOT_READ.get(kind, "is neither DICOM, NIfTI, NRRD nor MetaImage; expected a CT scan in one of these.")
    raise ScanError(f"{place.name}: {refusal}")


def reader(kind: str) -> Reader:
    """Return the reader of one format."""
    module, _, function = READERS[kind].partition(":")
    return cast("Reader", getattr(import_module(module), function))
