"""Make the picture of defects in the manual: two series as they come, taken for upright and whole, and repaired.

Run it from the root of the repository:  python scripts/make_docs_defects.py
It draws a tilted series and one with missing slices out of the sample scan (CC BY 3.0), writes them as DICOM into a
temporary folder and reads them with `--repair`'s own code.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from make_docs_pictures import INK, PAPER, SCAN, TARGET, drawn, save
from matplotlib.figure import Figure
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from scipy.ndimage import map_coordinates

import ctatlas
from ctatlas.results.preview import WINDOW_HU
from ctatlas.volume import Choices, read

if TYPE_CHECKING:
    from PIL import Image

TILT = np.deg2rad(18)
PIXEL_MM, STEP_MM, SHOWN_MM, SIZE = 2.8125, 5.0, 1.25, 128
MISSING = range(26, 30)


def series(scan: ctatlas.Volume, folder: Path, tilt: float, without: range) -> np.ndarray:
    """Write slices of a scan as a gantry with this tilt makes them; return the array of who ignores all that."""
    row, column = np.array([1.0, 0, 0]), np.array([0, np.cos(tilt), np.sin(tilt)])
    corner = scan.grid.world((0, 0, 0)) * (-1, -1, 1)
    start = corner - column * PIXEL_MM * SIZE / 2 + (0, PIXEL_MM * SIZE / 2, 0)  # leaning about the middle
    kept = [k for k in range(int(scan.grid.shape[2] * scan.grid.spacing_mm[2] / STEP_MM)) if k not in without]
    slices = [slice_of(scan, start + np.array([0, 0, k * STEP_MM]), row, column) for k in kept]
    uid = generate_uid()
    for k, values in zip(kept, slices, strict=True):
        place = start + np.array([0, 0, k * STEP_MM])
        one = data_set(uid, k, ImagePositionPatient=[f"{x:.6f}" for x in place], Rows=SIZE, Columns=SIZE,
                       ImageOrientationPatient=[f"{x:.10f}" for x in (*row, *column)])  # fmt: skip
        one.add_new("PixelData", "OW", values.astype("<i2").tobytes())
        one.save_as(folder / f"{k}.dcm", enforce_file_format=True)
    return np.stack(slices)


def slice_of(scan: ctatlas.Volume, first: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Sample a plane of a scan in LPS order, (rows, columns)."""
    down, across = np.mgrid[:SIZE, :SIZE] * PIXEL_MM
    places = (first[:, None, None] + row[:, None, None] * across + column[:, None, None] * down).reshape(3, -1)
    voxels = scan.grid.voxel(places.T * (-1, -1, 1)).T
    return np.rint(map_coordinates(scan.array, voxels, order=1, cval=-1024)).reshape(SIZE, SIZE)


def data_set(series_uid: str, k: int, **values: Any) -> Dataset:
    """Return the header of slice k."""
    one, meta = Dataset(), FileMetaDataset()
    common = {
        "SOPClassUID": CTImageStorage, "SOPInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid(
            entropy_srcs=["study"]), "SeriesInstanceUID": series_uid, "FrameOfReferenceUID": series_uid,
        "Modality": "CT", "SeriesNumber": 1, "InstanceNumber": k + 1, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16,
        "HighBit": 15, "PixelRepresentation": 1, "RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": "HU",
        "PixelSpacing": [PIXEL_MM, PIXEL_MM],
    }  # fmt: skip
    for name, value in (common | values).items():
        setattr(one, name, value)
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    one.file_meta = meta
    return one


def defects() -> Image.Image:
    """Draw sagittal planes of both series, naively stacked and repaired, all on one scale."""
    scan = ctatlas.read(SCAN).reoriented("LPS")
    figure = Figure(figsize=(9.6, 2.5), facecolor=PAPER)
    cases = {"tilted by 18°": (TILT, range(0)), f"{len(MISSING)} slices missing": (0.0, MISSING)}
    for n, (name, (tilt, without)) in enumerate(cases.items()):
        with tempfile.TemporaryDirectory() as folder:
            naive = series(scan, Path(folder), tilt, without)
            whole = read(folder, Choices(repair=True))
        stacked = naive[:, :, SIZE // 2].repeat(round(STEP_MM / SHOWN_MM), axis=0)
        x = float(whole.grid.world(np.array(whole.grid.shape) / 2)[0])
        pane(figure, 2 * n + 1, stacked, (PIXEL_MM, SHOWN_MM), f"{name}: not repaired")
        pane(figure, 2 * n + 2, sagittal(whole, scan.grid, x), (SHOWN_MM, SHOWN_MM), "read with --repair")
    figure.subplots_adjust(left=0.01, right=0.99, top=0.92, bottom=0.02, wspace=0.04)
    return drawn(figure)


def sagittal(scan: ctatlas.Volume, box: ctatlas.volume.Grid, x: float) -> np.ndarray:
    """Sample the plane of world axes at x within a box, rows toward superior, columns toward posterior."""
    low, high = box.corners_mm.min(axis=0), box.corners_mm.max(axis=0)
    z, y = np.meshgrid(np.arange(low[2], high[2], SHOWN_MM), np.arange(high[1], low[1], -SHOWN_MM), indexing="ij")
    voxels = scan.grid.voxel(np.stack([np.full(y.size, x), y.ravel(), z.ravel()], axis=1)).T
    return map_coordinates(scan.array, voxels, order=1, cval=-1024).reshape(z.shape)


def pane(figure: Figure, place: int, values: np.ndarray, step_mm: tuple[float, float], title: str) -> None:
    """Draw a plane, (rows, columns) of these steps across and up."""
    low, high = WINDOW_HU
    rows, columns = values.shape
    axes = figure.add_subplot(1, 4, place, facecolor="black")
    axes.imshow(
        values, cmap="gray", vmin=low, vmax=high, origin="lower", extent=(0, columns * step_mm[0], 0, rows * step_mm[1])
    )
    axes.set(xlim=(0, 370), ylim=(0, 340), xticks=[], yticks=[])
    axes.set_title(title, color=INK, fontsize=8)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", type=Path, default=TARGET)
    save(defects(), parser.parse_args().target / "defects.png")
