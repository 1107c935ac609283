"""The headers of the images that a scan was read from, found again where they lie.

A scan's facts keep no patient data; objects made of it need them, and take them from the files once more.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom.files import files_in, open_dicom
from ctatlas.volume.opening import opened

if TYPE_CHECKING:
    from pydicom import Dataset

    from ctatlas.volume.scan import ScanFacts

MUST_BE_THERE = (  # if empty: type 2 of the patient and study modules. Source: DICOM PS3.3 C.7.1.1, C.7.2.1
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
TAKEN_ALONG = (
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
    "StudyDescription",
)
EQUIPMENT = ("Manufacturer", "ManufacturerModelName", "SoftwareVersions")
MOMENTS = ("Series", "Acquisition", "Content", "Study")
_READ = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "NumberOfFrames",
    "SliceThickness",
    *(f"{event}{part}" for event in MOMENTS for part in ("Date", "Time")),
    *MUST_BE_THERE,
    *TAKEN_ALONG,
    *EQUIPMENT,
)


def original_images(source: Path, facts: ScanFacts) -> list[Dataset]:
    """Read of a scan's images what objects made of it take over.

    Parameters
    ----------
    source : Path
        The folder, file or archive that the scan was read from.
    facts : ScanFacts
        Of that scan; only the images it names are taken.

    Returns
    -------
    list of Dataset
        One for each of `facts.slices`, in their order; the frames of a multi-frame image share one.

    Raises
    ------
    ScanError
        When the scan was not read from DICOM, or images of it are no longer there.
    """
    where = source.name or str(source)
    if facts.plane is None or not facts.slices:
        raise ScanError(
            f"{where}: is no DICOM series, and DICOM objects (SEG, RTSTRUCT) refer to one; give the DICOM folder."
        )
    wanted = {one.instance_uid for one in facts.slices}
    found: dict[str, Dataset] = {}
    with opened(source) as place:
        for path in files_in(place):
            file = open_dicom(path, _READ)
            if file is not None and file.dataset.get("SeriesInstanceUID", "") == facts.series_uid:
                found.setdefault(str(file.dataset.get("SOPInstanceUID", "")), file.dataset)
    if missing := wanted - found.keys():
        raise ScanError(
            f"{where}: holds {len(wanted) - len(missing)} of the {len(wanted)} images that the scan was read from; "
            "expected all of them. Do not change the folder while it is worked on."
        )
    return [found[one.instance_uid] for one in facts.slices]
