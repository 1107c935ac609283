"""A patient with marks on the left, in front and toward the head, in every format, made and found without ctatlas.

Where the marks lie follows from the directions alone, so that nothing of ours can move them unseen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import nrrd
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from tests.volume.formats.dicom.enhanced import enhanced
from tests.volume.formats.dicom.phantom import Phantom, oblique

COLUMNS, ROWS, SLICES = 13, 11, 7
OFF_CENTRE_MM = {"left": (-6.0, 0.0, 0.0), "front": (0.0, 6.0, 0.0), "head": (0.0, 0.0, 6.0)}  # RAS
HU = {"left": 700, "front": 500, "head": 300}
LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

Places = Mapping[str, np.ndarray]  # mark -> where its voxels lie, (n, 3) RAS mm


@dataclass
class _Filled(Phantom):
    """A series of other voxels, (i, j, k)."""

    voxels: np.ndarray = field(default_factory=lambda: np.zeros((COLUMNS, ROWS, SLICES), np.int16))

    def hu(self, k: int) -> np.ndarray:
        return self.voxels[:, :, k].T.astype(int)


def _named(_: int, dataset: Dataset) -> None:
    """Give an image what other programs want to see in it."""
    dataset.PatientID, dataset.PatientName, dataset.PatientBirthDate, dataset.PatientSex = "1", "Doe^A", "", ""
    dataset.StudyID = dataset.AccessionNumber = dataset.StudyDate = dataset.StudyTime = ""


@dataclass(frozen=True)
class Lying:
    """How a patient lay in a scanner: directions of growing column and row index in LPS, and what DICOM calls it."""

    row: tuple[float, float, float]
    column: tuple[float, float, float]
    position: str = "HFS"
    spacing_mm: tuple[float, float, float] = (1.5, 2.0, 3.0)
    first_mm: tuple[float, float, float] = (-51.0, -87.5, -310.25)

    @property
    def lps(self) -> np.ndarray:
        """Return (column, row, slice) -> LPS mm, (4, 4)."""
        affine = np.eye(4)
        affine[:3, :3] = np.column_stack([self.row, self.column, np.cross(self.row, self.column)]) * self.spacing_mm
        affine[:3, 3] = self.first_mm
        return affine

    @property
    def ras(self) -> np.ndarray:
        """Return (column, row, slice) -> RAS mm, (4, 4)."""
        return LPS_RAS @ self.lps

    @property
    def centre_mm(self) -> np.ndarray:
        """Return the middle of the scan, RAS."""
        middle: np.ndarray = (self.ras @ [(COLUMNS - 1) / 2, (ROWS - 1) / 2, (SLICES - 1) / 2, 1])[:3]
        return middle

    def voxel(self, mark: str) -> tuple[int, int, int]:
        """Return the voxel of a mark: column, row, slice."""
        inside = np.linalg.inv(self.ras) @ [*(self.centre_mm + OFF_CENTRE_MM[mark]), 1]
        i, j, k = np.rint(inside[:3]).astype(int).tolist()
        return i, j, k

    def masks(self) -> dict[str, np.ndarray]:
        """Return a mask of one voxel for each mark."""
        masks = {mark: np.zeros((COLUMNS, ROWS, SLICES), bool) for mark in OFF_CENTRE_MM}
        for mark, mask in masks.items():
            mask[self.voxel(mark)] = True
        return masks

    def hu(self) -> np.ndarray:
        """Return a scan in which each mark has a value of its own, (i, j, k)."""
        array = np.full((COLUMNS, ROWS, SLICES), -900, np.int16, order="F")
        for mark, mask in self.masks().items():
            array[mask] = HU[mark]
        return array

    def series(self, folder: Path) -> Path:
        """Write the scan as DICOM, one image a file."""
        return self._phantom().write(folder)

    def enhanced(self, path: Path) -> None:
        """Write the scan as DICOM, all images in one file."""
        enhanced(self._phantom(), range(SLICES)).save_as(path, enforce_file_format=True)

    def _phantom(self) -> Phantom:
        between_columns, between_rows, step = self.spacing_mm
        how: dict[str, Any] = {"row": self.row, "column": self.column, "first_mm": self.first_mm, "step_mm": step}
        return _Filled(
            n_slices=SLICES,
            spacing_mm=(between_rows, between_columns),
            change=_named,
            patient_position=self.position,
            voxels=self.hu(),
            **how,
        )

    def check(self, found: Places) -> None:
        """Demand that every mark is one voxel, where it was, on its side of the patient."""
        assert set(found) == set(OFF_CENTRE_MM)
        for mark, off_centre in OFF_CENTRE_MM.items():
            assert found[mark].shape == (1, 3), f"{mark} is in {len(found[mark])} places"
            expected = (self.ras @ [*self.voxel(mark), 1])[:3]
            assert found[mark][0] == pytest.approx(expected, abs=1e-3), mark
            assert (found[mark][0] - self.centre_mm) @ off_centre > 0, f"the mark {mark} lies on the other side"


def _turned(row: np.ndarray, column: np.ndarray, degrees: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Turn both directions about the axis of the scanner's table."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return tuple(turn @ row), tuple(turn @ column)


def _lying(row: object, column: object, position: str = "HFS", degrees: float = 0.0) -> Lying:
    return Lying(*_turned(np.array(row), np.array(column), degrees), position)  # type: ignore[arg-type]


LYING = {
    "LPS": _lying((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    "RAS": _lying((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0)),
    "oblique": Lying(*oblique()),
    "feet first": _lying((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), "FFS", 4.0),
    "prone": _lying((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), "HFP", -7.0),
}


# Scans, written by others and found by others.


def _nibabel_scan(lying: Lying, path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(lying.hu(), lying.ras), path)


def _simpleitk_scan(lying: Lying, path: Path) -> None:
    SimpleITK.WriteImage(_image(lying, lying.hu()), path)


def _dicom_scan(lying: Lying, path: Path) -> None:
    lying.enhanced(path) if path.suffix else lying.series(path)


def _image(lying: Lying, array: np.ndarray) -> Any:
    image = SimpleITK.GetImageFromArray(array.transpose(2, 1, 0))
    image.SetSpacing(lying.spacing_mm)
    image.SetOrigin(lying.first_mm)
    image.SetDirection((lying.lps[:3, :3] / lying.spacing_mm).ravel().tolist())
    return image


SCANS_OF_OTHERS: dict[str, tuple[tuple[str, ...], Callable[[Lying, Path], object]]] = {
    "dicom": (("", ".dcm"), _dicom_scan),
    "metaimage": ((".mha", ".mhd"), _simpleitk_scan),
    "nifti": ((".nii", ".nii.gz"), _nibabel_scan),
    "nrrd": ((".nrrd", ".nhdr"), _simpleitk_scan),
}


def marks_of_scan(path: Path) -> list[Places]:
    """Return where others find the marks of a scan."""
    image = SimpleITK.ReadImage(path)
    array = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)
    seen = [{mark: _points(image, array == hu) for mark, hu in HU.items()}]
    if ".nii" in path.name:
        other = nibabel.load(path)
        voxels = np.asanyarray(other.dataobj)
        seen.append({mark: placed(voxels == hu, other.affine) for mark, hu in HU.items()})
    return seen


def placed(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return where the voxels of a mask lie, (n, 3)."""
    return nibabel.affines.apply_affine(affine, np.argwhere(mask))


