"""Time a DICOM series -> Volume beside SimpleITK's series reader: `python benchmarks/read_dicom.py OUT.json`.

Both read the same 512 x 512 x 300 CT in turns, in one run, each in a fresh process that first has its packages and the
files in memory; peak memory is that of the process, less what it held before reading. Only ratios are worth comparing:
that of the medians, and between which the pairs lie.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import ctatlas

SIZE = 512
READERS = {
    "ctatlas": """
from ctatlas.volume import read
def run(folder):
    return read(Path(folder)).array.shape
""",
    "SimpleITK": """
import SimpleITK
def run(folder):
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
    return reader.Execute().GetSize()
""",
}
MEASURE = """
import json, os, resource, sys, time
from pathlib import Path
{reader}
folder, warm_up = sys.argv[1:]
run(warm_up)
for path in Path(folder).iterdir():
    path.read_bytes()
before = resource.getrusage(resource.RUSAGE_SELF)
resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
wall = time.perf_counter()
shape = run(folder)
wall = time.perf_counter() - wall
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
peak = after.ru_maxrss * 1024 - resident
print(json.dumps({{"shape": list(shape), "wall_s": wall, "cpu_s": cpu, "peak_memory_mb": peak / 1e6}}))
"""


def main(
    out: Path,
    pairs: Annotated[int, typer.Option(min=1)] = 7,
    slices: Annotated[int, typer.Option(min=3)] = 300,
) -> None:
    """Measure, and write a JSON of all runs and the ratios of their medians."""
    with tempfile.TemporaryDirectory() as place:
        folder = write_series(Path(place) / "ct", slices)
        warm_up = write_series(Path(place) / "warm", 3)
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in READERS}
        for _ in range(pairs):
            for name in READERS:
                runs[name].append(measured(name, folder, warm_up))
    medians = {
        name: {key: statistics.median(run[key] for run in of_one) for key in ("wall_s", "cpu_s", "peak_memory_mb")}
        for name, of_one in runs.items()
    }
    ratios = {key: medians["SimpleITK"][key] / medians["ctatlas"][key] for key in medians["ctatlas"]}
    by_pair = sorted(b["wall_s"] / a["wall_s"] for a, b in zip(runs["ctatlas"], runs["SimpleITK"], strict=True))
    report = {
        "what": f"DICOM series of {SIZE} x {SIZE} x {slices}, explicit little endian, 12 bits in 16, to memory",
        "version": ctatlas.__version__,
        "pairs": pairs,
        "SimpleITK_over_ctatlas": ratios,
        "wall_ratio_of_pairs": by_pair,
        "medians": medians,
        "runs": runs,
    }
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: value for name, value in report.items() if name != "runs"}, indent=1))


def measured(name: str, folder: Path, warm_up: Path) -> dict[str, float]:
    """Read once in a process of its own."""
    code = MEASURE.format(reader=READERS[name])
    command = [sys.executable, "-c", code, str(folder), str(warm_up)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def write_series(folder: Path, n_slices: int) -> Path:
    """Write a noisy CT with headers of usual length; file names are out of order."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    folder.mkdir()
    noise = np.random.default_rng(0).normal(1024, 60, (SIZE, SIZE))
    for k in range(n_slices):
        dataset, meta = Dataset(), FileMetaDataset()
        dataset.file_meta, meta.TransferSyntaxUID = meta, ExplicitVRLittleEndian
        for name, value in HEADER.items():
            setattr(dataset, name, value)
        dataset.SOPInstanceUID, dataset.InstanceNumber = f"1.2.3.4.{k + 1}", k + 1
        dataset.ImagePositionPatient = ["-180", "-180", f"{-100 + 1.5 * k:.1f}"]
        dataset.add_new(0x00090010, "LO", "BENCHMARK")
        for number in range(30):
            dataset.add_new(0x00091000 + number, "LO", f"private value {number}")
        stored = np.clip(noise + k, 0, 4095).astype("<u2")
        dataset.add_new("PixelData", "OW", stored.tobytes())
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, dataset.SOPInstanceUID
        dataset.save_as(folder / f"{k * 7 % n_slices:04d}-{k:04d}", enforce_file_format=True)
    return folder


HEADER = {
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
    "StudyInstanceUID": "1.2.3",
    "SeriesInstanceUID": "1.2.3.4",
    "FrameOfReferenceUID": "1.2.5",
    "Modality": "CT",
    "Manufacturer": "Benchmark",
    "PatientName": "Bench^Mark",
    "PatientID": "1",
    "StudyDate": "20260101",
    "StudyTime": "120000",
    "AcquisitionDate": "20260101",
    "AcquisitionTime": "120000",
    "SeriesNumber": 3,
    "SeriesDescription": "Abdomen 1.5 mm",
    "AcquisitionNumber": 1,
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "PatientPosition": "HFS",
    "KVP": "120",
    "SliceThickness": "1.5",
    "ConvolutionKernel": "B30f",
    "WindowCenter": "40",
    "WindowWidth": "400",
    "Rows": SIZE,
    "Columns": SIZE,
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16,
    "BitsStored": 12,
    "HighBit": 11,
    "PixelRepresentation": 0,
    "RescaleSlope": "1",
    "RescaleIntercept": "-1024",
    "RescaleType": "HU",
    "PixelSpacing": ["0.7", "0.7"],
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
}


if __name__ == "__main__":
    typer.run(main)
