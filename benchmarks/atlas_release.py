"""Measure what a release takes: `python benchmarks/atlas_release.py OUT.json [--cases 100 --cases 400]`.

Cases are tiny (13 x 11 x 9 voxels) and have 25 masks each, so that what is counted is what grows with their number,
not with their voxels. Each command is a process of its own, as people call it; its peak is VmHWM of that process.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ctatlas.anatomy import label_set
from ctatlas.atlas import Atlas, AtlasConfig
from ctatlas.atlas.assemble import assemble_tasks
from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.records import CaseRecord, GridRecord, MaskRecord, OriginalRecord, read_record, write_record
from ctatlas.execution import perform
from ctatlas.hashing import sha256_file, sha256_json
from ctatlas.volume import Grid, Volume, write_mask, write_volume

LABEL_SET = "abdomenatlas-1.1"
SHAPE = (13, 11, 9)
GRID = Grid(SHAPE, np.diag([-0.8, -0.8, 1.25, 1.0]))
MEASURED = """
import atexit, pathlib, runpy, sys

def tell():
    status = pathlib.Path("/proc/self/status").read_text().splitlines()
    pathlib.Path(sys.argv.pop()).write_text(next(line.split()[1] for line in status if line.startswith("VmHWM")))

peak = sys.argv.pop()
atexit.register(lambda: (sys.argv.append(peak), tell()))
runpy.run_module("ctatlas", run_name="__main__", alter_sys=True)
"""


def main(
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    folder: Annotated[Path, typer.Option(help="Where atlases lie; made when missing.")] = Path("build/release"),
    cases: Annotated[list[int], typer.Option(help="How many cases, once or more.")] = [100, 400, 1500],  # noqa: B006 - typer's way
) -> None:
    """Release atlases of several sizes, prove and compare the releases, and say what each took."""
    found = [measured_atlas(folder / str(n), n) for n in cases]
    out.write_text(json.dumps(found, indent=1) + "\n")
    typer.echo(json.dumps(found, indent=1))


def measured_atlas(folder: Path, n: int) -> dict[str, object]:
    """Return what each command takes on an atlas of so many cases."""
    changed = folder.with_name(f"{folder.name}-changed")
    for place, first in ((folder, 0), (changed, 1)):
        if not (place / "atlas.toml").is_file():
            make_atlas(place, n, first)
        shutil.rmtree(place / "releases", ignore_errors=True)
    releases, others = folder / "releases", changed / "releases"
    commands: dict[str, list[object]] = {
        "program starts": ["--version"],
        "catalog made anew": ["status", folder, "--sync"],
        "doctor": ["doctor", folder],
        "release": ["release", folder, "1.0", "--quiet"],
        "release, packed": ["release", folder, "1.1", "--layout", "huggingface", "--quiet"],
        "verify": ["release", "verify", releases / "1.0", "--quiet"],
        "verify, packed": ["release", "verify", releases / "1.1", "--quiet"],
        "diff": ["release", "diff", releases / "1.0", releases / "1.1", "--quiet"],
        "(release of other masks)": ["release", changed, "2.0", "--quiet"],
        "diff, every mask changed": ["release", "diff", releases / "1.0", others / "2.0", "--quiet"],
        "diff, every mask changed, json": ["release", "diff", releases / "1.0", others / "2.0", "--quiet", "--json"],
    }
    return {"cases": n, **{name: measured(*words) for name, words in commands.items()}}


def measured(*words: object) -> dict[str, float]:
    """Return the peak of memory of a call of the program, and how long it took."""
    peak, begun = Path("peak.kB").resolve(), time.perf_counter()
    subprocess.run([sys.executable, "-c", MEASURED, *map(str, words), str(peak)], check=True, capture_output=True)
    megabytes = int(peak.read_text()) / 1024
    peak.unlink()
    return {"MB": round(megabytes, 1), "s": round(time.perf_counter() - begun, 2)}


def make_atlas(folder: Path, n: int, start: int) -> None:
    """Assemble one case, and let the others be its copies under other names, of other patients.

    Masks start at a row of the scan, so that atlases with another one differ in every mask.
    """
    atlas = Atlas.create(folder, AtlasConfig(name="tiny", label_set=LABEL_SET, licence="CC BY 4.0"))
    first = make_case(atlas.place.case("case_00000"), start)
    for task in assemble_tasks(atlas, [first]):
        perform(task)
    record = read_record(CaseRecord, first.record)
    for number in range(1, n):
        place = atlas.place.case(f"case_{number:05d}")
        shutil.copytree(first.folder, place.folder)
        other = sha256_json(number)
        facts = {"case": place.case, "dataset_case": place.case, "patient": other, "voxels_sha256": other}
        write_record(record.model_copy(update=facts), place.record)


def make_case(place: CasePlace, start: int) -> CasePlace:
    """Write a scan of noise whose 25 structures came with it, each a box."""
    place.original.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(-100, 200, SHAPE, np.int16)
    write_volume(Volume(np.asfortranarray(noise), GRID), place.ct)
    names = list(label_set(LABEL_SET).labels.values())
    masks = {}
    for number, name in enumerate(names):
        mask = np.zeros(SHAPE, bool, order="F")
        row = start + number // 13
        mask[number % 13, row : row + 4] = True
        path = place.original / f"{name}.nii.gz"
        write_mask(mask, GRID, path)
        n_voxels = int(mask.sum())
        masks[name] = MaskRecord(sha256=sha256_file(path), volume_ml=n_voxels * GRID.voxel_ml, n_voxels=n_voxels)
    native = {name: number for number, name in enumerate(names, start=1)}
    labels = OriginalRecord(label_set=LABEL_SET, native_ids=native, annotated=tuple(names), masks=masks)
    write_record(labels, place.original / "labels.json")
    sha256 = sha256_file(place.ct)
    record = CaseRecord(
        case=place.case,
        dataset="made",
        dataset_case=place.case,
        patient=sha256_json(0),
        grid=GridRecord.of(GRID),
        ct_sha256=sha256,
        voxels_sha256=sha256,
        fingerprint=sha256 * 4,
    )
    write_record(record, place.record)
    return place


if __name__ == "__main__":
    typer.run(main)