def _points(image: Any, mask: np.ndarray) -> np.ndarray:
    lps = [image.TransformIndexToPhysicalPoint(voxel) for voxel in np.argwhere(mask).tolist()]
    return np.array(lps).reshape(-1, 3) * (-1, -1, 1)


# Masks, written by others.


def _mask_folder(lying: Lying, path: Path, _: Path) -> None:
    path.mkdir()
    for mark, mask in lying.masks().items():
        nibabel.save(nibabel.Nifti1Image(mask.astype(np.uint8), lying.ras), path / f"{mark}.nii.gz")


def _labels(lying: Lying) -> np.ndarray:
    labels = np.zeros((COLUMNS, ROWS, SLICES), np.uint8)
    for number, mask in enumerate(lying.masks().values(), start=1):
        labels[mask] = number
    return labels


def _label_map(lying: Lying, path: Path, _: Path) -> None:
    if ".nii" in path.name:
        nibabel.save(nibabel.Nifti1Image(_labels(lying), lying.ras), path)
    else:
        SimpleITK.WriteImage(_image(lying, _labels(lying)), path)
    names = dict(enumerate(HU, start=1))
    path.with_name("labels.json").write_text(json.dumps(names))


def _slicer(lying: Lying, path: Path, _: Path) -> None:
    header: dict[str, Any] = {
        "space": "left-posterior-superior",
        "space directions": lying.lps[:3, :3].T,
        "space origin": lying.lps[:3, 3],
        "kinds": ["domain"] * 3,
        "Segmentation_MasterRepresentation": "Binary labelmap",
    }
    for number, mark in enumerate(HU):
        header |= {f"Segment{number}_ID": f"Segment_{number + 1}", f"Segment{number}_Name": mark}
        header |= {f"Segment{number}_LabelValue": str(number + 1), f"Segment{number}_Layer": "0"}
    nrrd.write(str(path), _labels(lying), header)


def _highdicom(lying: Lying, path: Path, series: Path) -> None:
    images = [pydicom.dcmread(file) for file in sorted(series.iterdir())]
    segments = [
        highdicom.seg.SegmentDescription(
            number, mark, codes.SCT.Organ, codes.SCT.Organ, highdicom.seg.SegmentAlgorithmTypeValues.MANUAL
        )
        for number, mark in enumerate(HU, start=1)
    ]
    made = highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=_labels(lying).transpose(2, 1, 0),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=generate_uid(),
        series_number=2,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="other",
        manufacturer_model_name="other",
        software_versions="1",
        device_serial_number="1",
    )
    made.save_as(path)


