"""Write a segmentation as DICOM SEG on the images that the scan was read from.

highdicom makes and checks the header, from one frame; the others are added one structure at a time, so that memory does
not grow with their number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import ctatlas
from ctatlas.volume.formats.dicom.codes import Code, StructureCode, code_of, color_of
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
from ctatlas.volume.formats.dicom.originals import EQUIPMENT, original_images
from ctatlas.volume.formats.dicom.slices import on_images, planes_of
from ctatlas.volume.formats.dicom_seg.packing import Bits, RunLengths

if TYPE_CHECKING:
    from pydicom import Dataset

    from ctatlas.volume.choices import MaskChoices
    from ctatlas.volume.scan import ScanFacts, Volume
    from ctatlas.volume.segmentation import Segmentation

Kind = Literal["binary", "labelmap"]
KINDS: tuple[Kind, ...] = ("binary", "labelmap")
_SOURCE_IMAGE = Code("DCM", "121322", "Source image for image processing operation")
_SEGMENTATION = Code("DCM", "113076", "Segmentation")
_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"  # CT Image Storage
_SERIES_OFFSET = 1000
_LABEL_HOLDS = 64


@dataclass(frozen=True, slots=True)
class _Frame:
    """One frame to be: its segment (0 in a label map), the image it lies on, its pixels (rows, columns)."""

    segment: int
    image: int
    pixels: np.ndarray


def write(segmentation: Segmentation, path: Path, choices: MaskChoices) -> None:
    """Write masks that came from elsewhere, for `ctatlas.volume.write`; `write_dicom_seg` says more."""
    scan, source = on_images_of(choices, path)
    write_dicom_seg(segmentation, scan, source, path, algorithm=UNKNOWN)


def write_label_map(segmentation: Segmentation, path: Path, choices: MaskChoices) -> None:
    """Do the same as a Label Map Segmentation."""
    scan, source = on_images_of(choices, path)
    write_dicom_seg(segmentation, scan, source, path, algorithm=UNKNOWN, kind="labelmap")


def write_dicom_seg(
    segmentation: Segmentation,
    scan: Volume,
    source: Path,
    path: Path,
    *,
    algorithm: Algorithm,
    kind: Kind = "binary",
) -> None:
    """Write masks as one DICOM SEG file.

    Parameters
    ----------
    segmentation : Segmentation
        In the scan's space; structures without a voxel become segments without a frame.
    scan : Volume
        Read from a DICOM series.
    source : Path
        Where it was read from: headers are taken from there.
    path : Path
    algorithm : Algorithm
    kind : str
        ``"binary"``: one bit a voxel, structure and image, may overlap, known to every reader.
        ``"labelmap"``: one number a voxel, of the newer Label Map Segmentation class, which few readers know; where
        structures overlap the smaller one shows.

    Raises
    ------
    ScanError, OutputError
        When the scan is not of DICOM or its images are gone; when the file can't be written.
    """
    facts = scan.facts
    originals = original_images(source, facts)
    images = on_images(segmentation, planes_of(facts))
    frames = _binary_frames(images) if kind == "binary" else _label_frames(images)
    with quietly():
        seg = _header(images, facts, originals, algorithm=algorithm, kind=kind)
        del seg.PixelData, seg.PerFrameFunctionalGroupsSequence
        seg.SharedFunctionalGroupsSequence[0].pop("SegmentIdentificationSequence", None)  # every frame has its own
        references = [_reference(one, image.frame) for one, image in zip(originals, facts.slices, strict=True)]
        groups: list[Dataset] = []
        packed = Bits() if kind == "binary" else RunLengths()
        for frame in frames:
            groups.append(_functional_groups(frame, facts, references))
            packed.put(frame.pixels)
        if kind == "binary":
            seg.SegmentsOverlap = "YES" if _overlap(images) else "NO"
        seg.PerFrameFunctionalGroupsSequence = groups
        seg.NumberOfFrames = len(groups)
        seg.PixelData = packed.joined()
        _reference_each_once(seg, originals)
        _name(seg, facts, [kind, algorithm.name, algorithm.version, algorithm.by, *images.names])
    save(seg, path)


def _header(
    images: Segmentation, facts: ScanFacts, originals: Sequence[Dataset], *, algorithm: Algorithm, kind: Kind
) -> Any:
    """Return a SEG of one frame that has everything but the frames."""
    from highdicom.seg import Segmentation as Seg
    from pydicom.uid import RLELossless

    columns, rows, n = images.grid.shape
    one_pixel = np.zeros((n, rows, columns), np.uint8)
    one_pixel[0, 0, 0] = 1
    seg: Any = Seg(
        source_images=_stand_ins(facts, originals),
        pixel_array=one_pixel,
        segmentation_type=kind.upper(),
        segment_descriptions=[_description(n, name, algorithm) for n, name in enumerate(images.names, start=1)],
        series_instance_uid="2.25.1",
        series_number=series_number(facts, _SERIES_OFFSET),
        sop_instance_uid="2.25.2",
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=algorithm.name,
        software_versions=ctatlas.__version__,
        device_serial_number=ctatlas.__version__,
        content_label="SEGMENTATION",
        content_description=f"{algorithm.name} {algorithm.version}"[:_LABEL_HOLDS],
        content_creator_name=f"{MANUFACTURER}^",
        specific_character_set="ISO_IR 192",
    )
    if kind == "labelmap":  # set late: highdicom would let gdcm encode, which may end the process
        seg.file_meta.TransferSyntaxUID = RLELossless
    seg.SeriesDescription = f"Segmentation ({algorithm.name})"[:_LABEL_HOLDS]
    seg.ContentDate, seg.ContentTime = moment(originals[0])
    del seg.InstanceCreationDate, seg.InstanceCreationTime
    for equipment in seg.get("ContributingEquipmentSequence", []):
        equipment.pop("ContributionDateTime", None)
    return seg


def _stand_ins(facts: ScanFacts, originals: Sequence[Dataset]) -> list[Dataset]:
    """Return a plain single-frame header for each image, whatever it was: what highdicom asks for, without oddities."""
    from copy import deepcopy

    from pydicom.valuerep import format_number_as_ds

    if facts.plane is None:
        raise ValueError("the scan was not read from a DICOM series")
    common = patient_and_study(originals[0], facts)
    common.Modality = "CT"
    common.SeriesInstanceUID = facts.series_uid
    common.FrameOfReferenceUID = frame_of_reference(facts)
    common.Rows, common.Columns = facts.plane.rows, facts.plane.columns
    common.PixelSpacing = [format_number_as_ds(mm) for mm in facts.plane.spacing_mm]
    common.ImageOrientationPatient = [format_number_as_ds(part) for part in facts.plane.orientation]
    common.SliceThickness = format_number_as_ds(_thickness_mm(originals[0]) or planes_of(facts).gap_mm)
    for keyword in EQUIPMENT:
        if value := originals[0].get(keyword):
            setattr(common, keyword, value)
    stand_ins = []
    for number, image in enumerate(facts.slices):
        stand_in = deepcopy(common)
        stand_in.SOPClassUID = _CT_IMAGE
        stand_in.SOPInstanceUID = f"2.25.{1000 + number}"  # frames of one image share theirs, which highdicom dislikes
        stand_in.ImagePositionPatient = [format_number_as_ds(mm) for mm in image.position_mm]
        stand_ins.append(stand_in)
    return stand_ins


def _thickness_mm(original: Dataset) -> float:
    """Return what a header says of it, 0 where that is nothing or no number."""
    try:
        return max(float(original.get("SliceThickness") or 0), 0.0)
    except (TypeError, ValueError):
        return 0.0


def _description(number: int, name: str, algorithm: Algorithm) -> Any:
    """Return number, label, codes, colour and maker of a segment."""
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    code = code_of(name)
    identification = AlgorithmIdentificationSequence(
        name=algorithm.name, family=codes.cid7162.ArtificialIntelligence, version=algorithm.version
    )
    segment = SegmentDescription(
        segment_number=number,
        segment_label=name[:_LABEL_HOLDS],
        segmented_property_category=CodedConcept.from_dataset(code.category.item()),
        segmented_property_type=CodedConcept.from_dataset(code.type.item()),
        algorithm_type=algorithm.by,
        algorithm_identification=None if algorithm.by == "MANUAL" else identification,
        display_color=CIELabColor.from_rgb(*color_of(name)),
    )
    _add_sides(segment, code)
    return segment


def _add_sides(segment: Dataset, code: StructureCode) -> None:
    if code.modifier:
        segment.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [code.modifier.item()]
    if code.region:
        segment.AnatomicRegionSequence = [code.region.item()]
        if code.region_modifier:
            segment.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [code.region_modifier.item()]


def _binary_frames(images: Segmentation) -> Iterator[_Frame]:
    """Yield a frame for each structure on each image where it is; where nothing is anywhere, a single empty one."""
    nothing = True
    for segment, (_, mask) in enumerate(images.items(), start=1):
        for image in np.flatnonzero(mask.any(axis=(0, 1))).tolist():
            nothing = False
            yield _Frame(segment, image, mask[:, :, image].T)
    if nothing:
        columns, rows, _ = images.grid.shape
        yield _Frame(1, 0, np.zeros((rows, columns), bool))


def _label_frames(images: Segmentation) -> Iterator[_Frame]:
    """Yield a frame of numbers for each image that shows anything; smaller structures lie on larger ones."""
    n_voxels = images.n_voxels()
    numbers = {name: number for number, name in enumerate(images.names, start=1)}
    labels = images.combined({name: numbers[name] for name in sorted(numbers, key=lambda name: -n_voxels[name])})
    shown = np.flatnonzero(labels.any(axis=(0, 1))).tolist()
    for image in shown or [0]:
        yield _Frame(0, image, labels[:, :, image].T)


def _overlap(images: Segmentation) -> bool:
    first, *others = images.layers or (np.zeros(1),)
    taken = first > 0
    for layer in others:
        if (taken & (layer > 0)).any():
            return True
        taken |= layer > 0
    return False


def _reference(original: Dataset, frame: int) -> Dataset:
    """Return an image as the source of a frame."""
    from pydicom import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID = original.SOPClassUID
    item.ReferencedSOPInstanceUID = original.SOPInstanceUID
    if "NumberOfFrames" in original:
        item.ReferencedFrameNumber = frame
    item.SpatialLocationsPreserved = "YES"
    item.PurposeOfReferenceCodeSequence = [_SOURCE_IMAGE.item()]
    return item


def _functional_groups(frame: _Frame, facts: ScanFacts, references: Sequence[Dataset]) -> Dataset:
    """Return what a frame is of and where it lies."""
    from pydicom import Dataset
    from pydicom.valuerep import format_number_as_ds

    item, derivation, content, place = Dataset(), Dataset(), Dataset(), Dataset()
    derivation.SourceImageSequence = [references[frame.image]]
    derivation.DerivationCodeSequence = [_SEGMENTATION.item()]
    item.DerivationImageSequence = [derivation]
    content.DimensionIndexValues = [*([frame.segment] if frame.segment else []), frame.image + 1]
    item.FrameContentSequence = [content]
    place.ImagePositionPatient = [format_number_as_ds(mm) for mm in facts.slices[frame.image].position_mm]
    item.PlanePositionSequence = [place]
    if frame.segment:
        segment = Dataset()
        segment.ReferencedSegmentNumber = frame.segment
        item.SegmentIdentificationSequence = [segment]
    return item


def _reference_each_once(seg: Dataset, originals: Sequence[Dataset]) -> None:
    """Name each image once, as what it is, also where many frames lie in one file."""
    firsts = {str(original.SOPInstanceUID): _plain_reference(original) for original in originals}
    seg.SourceImageSequence = list(firsts.values())
    seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence = list(firsts.values())


def _plain_reference(original: Dataset) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID = original.SOPClassUID
    item.ReferencedSOPInstanceUID = original.SOPInstanceUID
    return item


def _name(seg: Any, facts: ScanFacts, parts: list[str]) -> None:
    """Give the object UIDs that follow from what is in it."""
    content = name_of_content(facts, [*parts, hashlib.sha256(seg.PixelData).hexdigest()])
    seg.SeriesInstanceUID = derived_uid("seg series", content)
    seg.SOPInstanceUID = seg.file_meta.MediaStorageSOPInstanceUID = derived_uid("seg", content)
    dimensions = derived_uid("seg dimensions", content)
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = dimensions
