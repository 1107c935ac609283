"""DICOM files in and out: nothing unbounded in, nothing half-written out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.errors import ScanError
from ctatlas.volume.deidentify.elements import deidentified
from ctatlas.volume.deidentify.key import Key
from ctatlas.volume.deidentify.profile import objects
from ctatlas.volume.deidentify.record import Written
from ctatlas.volume.deidentify.refusals import header_tags
from ctatlas.volume.deidentify.targets import whole_file_in_its_folder
from ctatlas.volume.formats.dicom.files import parser_errors, quietly
from ctatlas.volume.limits import AT_MOST_FILE_BYTES

if TYPE_CHECKING:
    from pydicom import Dataset

_DEFLATED = "1.2.840.10008.1.2.1.99"


def read_start(path: Path) -> Dataset:
    """Read what tells whose and what a file is, without its pixels.

    Raises
    ------
    ScanError
        When it can't be read; the message has no values, nor the file's name.
    """
    return _read(path, pixels=False)


def read_whole(path: Path) -> Dataset:
    """Read a file with its pixels, which stay as they are stored.

    Raises
    ------
    ScanError
        As `read_start`.
    """
    return _read(path, pixels=True)


def deidentify_file(source: Path, target: Path, name: str, key: Key, *, allow_head: bool) -> Written:
    """Make a de-identified file of a DICOM file.

    Parameters
    ----------
    source, target : Path
    name : str
        What the log calls the target.

    Raises
    ------
    ScanError
        As `deidentify_dataset`, and when the file can't be read.
    OutputError
        When the target can't be written.
    """
    from pydicom import dcmwrite

    dataset = _read(source, pixels=True)
    new, deeds = deidentified(dataset, key, allow_head=allow_head)
    with quietly(), whole_file_in_its_folder(target) as file:
        try:
            dcmwrite(file, new, enforce_file_format=True)
        except OSError as error:  # pydicom wraps it, and what it says then is a traceback
            raise error.__cause__ if isinstance(error.__cause__, OSError) else error from None
        except parser_errors() as error:
            raise ScanError(f"has elements that can't be written again ({type(error).__name__})") from None
    return Written(name, objects()[str(new.SOPClassUID)][0], deeds.cells())


def _read(path: Path, *, pixels: bool) -> Dataset:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_file_meta_info

    try:
        if path.stat().st_size > AT_MOST_FILE_BYTES:
            raise ScanError(f"is larger than {AT_MOST_FILE_BYTES / 2**30:.0f} GiB")
        with quietly():
            try:
                if read_file_meta_info(path).get("TransferSyntaxUID") == _DEFLATED:  # it may inflate without end
                    raise ScanError("is stored deflated; convert it to Explicit VR Little Endian")
            except InvalidDicomError:  # no preamble: nothing says how it is stored, so it is not deflated either
                pass
            if pixels:
                return dcmread(path, force=True)
            return dcmread(path, force=True, stop_before_pixels=True, specific_tags=list(header_tags()))
    except ScanError:
        raise
    except parser_errors() as error:
        raise ScanError(f"is damaged or no valid DICOM ({type(error).__name__})") from None
