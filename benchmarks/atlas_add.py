"""How many files a second `ctatlas add` recognises as known, and how well near copies are told from other people.

python benchmarks/atlas_add.py --files 10000 --phantoms 8

The rate is that of the work without the program's start, and that of the whole command, the start included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy import ndimage

from ctatlas.atlas import Atlas, AtlasConfig
from ctatlas.atlas.add import Ask, known_to, listed, origin_of, plan
from ctatlas.atlas.add.body import coarse_body
from ctatlas.atlas.add.fingerprint import fingerprint
from ctatlas.atlas.add.likeness import NEARLY, likeness, turned_likeness
from ctatlas.atlas.records import CaseRecord, GridRecord, write_record
from ctatlas.synthesis.cases import draw_case, make_case
from ctatlas.synthesis.intensities import draw_intensities
from ctatlas.volume import Grid, Volume, box_of, read, write_volume
from ctatlas.volume.deidentify import Key
from ctatlas.volume.listing import is_mask

KEY = Key(bytes(32))
SHAPE = (96, 80, 80)


def main() -> None:
    """Measure and print."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("out", type=Path, nargs="?", help="Where to write the figures, JSON.")
    words.add_argument("--files", type=int, default=10_000)
    words.add_argument("--phantoms", type=int, default=8)
    words.add_argument("--scans", type=Path, help="A folder of real scans (.nii.gz) to compare, too.")
    asked = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rate = known_per_second(Path(folder), asked.files)
        wall_s, cpu_s = command(Path(folder))
    figures: dict[str, dict[str, float]] = {
        "known files": {"n": asked.files, "a second": rate},
        "whole command": {"a second": asked.files / wall_s, "wall s": wall_s, "CPU s": cpu_s},
    }
    scans = {f"phantom {n}": make_case(draw_case(0, n, shape=SHAPE, exact=False)).volume for n in range(asked.phantoms)}
    real = sorted(asked.scans.glob("*.nii.gz")) if asked.scans else []
    scans |= {path.name: read(path) for path in real if not is_mask(path)}
    figures |= compare(scans)
    figures["two phases of one body"] = compare_phases(asked.phantoms)
    for what, values in figures.items():
        print(f"{what}: " + ", ".join(f"{name} {value:.4g}" for name, value in values.items()))
    if asked.out:
        asked.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def known_per_second(folder: Path, n: int) -> float:
    """List and sort a folder of `n` files that an atlas knows; nothing is read."""
    source, atlas = folder / "source", Atlas.create(folder / "atlas", AtlasConfig(name="known"))
    source.mkdir()
    grid = Grid((9, 8, 7), np.diag([1.0, 1.0, 2.0, 1.0]))
    write_volume(Volume(np.full(grid.shape, -5, np.int16), grid), folder / "one.nii.gz")
    content = (folder / "one.nii.gz").read_bytes()
    for number in range(n):
        (source / f"s{number:06d}.nii.gz").write_bytes(content)
    for entry in plan(atlas, listed(source, Ask()), known_to(atlas), KEY).entries:
        place = atlas.place.case(entry.case)
        place.folder.mkdir()
        record = CaseRecord(
            case=entry.case,
            dataset="source",
            dataset_case=entry.case,
            grid=GridRecord.of(grid),
            origin=entry.origin,
            origin_stamp=entry.stamp,
            ct_sha256="0",
            voxels_sha256=entry.origin,
            fingerprint="00" * 64 * 30,
        )
        write_record(record, place.record)
    atlas.synchronise()
    began = time.perf_counter()
    known = known_to(atlas)
    ask = Ask(is_known=lambda path: origin_of(path, "", KEY) in known.origins)
    planned = plan(atlas, listed(source, ask), known, KEY)
    took_s = time.perf_counter() - began
    if len(planned.known) != n:
        sys.exit(f"only {len(planned.known)} of {n} files were known")
    return n / took_s


