"""Measure reading and writing of image files against nibabel: `python benchmarks/volumes_io.py OUT.json [--data …]`.

A CT of 512 x 512 x 300: the real CT `crlm-1004` with its 41 slices mirrored over and over (farther apart than gzip
looks back), or without development data a phantom. 25 masks: the largest structures of a phantom, on as many voxels.
Every ratio is the median over rounds in which both took turns, in one process. Peak memory is that of a fresh process
each (Linux only).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import nibabel
import numpy as np
import typer

import ctatlas
from ctatlas.synthesis.cases import draw_case, make_case
from ctatlas.volume import Grid, Segmentation, Volume, read, read_segmentation, write

SHAPE = (512, 512, 300)
N_MASKS = 25
ROUNDS = 7
_PEAK = """
import re
from pathlib import Path
import nibabel, isal.igzip
from ctatlas.volume import read
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
{code}
print(peak() - before)
"""
_READ_OURS = "read({path!r}).array"
_READ_THEIRS = "nibabel.load({path!r}).get_fdata()"


def main(
    out: Path, data: Annotated[Path, typer.Option(help="The folder of development data.")] = Path("../shared/data")
) -> None:
    """Write every figure to OUT, and print it."""
    case = make_case(draw_case(7, 0, shape=(256, 256, 150)))
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            "ctatlas": ctatlas.__version__,
            "nibabel": nibabel.__version__,
            "median of rounds": ROUNDS,
            **scan_figures(scan(data, case.volume), Path(folder)),
            **mask_figures(masks(case.truth), Path(folder)),
        }
    out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(out.read_text(encoding="utf-8"))


def scan(data: Path, phantom: Volume) -> Volume:
    """Return a CT of the benchmark's size."""
    real = data / "torso_ct" / "crlm-1004_ct.nii.gz"
    if real.is_file():
        slices = read(real)
        more = SHAPE[2] - slices.grid.shape[2]
        array = np.pad(slices.array, ((0, 0), (0, 0), (0, more)), mode="reflect")
        return Volume(np.asfortranarray(array), Grid(SHAPE, slices.grid.affine))
    noise = np.random.default_rng(0).normal(0, 12, SHAPE)
    array = phantom.array.repeat(2, 0).repeat(2, 1).repeat(2, 2) + np.rint(noise).astype(np.int16)
    return Volume(np.asfortranarray(array), Grid(SHAPE, phantom.grid.affine))


def masks(truth: Segmentation) -> dict[str, np.ndarray]:
    """Return the largest structures of a phantom on the benchmark's voxels."""
    sizes = truth.n_voxels()
    largest = sorted(sizes, key=lambda name: -sizes[name])[:N_MASKS]
    return {name: np.asfortranarray(truth.mask(name).repeat(2, 0).repeat(2, 1).repeat(2, 2)) for name in largest}


def scan_figures(volume: Volume, folder: Path) -> dict[str, object]:
    """Measure reading and writing of one CT."""
    ours, theirs = folder / "ours.nii.gz", folder / "theirs.nii.gz"
    image = nibabel.Nifti1Image(volume.array, volume.grid.affine)
    writing = race({"ours": lambda: write(volume, ours), "nibabel": lambda: nibabel.save(image, theirs)})
    reading = race({"ours": lambda: read(theirs), "nibabel": lambda: nibabel.load(theirs).get_fdata()})
    if not np.array_equal(np.asanyarray(nibabel.load(ours).dataobj), volume.array):
        raise ValueError("what was written is not what nibabel reads")
    peaks = {"ours": peak_mib(_READ_OURS, theirs), "nibabel": peak_mib(_READ_THEIRS, theirs)}
    bytes_ours, bytes_theirs = ours.stat().st_size, theirs.stat().st_size
    return {
        "read CT, s": medians(reading),
        "read CT, times as fast": times_as_fast(reading),
        "read CT, peak MiB above the imports": peaks,
        "read CT, peak relative to nibabel": round(peaks["ours"] / peaks["nibabel"], 3),
        "write CT, s": medians(writing),
        "write CT, times as fast": times_as_fast(writing),
        "write CT, bytes relative to nibabel": round(bytes_ours / bytes_theirs, 4),
    }


def mask_figures(arrays: dict[str, np.ndarray], folder: Path) -> dict[str, object]:
    """Measure writing of a segmentation to a folder of masks."""
    grid = Grid(SHAPE, np.diag([-0.8, -0.8, 1.5, 1.0]))
    segmentation = Segmentation.from_masks(grid, arrays)

    def save_all() -> None:
        for name, mask in arrays.items():
            nibabel.save(nibabel.Nifti1Image(mask.view(np.uint8), grid.affine), folder / f"{name}.nii.gz")

    writing = race({"ours": lambda: write(segmentation, folder / "masks"), "nibabel": save_all})
    back = read_segmentation(folder / "masks")
    if not all(np.array_equal(back.mask(name), mask) for name, mask in arrays.items()):
        raise ValueError("what was written is not what is read")
    n_bytes = [sum(file.stat().st_size for file in place.glob("*.nii.gz")) for place in (folder / "masks", folder)]
    n_bytes[1] -= sum((folder / name).stat().st_size for name in ("ours.nii.gz", "theirs.nii.gz"))
    return {
        f"write {len(arrays)} masks, s": medians(writing),
        f"write {len(arrays)} masks, times as fast": times_as_fast(writing),
        f"write {len(arrays)} masks, bytes relative to nibabel": round(n_bytes[0] / n_bytes[1], 4),
    }


def race(runners: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Run each in turn, several times, and return the seconds of each round."""
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(ROUNDS):
        for name, run in runners.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def medians(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Return the median seconds of each."""
    return {name: round(statistics.median(times), 3) for name, times in seconds.items()}


def times_as_fast(seconds: dict[str, list[float]]) -> float:
    """Return how many times as fast we are, the median of the rounds."""
    pairs = zip(seconds["nibabel"], seconds["ours"], strict=True)
    return round(statistics.median(theirs / ours for theirs, ours in pairs), 2)


def peak_mib(code: str, path: Path) -> float:
    """Return how much memory a process of its own takes for a piece of code, above what its imports took."""
    text = _PEAK.format(code=code.format(path=str(path)))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return round(int(done.stdout) / 1024, 1)


if __name__ == "__main__":
    typer.run(main)
