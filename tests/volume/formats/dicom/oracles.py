"""Programs of other people that judge or read what we write; a test that wants one skips where it is not installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ctatlas.volume import Grid


def program(name: str, package: str) -> str:
    """Return a program's path, or skip the test."""
    beside_python = Path(sys.executable).with_name(name)
    found = str(beside_python) if beside_python.is_file() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed ({package})")
    return found


def run(*words: object) -> str:
    """Run a program and return what it said; its exit code is not the verdict."""
    done = subprocess.run([str(word) for word in words], capture_output=True, check=False, timeout=120)
    return (done.stdout + done.stderr).decode(errors="replace")


def dciodvfy_errors(path: Path) -> list[str]:
    """Return what dicom3tools finds wrong with a DICOM file."""
    said = run(program("dciodvfy", "Debian: dicom3tools"), "-new", path)
    return [line for line in said.splitlines() if line.startswith("Error")]


def dcmqi_masks(path: Path, folder: Path) -> dict[str, tuple[np.ndarray, Grid]]:
    """Return what dcmqi reads from a SEG: segment label -> labels and grid; one for all in a label map."""
    import json

    folder.mkdir()
    run(
        program("segimage2itkimage", "PyPI: dcmqi"),
        *("--inputDICOM", path, "--outputDirectory", folder, "-t", "nrrd", "-p", "found"),
    )
    told = json.loads((folder / "found-meta.json").read_text())["segmentAttributes"]
    files = sorted(folder.glob("*.nrrd"), key=lambda file: int(file.stem.split("-")[-1]))
    labels = [", ".join(one["SegmentLabel"] for one in group) for group in told]
    return {label: nrrd(file) for label, file in zip(labels, files, strict=True)}


def plastimatch_masks(path: Path, ct: Path, folder: Path) -> dict[str, tuple[np.ndarray, Grid]]:
    """Return what plastimatch draws of an RTSTRUCT on its CT: ROI name -> mask and grid."""
    said = run(
        program("plastimatch", "Debian: plastimatch"),
        *("convert", "--input", path, "--referenced-ct", ct, "--output-prefix", folder, "--prefix-format", "nrrd"),
    )
    assert folder.is_dir(), said
    return {file.stem: nrrd(file) for file in sorted(folder.glob("*.nrrd"))}


def nrrd(path: Path) -> tuple[np.ndarray, Grid]:
    """Read an NRRD file in LPS."""
    import nrrd as pynrrd

    array, header = pynrrd.read(str(path))
    assert header["space"] == "left-posterior-superior"
    affine = np.eye(4)
    affine[:3, :3] = header["space directions"].T
    affine[:3, 3] = header["space origin"]
    return array, Grid(array.shape, np.diag([-1, -1, 1, 1]) @ affine)


def on(found: tuple[np.ndarray, Grid], grid: Grid) -> np.ndarray:
    """Return another reader's array on a grid, by looking up the world positions of its voxels; 0 outside."""
    array, theirs = found
    voxels = np.rint(theirs.voxel(grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)))).astype(int)
    inside = ((voxels >= 0) & (voxels < array.shape)).all(axis=-1)
    values = np.zeros(grid.shape, array.dtype)
    values[inside] = array[tuple(voxels[inside].T)]
    return values
