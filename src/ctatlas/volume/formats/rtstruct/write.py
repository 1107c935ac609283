"""Write a segmentation as RTSTRUCT: contours on the images that the scan was read from.

Source: DICOM PS3.3 A.19, C.8.8.5, C.8.8.6, C.8.8.8; reference/volumes.md §7 for what readers stumble over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import ctatlas
from ctatlas.volume.formats.dicom.codes import ALTERED_STRUCTURE, code_of, color_of
from ctatlas.volume.formats.dicom.derived import (
    MANUFACTURER,
    UNKNOWN,
    Algorithm,
    derived_uid,
    frame_of_reference,
    moment,
    name_of_content,
    on_images_of,
    patient_and_study,
    save,
    series_number,
)
from ctatlas.volume.formats.dicom.files import quietly
from ctatlas.volume.formats.dicom.originals import original_images
from ctatlas.volume.formats.dicom.slices import Planes, masks_on_slices, planes_of
from ctatlas.volume.formats.rtstruct.contours import contours
from ctatlas.volume.formats.rtstruct.encoding import contour_item, image_sequence

if TYPE_CHECKING:
    from pydicom import Dataset

    from ctatlas.volume.choices import MaskChoices
    from ctatlas.volume.scan import ScanFacts, Volume
    from ctatlas.volume.segmentation import Segmentation

RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
_STUDY = "1.2.840.10008.3.1.2.3.1"  # retired class, yet what RT objects name studies by
_SERIES_OFFSET = 2000
_NAME_HOLDS = 64
_CONTOURS = 0x30060040


def write(segmentation: Segmentation, path: Path, choices: MaskChoices) -> None:
    """Write masks that came from elsewhere, for `ctatlas.volume.write`; `write_rtstruct` says more."""
    scan, source = on_images_of(choices, path)
    write_rtstruct(segmentation, scan, source, path, algorithm=UNKNOWN)


def write_rtstruct(segmentation: Segmentation, scan: Volume, source: Path, path: Path, *, algorithm: Algorithm) -> None:
    """Write masks as one RTSTRUCT file.

    Contours lie half a pixel from the outermost pixel centres, holes are keyholes, islands are contours of their own:
    filling them gives the mask again. A structure without a voxel is a ROI without a contour.

    Parameters
    ----------
    segmentation : Segmentation
        In the scan's space.
    scan : Volume
        Read from a DICOM series.
    source : Path
        Where it was read from: headers are taken from there.
    path : Path
    algorithm : Algorithm

    Raises
    ------
    ScanError, OutputError
        When the scan is not of DICOM or its images are gone; when the file can't be written.
    """
    facts = scan.facts
    originals = original_images(source, facts)
    images = [_reference(original, image.frame) for original, image in zip(originals, facts.slices, strict=True)]
    places = [image_sequence(image) for image in images]
    planes = planes_of(facts)
    with quietly():
        rt = _header(facts, originals, algorithm)
        rt.ReferencedFrameOfReferenceSequence = [_referenced(facts, rt.StudyInstanceUID, images)]
        for number, (name, mask) in enumerate(masks_on_slices(segmentation, facts), start=1):
            rt.StructureSetROISequence.append(_roi(number, name, facts, algorithm))
            rt.ROIContourSequence.append(_drawn(number, name, mask, planes, places))
            rt.RTROIObservationsSequence.append(_observed(number, name))
        _name(rt, facts, algorithm)
    save(rt, path)


def _header(facts: ScanFacts, originals: Sequence[Dataset], algorithm: Algorithm) -> Any:
    """Return patient, study, series and equipment."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ImplicitVRLittleEndian

    rt: Any = patient_and_study(originals[0], facts)
    rt.file_meta = FileMetaDataset()
    rt.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # explicit VR holds 65534 bytes of points a contour
    rt.SOPClassUID = rt.file_meta.MediaStorageSOPClassUID = RTSTRUCT
    rt.Modality = "RTSTRUCT"
    rt.SeriesNumber = series_number(facts, _SERIES_OFFSET)
    rt.SeriesDescription = f"Contours ({algorithm.name})"[:_NAME_HOLDS]
    rt.OperatorsName = ""
    rt.Manufacturer = MANUFACTURER
    rt.ManufacturerModelName = algorithm.name[:_NAME_HOLDS]
    rt.SoftwareVersions = ctatlas.__version__
    rt.FrameOfReferenceUID = frame_of_reference(facts)
    rt.PositionReferenceIndicator = ""
    rt.InstanceNumber = 1
    rt.StructureSetLabel = MANUFACTURER
    rt.StructureSetName = f"{algorithm.name} {algorithm.version}"[:_NAME_HOLDS]
    rt.StructureSetDate, rt.StructureSetTime = moment(originals[0])
    rt.ApprovalStatus = "UNAPPROVED"
    rt.StructureSetROISequence, rt.ROIContourSequence, rt.RTROIObservationsSequence = [], [], []
    return rt