def command(folder: Path, repeats: int = 3) -> tuple[float, float]:
    """Return the seconds of `ctatlas add` on what `known_per_second` left, and those of a processor; the best count."""
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_text(KEY.secret.hex() + "\n")
    call = [sys.executable, "-m", "ctatlas", "add", folder / "atlas", folder / "source", "--key", key, "--quiet"]
    times = []
    for _ in range(repeats):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(call, check=True)
        wall_s, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append((wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    return min(times)


def compare(scans: dict[str, Volume]) -> dict[str, dict[str, float]]:
    """Return how alike different scans are at most, and copies at least."""
    pictures = {name: fingerprint(scan) for name, scan in scans.items()}
    different = [how_alike(pictures[one], pictures[other]) for one, other in combinations(pictures, 2)]
    likenesses: dict[str, list[float]] = {}
    for name, scan in scans.items():
        for what, copy in copies_of(scan.reoriented("RAS")).items():
            likenesses.setdefault(what, []).append(how_alike(fingerprint(copy), pictures[name]))
    told = {"different scans": _told(different)} if different else {}
    return told | {what: _told(values) for what, values in likenesses.items()}


def _told(values: list[float]) -> dict[str, float]:
    return {
        "n": len(values),
        "found": sum(value >= NEARLY for value in values),
        "lowest": min(values),
        "median": float(np.median(values)),
        "highest": max(values),
    }


def how_alike(one: str, other: str) -> float:
    """Return how alike two pictures are, as they lie or in any way that a wrong header may have turned them."""
    return max(likeness(one, other), turned_likeness(one, other).value)


def compare_phases(n: int) -> dict[str, float]:
    """Return how alike two contrast phases of one phantom are, the later one with the body moved by 17 mm."""
    values = []
    for number in range(n):
        plan = draw_case(0, number, shape=SHAPE, exact=False)
        x, y, z = plan.first_voxel_mm
        pictures = []
        for phase, moved in (("native", plan.first_voxel_mm), ("portal", (x + 4, y - 3, z + 17))):
            drawn = draw_intensities(np.random.default_rng(number), randomise=False, spread=1.0, phase=phase)
            pictures.append(fingerprint(make_case(replace(plan, intensities=drawn, first_voxel_mm=moved)).volume))
        values.append(how_alike(*pictures))
    return _told(values)


def resampled(scan: Volume, mm: float) -> Volume:
    """Return a scan on a grid of voxels of one length, values linear between the old ones."""
    grid = scan.grid.resampled((mm, mm, mm))
    to_old = np.linalg.inv(scan.grid.affine) @ grid.affine
    values = ndimage.affine_transform(
        scan.array.astype(np.float32), to_old[:3, :3], to_old[:3, 3], grid.shape, order=1, mode="nearest"
    )
    return Volume(np.asfortranarray(np.rint(values).astype(np.int16)), grid)


def copies_of(scan: Volume) -> dict[str, Volume]:
    """Return copies as releases and exports make them."""
    i, j, k = scan.grid.shape
    x_mm, y_mm, z_mm = scan.grid.spacing_mm
    low, high = np.array(scan.grid.shape) // 20, np.array(scan.grid.shape) - np.array(scan.grid.shape) // 20
    body, steps = coarse_body(scan)
    box = box_of(body) or (slice(None),) * 3
    ends = [(side.start * step, min(side.stop * step, n)) for side, step, n in zip(box, steps, (i, j, k), strict=True)]
    noise = np.random.default_rng(0).normal(0, 20, scan.array.shape)
    every_second = Grid((i, j, len(range(0, k, 2))), scan.grid.affine @ np.diag([1.0, 1.0, 2.0, 1.0]))
    coarser = Grid((len(range(0, i, 2)), len(range(0, j, 2)), k), scan.grid.affine @ np.diag([2.0, 2.0, 1.0, 1.0]))
    return {
        "resampled to 1.5 mm": resampled(scan, 1.5),
        "resampled to 3 mm": resampled(scan, 3.0),
        "another order of axes": scan.reoriented("LPS"),
        "cropped by 10 % along each axis": scan.crop(low, high),
        "1.5 mm, cropped by 10 %, clipped to ±1000": _clipped(resampled(scan.crop(low, high), 1.5), -1000, 1000),
        "10 % cut off on the left": scan.crop((i // 10, 0, 0), (i, j, k)),
        "10 % cut off in front": scan.crop((0, 0, 0), (i, j - j // 10, k)),
        "20 % cut off on the left": scan.crop((i // 5, 0, 0), (i, j, k)),
        "every second slice": Volume(np.asfortranarray(scan.array[:, :, ::2]), every_second),
        "every second pixel": Volume(np.asfortranarray(scan.array[::2, ::2]), coarser),
        "a fifth cut off": scan.crop((0, 0, k // 5), (i, j, k)),
        "cut at both ends": scan.crop((0, 0, k // 10), (i, j, k - k // 8)),
        "cut to the body": scan.crop([low for low, _ in ends], [high for _, high in ends]),
        "HU clipped to ±1000": _clipped(scan, -1000, 1000),
        "HU clipped to -300..800": _clipped(scan, -300, 800),
        "mirrored left to right": _of(scan.array[::-1], scan.grid.affine),
        "mirrored front to back, 10 % cropped": _of(scan.crop(low, high).array[:, ::-1], scan.grid.affine),
        "head to feet": _of(scan.array[:, :, ::-1], scan.grid.affine),
        "axes of the plane exchanged": _of(scan.array.swapaxes(0, 1), np.diag([y_mm, x_mm, z_mm, 1])),
        "no lengths of voxels in the header": _of(scan.array, np.eye(4)),
        "none, and 10 % cropped": _of(scan.crop(low, high).array, np.eye(4)),
        "none, and the order of axes z, y, x": _of(scan.array.transpose(2, 1, 0), np.eye(4)),
        "turned by 5 degrees": _turned(scan, 5),
        "turned by 10 degrees": _turned(scan, 10),
        "noise of 20 HU": Volume(np.clip(scan.array + noise, -1024, 3071).astype(np.int16), scan.grid),
    }


def _of(values: np.ndarray, affine: np.ndarray) -> Volume:
    return Volume(np.asfortranarray(values), Grid(values.shape, affine))


def _turned(scan: Volume, degrees: float) -> Volume:
    values = ndimage.rotate(scan.array, degrees, reshape=False, order=1, cval=-1000, prefilter=False)
    return Volume(np.asfortranarray(values), scan.grid)


def _clipped(scan: Volume, low: int, high: int) -> Volume:
    return Volume(np.clip(scan.array, low, high), scan.grid)


if __name__ == "__main__":
    main()
