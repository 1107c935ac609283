"""The CT frames of a DICOM object: one in a single-frame image, many in an enhanced one, each with its own place.

In enhanced CT every fact may stand in the frame's own functional group, in the shared one, or at the top, and is looked
for in this order. Source: DICOM PS3.3 C.7.6.16; reference/volumes.md §2.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom import elements
from ctatlas.volume.formats.dicom.pixel_format import PixelFormat, Rescale, pixel_format, rescale

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydicom import Dataset

    from ctatlas.volume.formats.dicom.elements import Header
    from ctatlas.volume.formats.dicom.files import DicomFile, PixelPlace

# What may tell apart images that lie at the same place, in the order in which it is tried, and what a person calls it.
# Source: reference/volumes.md §2.2.
SEPARATORS = {
    "StackID": "stack",
    "TemporalPositionIndex": "time point",
    "TemporalPositionIdentifier": "time point",
    "FrameAcquisitionNumber": "acquisition",
    "AcquisitionNumber": "acquisition",
    "AcquisitionTime": "acquisition time",
    "ContentTime": "content time",
    "NominalPercentageOfCardiacPhase": "cardiac phase",
    "TriggerTime": "trigger time",
    "ContrastBolusAgent": "contrast agent",
    "KVP": "tube voltage",
    "ConvolutionKernel": "kernel",
    "ImageType": "image type",
    "EchoNumbers": "echo",
    "SliceThickness": "slice thickness",
    "ImageComments": "comment",
}
# Which functional group holds what of a frame, as far as it is asked for here.
_GROUPS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleType": "PixelValueTransformationSequence",
    "StackID": "FrameContentSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "FrameAcquisitionNumber": "FrameContentSequence",
    "FrameType": "CTImageFrameTypeSequence",
    "ConvolutionKernel": "CTReconstructionSequence",
    "KVP": "CTXRayDetailsSequence",
    "NominalPercentageOfCardiacPhase": "CardiacSynchronizationSequence",
}
SHARED_GROUPS, FRAME_GROUPS = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
NEEDED = (
    *SEPARATORS,
    *("FrameOfReferenceUID", "ImageOrientationPatient", "ImagePositionPatient", "NumberOfFrames", "PatientPosition"),
    *("PixelSpacing", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"),
    *(SHARED_GROUPS, FRAME_GROUPS),
)
_PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")


@dataclass(frozen=True, slots=True)
class Image:
    """What all frames of a DICOM object share."""

    path: Path
    instance_uid: str
    sop_class: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    patient_position: str
    n_frames: int
    pixels: PixelFormat
    place: PixelPlace | None


@dataclass(frozen=True, slots=True)
class Frame:
    """One CT slice.

    Attributes
    ----------
    number : int
        Of the frame in its image, from 1.
    orientation : (6,) float
        Directions of growing column and growing row index, LPS.
    position_mm : (3,) float
        Centre of the first pixel, LPS.
    spacing_mm : (2,) float
        Distance between rows, distance between columns (in this order).
    separators : tuple of str
        Values of `SEPARATORS`, empty where the file says nothing.
    """

    image: Image
    number: int
    image_type: tuple[str, ...]
    kernel: str
    orientation: tuple[float, ...]
    position_mm: tuple[float, ...]
    spacing_mm: tuple[float, ...]
    rescale: Rescale
    separators: tuple[str, ...]


class FrameValues:
    """The elements of one frame, wherever they stand."""

    def __init__(self, dataset: Header, groups: tuple[Dataset, ...]) -> None:
        self.dataset = dataset
        self._groups = groups  # the frame's own first, then the shared

    def holder(self, name: str) -> Header:
        """Return the data set that says most closely what an element is for this frame."""
        for group in self._groups:
            for item in elements.items(group, _GROUPS[name])[:1] if name in _GROUPS else ():
                if elements.text(item, name):
                    return item
        return self.dataset

    def text(self, name: str) -> str:
        """Return a value as text, empty when it is said nowhere."""
        return elements.text(self.holder(name), name)

    @property
    def image_type(self) -> tuple[str, ...]:
        """The frame's own type, or that of its image."""
        return elements.texts(self.holder("FrameType"), "FrameType") or elements.texts(self.dataset, "ImageType")

    @property
    def has_place(self) -> bool:
        """Whether the frame says where it lies in the patient."""
        return all(self.text(name) for name in _PLACE)


def frame_values(dataset: Header, n_frames: int) -> Iterator[FrameValues]:
    """Yield the values of each frame.

    Raises
    ------
    ValueError
        When the functional groups are not as many as the frames.
    """
    shared = tuple(elements.items(dataset, SHARED_GROUPS)[:1])
    own = elements.items(dataset, FRAME_GROUPS)
    if own and len(own) != n_frames:
        raise ValueError(f"NumberOfFrames is {n_frames}, but {len(own)} are described")
    for n in range(n_frames):
        yield FrameValues(dataset, (own[n], *shared) if own else shared)


def image_of(file: DicomFile[Header], n_frames: int) -> Image:
    """Take over what all frames of an image share.

    Raises
    ------
    ScanError
        When it lacks what every CT image has.
    """
    for name in (
        "SOPInstanceUID",
        "SeriesInstanceUID",
        "BitsAllocated",
        "PixelRepresentation",
        "PhotometricInterpretation",
    ):
        if not elements.text(file.dataset, name):
            raise ScanError(
                f"{file.path.name}: lacks {name}, which every CT image has; the file is damaged, copy it anew."
            )
    return Image(
        path=file.path,
        instance_uid=elements.text(file.dataset, "SOPInstanceUID"),
        sop_class=elements.text(file.dataset, "SOPClassUID"),
        study_uid=elements.text(file.dataset, "StudyInstanceUID"),
        series_uid=elements.text(file.dataset, "SeriesInstanceUID"),
        frame_of_reference_uid=elements.text(file.dataset, "FrameOfReferenceUID"),
        patient_position=elements.text(file.dataset, "PatientPosition"),
        n_frames=n_frames,
        pixels=pixel_format(file.dataset, file.transfer_syntax),
        place=file.pixels,
    )


def frame_of(image: Image, number: int, values: FrameValues) -> Frame:
    """Take over the values of one frame."""
    return Frame(
        image=image,
        number=number,
        image_type=values.image_type,
        kernel=" ".join(values.text("ConvolutionKernel").split("\\")),
        orientation=elements.numbers(values.holder("ImageOrientationPatient"), "ImageOrientationPatient", 6),
        position_mm=elements.numbers(values.holder("ImagePositionPatient"), "ImagePositionPatient", 3),
        spacing_mm=elements.numbers(values.holder("PixelSpacing"), "PixelSpacing", 2),
        rescale=rescale(values.holder("RescaleSlope"), values.dataset),
        separators=tuple(values.text(name) for name in SEPARATORS),
    )