def _contours(lying: Lying, path: Path, series: Path) -> None:
    """Write an RTSTRUCT with a square around the middle of each mark's voxel."""
    image = pydicom.dcmread(next(series.iterdir()))
    rt = Dataset()
    rt.SOPClassUID, rt.SOPInstanceUID, rt.Modality = RTStructureSetStorage, generate_uid(), "RTSTRUCT"
    rt.StudyInstanceUID, rt.SeriesInstanceUID = image.StudyInstanceUID, generate_uid()
    rt.StructureSetLabel = "other"
    rt.file_meta = pydicom.dataset.FileMetaDataset()
    rt.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    rt.file_meta.MediaStorageSOPClassUID, rt.file_meta.MediaStorageSOPInstanceUID = rt.SOPClassUID, rt.SOPInstanceUID
    rt.StructureSetROISequence, rt.ROIContourSequence = [], []
    for number, mark in enumerate(HU, start=1):
        i, j, k = lying.voxel(mark)
        corners = [(i + a, j + b, k, 1) for a, b in ((-0.4, -0.4), (0.4, -0.4), (0.4, 0.4), (-0.4, 0.4))]
        roi, line, drawn = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, mark, image.FrameOfReferenceUID
        line.ContourGeometricType, line.NumberOfContourPoints = "CLOSED_PLANAR", 4
        line.ContourData = [f"{mm:.4f}" for corner in corners for mm in (lying.lps @ corner)[:3]]
        drawn.ReferencedROINumber, drawn.ContourSequence = number, [line]
        rt.StructureSetROISequence.append(roi)
        rt.ROIContourSequence.append(drawn)
    dcmwrite(path, rt, enforce_file_format=True)


MASKS_OF_OTHERS: dict[str, tuple[tuple[str, ...], Callable[[Lying, Path, Path], None]]] = {
    "masks": (("masks",), _mask_folder),
    "labels": (("labels.nii.gz", "labels.nii", "labels.nrrd", "labels.nhdr", "labels.mha", "labels.mhd"), _label_map),
    "seg-nrrd": (("x.seg.nrrd",), _slicer),
    "dicom-seg": (("seg.dcm",), _highdicom),
    "rtstruct": (("rt.dcm",), _contours),
}


# Masks, found by others.


def _in_mask_folder(path: Path) -> Places:
    images = {file.name.removesuffix(".nii.gz"): nibabel.load(file) for file in path.iterdir()}
    return {name: placed(np.asanyarray(image.dataobj) != 0, image.affine) for name, image in images.items()}


def _in_label_map(path: Path) -> Places:
    names = json.loads(next(path.parent.glob(f"{path.name.split('.')[0]}*.json")).read_text())
    image = nibabel.load(path)
    labels = np.asanyarray(image.dataobj)
    return {name: placed(labels == int(number), image.affine) for number, name in names.items()}


def _in_slicer_file(path: Path) -> Places:
    image = SimpleITK.ReadImage(path)
    labels = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)
    told = nrrd.read_header(str(path))
    n = sum(key.endswith("_Name") for key in told)
    return {
        told[f"Segment{each}_Name"]: _points(image, labels == int(told[f"Segment{each}_LabelValue"]))
        for each in range(n)
    }


def _in_dicom_seg(path: Path) -> Places:
    """Read the frames of a SEG by what each says about itself."""
    seg = pydicom.dcmread(path)
    pixels = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    names = {int(one.SegmentNumber): one.SegmentLabel for one in seg.SegmentSequence if one.SegmentNumber}
    shared = seg.SharedFunctionalGroupsSequence[0]
    between_rows, between_columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    points: dict[str, list[np.ndarray]] = {name: [] for name in names.values()}
    for frame, group in zip(pixels, seg.PerFrameFunctionalGroupsSequence, strict=True):
        first = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        for row, column in np.argwhere(frame):
            number = int(frame[row, column])
            if "SegmentIdentificationSequence" in group:
                number = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
            lps = first + cosines[:3] * between_columns * column + cosines[3:] * between_rows * row
            points[names[number]].append(lps * (-1, -1, 1))
    return {_lower(name): np.array(found) for name, found in points.items()}


def _in_rtstruct(path: Path) -> Places:
    """Return the middles of the lines of an RTSTRUCT."""
    rt = pydicom.dcmread(path)
    names = {int(one.ROINumber): one.ROIName for one in rt.StructureSetROISequence}
    return {
        _lower(names[int(drawn.ReferencedROINumber)]): np.array(
            [
                np.reshape(line.ContourData, (-1, 3)).astype(float).mean(0) * (-1, -1, 1)
                for line in drawn.ContourSequence
            ]
        )
        for drawn in rt.ROIContourSequence
    }


def _lower(name: str) -> str:
    return str(name).lower().replace(" ", "_")


MASKS_FOR_OTHERS: dict[str, tuple[str, Callable[[Path], Places]]] = {
    "masks": ("masks", _in_mask_folder),
    "labels": ("all.nii.gz", _in_label_map),
    "seg-nrrd": ("all.seg.nrrd", _in_slicer_file),
    "dicom-seg": ("seg.dcm", _in_dicom_seg),
    "dicom-labelmap": ("labelmap.dcm", _in_dicom_seg),
    "rtstruct": ("rt.dcm", _in_rtstruct),
}