def _reference(original: Dataset, frame: int) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID = original.SOPClassUID
    item.ReferencedSOPInstanceUID = original.SOPInstanceUID
    if "NumberOfFrames" in original:
        item.ReferencedFrameNumber = frame
    return item


def _referenced(facts: ScanFacts, study_uid: str, images: Sequence[Dataset]) -> Dataset:
    """Return space, study and series that the contours lie in, with all images of it."""
    from pydicom import Dataset

    space, study, series = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = facts.series_uid
    series.ContourImageSequence = list(images)
    study.ReferencedSOPClassUID = _STUDY
    study.ReferencedSOPInstanceUID = study_uid
    study.RTReferencedSeriesSequence = [series]
    space.FrameOfReferenceUID = frame_of_reference(facts)
    space.RTReferencedStudySequence = [study]
    return space


def _roi(number: int, name: str, facts: ScanFacts, algorithm: Algorithm) -> Dataset:
    from pydicom import Dataset

    roi = Dataset()
    roi.ROINumber = number
    roi.ReferencedFrameOfReferenceUID = frame_of_reference(facts)
    roi.ROIName = name[:_NAME_HOLDS]
    roi.ROIGenerationAlgorithm = algorithm.by
    roi.ROIGenerationDescription = f"{algorithm.name} {algorithm.version}"[:_NAME_HOLDS]
    return roi


def _drawn(number: int, name: str, mask: np.ndarray, planes: Planes, images: Sequence[bytes]) -> Dataset:
    """Return a structure's colour and contours."""
    from pydicom import Dataset
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    drawn = Dataset()
    drawn.ReferencedROINumber = number
    drawn.ROIDisplayColor = list(color_of(name))
    items = b"".join(
        contour_item(_points_mm(line, planes, image), images[image])
        for image in np.flatnonzero(mask.any(axis=(1, 2))).tolist()
        for line in contours(mask[image])
    )
    if items:
        drawn[_CONTOURS] = RawDataElement(Tag(_CONTOURS), "SQ", len(items), items, 0, True, True)  # noqa: FBT003
        drawn.set_original_encoding(is_implicit_vr=True, is_little_endian=True)  # so that the bytes go out as they are
    return drawn


def _points_mm(line: np.ndarray, planes: Planes, image: int) -> np.ndarray:
    """Return a line in pixels (column, row) as points in LPS mm."""
    between_rows, between_columns = planes.spacing_mm
    points: np.ndarray = (
        planes.origins_mm[image]
        + line[:, :1] * between_columns * planes.row
        + line[:, 1:] * between_rows * planes.column
    )
    return points


def _observed(number: int, name: str) -> Dataset:
    """Return what kind of thing a structure is."""
    from pydicom import Dataset

    code = code_of(name)
    item = Dataset()
    item.ObservationNumber = number
    item.ReferencedROINumber = number
    item.RTROIIdentificationCodeSequence = [code.type.item()]
    item.RTROIInterpretedType = "" if code.category == ALTERED_STRUCTURE else "ORGAN"
    item.ROIInterpreter = ""
    return item


def _name(rt: Any, facts: ScanFacts, algorithm: Algorithm) -> None:
    """Give the object UIDs that follow from what is in it."""
    drawn = [
        hashlib.sha256(one.get_item(_CONTOURS).value if _CONTOURS in one else b"").hexdigest()
        for one in rt.ROIContourSequence
    ]
    names = [roi.ROIName for roi in rt.StructureSetROISequence]
    content = name_of_content(facts, [algorithm.name, algorithm.version, algorithm.by, *names, *drawn])
    rt.SeriesInstanceUID = derived_uid("rtstruct series", content)
    rt.SOPInstanceUID = rt.file_meta.MediaStorageSOPInstanceUID = derived_uid("rtstruct", content)
