"""A CT series in which every voxel says its own index, so that a reader's position error is exact without a reference.

Value = index in (slice, row, column) order - 1000 HU, stored with an intercept of -1024.
Source: reference/volumes.md §11.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

ROWS, COLUMNS = 9, 7
FIRST_HU = -1000


@dataclass
class Phantom:
    """How to write a series; every field is one thing that real series do."""

    n_slices: int = 6
    spacing_mm: tuple[float, float] = (2.0, 1.5)  # between rows, between columns: never the same
    step_mm: float = 3.0
    row: tuple[float, float, float] = (1.0, 0.0, 0.0)
    column: tuple[float, float, float] = (0.0, 1.0, 0.0)
    first_mm: tuple[float, float, float] = (-51.0, -87.5, -310.25)
    position: Callable[[int, np.ndarray], np.ndarray] = lambda _, regular: regular
    change: Callable[[int, Dataset], None] = lambda _, __: None
    name: Callable[[int], str] = "{:03d}.dcm".format
    series_uid: str = field(default_factory=lambda: str(generate_uid(entropy_srcs=["series"])))
    number: int | None = 4
    description: str = "CT abdomen"
    patient_position: str = "HFS"
    without: tuple[int, ...] = ()

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.row, self.column)

    def write(self, folder: Path) -> Path:
        """Write one file per slice."""
        folder.mkdir(parents=True, exist_ok=True)
        for k in range(self.n_slices):
            if k not in self.without:
                self.save(self.slice(k), folder / self.name(k))
        return folder

    def save(self, dataset: Dataset, path: Path) -> None:
        dataset.save_as(path, enforce_file_format=True)

    def hu(self, k: int) -> np.ndarray:
        """Return slice k in HU, (rows, columns)."""
        return np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) + k * ROWS * COLUMNS + FIRST_HU

    def slice(self, k: int) -> Dataset:
        """Return slice k as a data set."""
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset = Dataset()
        dataset.file_meta = meta
        values: dict[str, Any] = {
            "SOPClassUID": CTImageStorage,
            "SOPInstanceUID": generate_uid(entropy_srcs=[self.series_uid, str(k)]),
            "StudyInstanceUID": generate_uid(entropy_srcs=["study"]),
            "SeriesInstanceUID": self.series_uid,
            "FrameOfReferenceUID": generate_uid(entropy_srcs=["frame"]),
            "Modality": "CT",
            "SeriesNumber": self.number,
            "SeriesDescription": self.description,
            "InstanceNumber": k + 1,
            "AcquisitionNumber": 1,
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "PatientPosition": self.patient_position,
            "Rows": ROWS,
            "Columns": COLUMNS,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelRepresentation": 1,
            "RescaleSlope": "1",
            "RescaleIntercept": "-1024",
            "RescaleType": "HU",
            "PixelSpacing": [f"{mm:.6g}" for mm in self.spacing_mm],
            "ImageOrientationPatient": [f"{c:.10f}"[:16] for c in (*self.row, *self.column)],
            "ImagePositionPatient": [f"{c:.8f}"[:16] for c in self.position(k, self.place(k))],
            "SliceThickness": "5.0",
            "SpacingBetweenSlices": "-7.0",  # as wrong as in real series
        }
        for name, value in values.items():
            setattr(dataset, name, value)
        set_stored(dataset, self.hu(k) + 1024)
        self.change(k, dataset)
        meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        return dataset

    def place(self, k: int) -> np.ndarray:
        """Return where the first pixel of slice k lies, LPS mm."""
        return np.array(self.first_mm) + self.normal * self.step_mm * k

    def true_mm(self, hu: int) -> np.ndarray:
        """Return where the voxel with this value lies by its slice's own header, RAS mm."""
        index = hu - FIRST_HU
        k, rest = divmod(index, ROWS * COLUMNS)
        row_index, column_index = divmod(rest, COLUMNS)
        between_rows, between_columns = self.spacing_mm
        lps = self.position(k, self.place(k)) + np.array(self.row) * between_columns * column_index
        return (lps + np.array(self.column) * between_rows * row_index) * (-1, -1, 1)

    @property
    def all_hu(self) -> range:
        return range(FIRST_HU, FIRST_HU + self.n_slices * ROWS * COLUMNS)


def set_stored(dataset: Dataset, stored: np.ndarray) -> None:
    """Put numbers into a data set, in its own bits and sign."""
    kind = f"<{'i' if dataset.PixelRepresentation else 'u'}{dataset.BitsAllocated // 8}"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.add_new("PixelData", "OW", stored.astype(kind).tobytes())


def oblique() -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return row and column directions that lie along no axis."""
    row = np.array([0.9, 0.3, -0.2])
    row /= np.linalg.norm(row)
    column = np.array([-0.1, 0.8, 0.5])
    column -= (column @ row) * row
    column /= np.linalg.norm(column)
    return tuple(row), tuple(column)
