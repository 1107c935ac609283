"""NIfTI, NRRD and MetaImage: their headers hold text, and theirs alone is taken out; voxels are copied byte by byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ctatlas.errors import ScanError
from ctatlas.volume.deidentify import metaimage, nifti, nrrd
from ctatlas.volume.deidentify.record import Written
from ctatlas.volume.deidentify.targets import whole_file_in_its_folder
from ctatlas.volume.deidentify.voxels import Stripped, copy_voxels
from ctatlas.volume.formats import gzip_stream
from ctatlas.volume.limits import AT_MOST_FILE_BYTES

ENDINGS = ("nifti", "nrrd", "metaimage")  # kinds of files, as `formats.recognise` calls them
_OPEN: dict[str, Callable[[Path, BinaryIO], Stripped]] = {
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
        with source.open("rb") as file:
            image = _OPEN[kind](source, file)
            with whole_file_in_its_folder(target) as out:
                copy_voxels(image, out)
            deeds = image.deeds()
            image.stream.close()
    except gzip_stream.damage():
        raise ScanError("has compressed data that are cut off or damaged") from None
    return Written(name, kind, deeds)
