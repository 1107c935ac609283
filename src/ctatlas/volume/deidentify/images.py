"""NIfTI, NRRD and MetaImage: their headers hold text, and theirs alone is taken out; voxels are copied byte by byte."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from ctatlas.errors import OutputError, ScanError
from ctatlas.volume.deidentify import metaimage, nifti, nrrd
from ctatlas.volume.deidentify.record import Written
from ctatlas.volume.deidentify.targets import whole_file_in_its_folder
from ctatlas.volume.deidentify.voxels import DAMAGED, Beside, Stripped, copy_voxels, unreadable
from ctatlas.volume.formats import gzip_stream
from ctatlas.volume.formats.detached import beside
from ctatlas.volume.limits import AT_MOST_FILE_BYTES

ENDINGS = ("nifti", "nrrd", "metaimage")  # kinds of files, as `formats.recognise` calls them
_OPEN: dict[str, Callable[[BinaryIO, Beside], Stripped]] = {
    "nifti": nifti.stripped,
    "nrrd": nrrd.stripped,
    "metaimage": metaimage.stripped,
}


def ending_of(path: Path, kind: str) -> str:
    """Return the ending of the file that will be made."""
    if kind == "nifti":
        with path.open("rb") as file:
            return ".nii.gz" if file.read(2) == gzip_stream.MAGIC else ".nii"
    if kind == "nrrd":
        return ".seg.nrrd" if path.name.lower().endswith(".seg.nrrd") else ".nrrd"
    return ".mha"


def strip_file(source: Path, target: Path, name: str, kind: str) -> Written:
    """Make a file with the geometry and voxels of another one, and nothing else of it.

    Raises
    ------
    ScanError
        When the header can't be understood, or there are fewer voxels than it says; the message has no values.
    OutputError
        When the target can't be written.
    """
    try:
        if source.stat().st_size > AT_MOST_FILE_BYTES:
            raise ScanError(f"is larger than {AT_MOST_FILE_BYTES / 2**30:.0f} GiB")
        with ExitStack() as files:
            file = files.enter_context(source.open("rb"))
            image = _OPEN[kind](file, lambda name: files.enter_context(_beside(source, name)))
            with whole_file_in_its_folder(target) as out:
                copy_voxels(image, out)
            return Written(name, kind, image.deeds())
    except OutputError:
        raise
    except unreadable():
        raise ScanError(DAMAGED) from None


def _beside(header: Path, name: str) -> BinaryIO:
    """Open a data file, which a header may name only in its own folder."""
    try:
        return beside(header, name).open("rb")
    except (ScanError, OSError):  # whose words name the file
        raise ScanError("keeps its voxels in several files, or in one that is not in its own folder") from None
