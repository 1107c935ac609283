"""One scan's structures as the single files that hospital systems and 3D Slicer read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.errors import ScanError
from ctatlas.volume import MaskChoices, write

if TYPE_CHECKING:
    from ctatlas.results.folder import Extras
    from ctatlas.volume import Segmentation, Volume

DICOM_SEG = "segmentation.seg.dcm"
RTSTRUCT = "segmentation.rtstruct.dcm"
SEG_NRRD = "segmentation.seg.nrrd"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a scan was read from, and which model at which version found the structures."""

    source: Path
    model: str
    version: str


def check_objects(scan: Volume, extras: Extras) -> None:
    """Refuse to make DICOM objects of a scan that has no images to refer to.

    Raises
    ------
    ScanError
    """
    if extras.needs_images and scan.facts.kind != "dicom":
        raise ScanError(no_images(scan.facts.source or "the scan"))


def no_images(where: str) -> str:
    """Return the line that refuses DICOM objects of another format's scan."""
    return (
        f"{where}: is no DICOM series; expected one for --dicom-seg and --rtstruct, which refer to its images. "
        "Give the DICOM folder, or ask for --seg-nrrd."
    )


def write_objects(folder: Path, segmentation: Segmentation, scan: Volume, extras: Extras, origin: Origin) -> None:
    """Write what was asked for into an existing folder.

    Raises
    ------
    ScanError, OutputError
        When the scan's images are gone, or the folder can't be written to.
    """
    if extras.seg_nrrd:
        write(segmentation, folder / SEG_NRRD, MaskChoices(scan=scan, source=origin.source))
    if not extras.needs_images:
        return
    from ctatlas.volume.formats.dicom.derived import Algorithm
    from ctatlas.volume.formats.dicom_seg.write import write_dicom_seg
    from ctatlas.volume.formats.rtstruct.write import write_rtstruct

    algorithm = Algorithm(origin.model, origin.version)
    if extras.dicom_seg:
        path = folder / DICOM_SEG
        write_dicom_seg(segmentation, scan, origin.source, path, algorithm=algorithm, kind=extras.seg_type)
    if extras.rtstruct:
        write_rtstruct(segmentation, scan, origin.source, folder / RTSTRUCT, algorithm=algorithm)
