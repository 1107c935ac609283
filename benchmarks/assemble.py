"""Measure the assembly of one large case: `python benchmarks/assemble.py OUT.json [--folder DATA]`.

25 structures on 512x512x300 voxels: a prediction, six structures that a person revised, nine that came with the scan.
Two programs, each in a process of its own, read the same case folder and write the combined labels and 25 masks:
ctatlas, and the published rule written the straightforward way with numpy and nibabel, as below in `plainly`. A third
run is ctatlas with three models and their probabilities, for which there is no published program to compare with.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

SHAPE = (512, 512, 300)
COARSE = 4  # the phantom is painted on every fourth voxel
AFFINE = np.diag([-0.8, -0.8, 1.5, 1.0])
LABEL_SET = "abdomenatlas-1.1"
MODELS = ("test/one", "test/two", "test/three")
ORIGINAL = (
    "aorta",
    "spleen",
    "kidney_left",
    "kidney_right",
    "gallbladder",
    "stomach",
    "esophagus",
    "duodenum",
    "rectum",
)
REVISED = ("small_bowel", "urinary_bladder", "femur_left", "femur_right", "lung_left", "lung_right")
WAYS = ("ctatlas", "plainly", "ctatlas, three models")


def main(
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    folder: Annotated[Path, typer.Option(help="Where the case lies; made when missing.")] = Path("build/assemble"),
    shrink: Annotated[int, typer.Option(help="Divide the size of the case, for a quick look.")] = 1,
    table_file: Annotated[Path | None, typer.Option("--markdown", help="Write the table for the docs here.")] = None,
) -> None:
    """Run all ways on one case, compare the labels, and say how time and memory compare."""
    if not (folder / "whole").is_file():
        make_case(folder, tuple(n // shrink for n in SHAPE))
    runs = {way: measured(way, folder) for way in WAYS}
    ours, plain = runs["ctatlas"], runs["plainly"]
    result = {
        "shape": [n // shrink for n in SHAPE],
        "structures": 25,
        "runs": runs,
        "times_faster": plain["seconds"] / ours["seconds"],
        "times_faster_cpu": plain["cpu_seconds"] / ours["cpu_seconds"],
        "times_faster_work": plain["work_seconds"] / ours["work_seconds"],
        "times_faster_work_cpu": plain["work_cpu_seconds"] / ours["work_cpu_seconds"],
        "times_less_memory": plain["peak_mb"] / ours["peak_mb"],
        "voxels_that_differ": differing(folder),
    }
    out.write_text(json.dumps(result, indent=1) + "\n")
    if table_file:
        table_file.write_text(markdown(result))
    typer.echo(markdown(result))


def measured(way: str, folder: Path) -> dict[str, float]:
    """Run one way in a fresh process: seconds, CPU seconds, peak memory."""
    command = [sys.executable, __file__, "--run", way, str(folder)]
    start = time.perf_counter()
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {"seconds": time.perf_counter() - start, **json.loads(told)}


def markdown(result: dict) -> str:
    """Return the table for the docs."""
    i, j, k = result["shape"]
    lines = [
        f"{result['structures']} structures, {i}x{j}x{k} voxels, files read and written",
        "",
        "| way | seconds | CPU seconds | without the start: seconds | CPU seconds | peak memory, MB |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {way} | {run['seconds']:.1f} | {run['cpu_seconds']:.1f} "
            f"| {run['work_seconds']:.1f} | {run['work_cpu_seconds']:.1f} | {run['peak_mb']:.0f} |"
            for way, run in result["runs"].items()
        ),
        "",
        f"ctatlas is {result['times_faster']:.1f} times as fast ({result['times_faster_cpu']:.1f} by CPU; without "
        f"the start of the program {result['times_faster_work']:.1f} and {result['times_faster_work_cpu']:.1f}) "
        f"and takes {result['times_less_memory']:.1f} times less memory; {result['voxels_that_differ']} voxels of the "
        "combined labels differ.",
    ]
    return "\n".join(lines) + "\n"


# ---- the straightforward way: nothing of ctatlas but the ids


def plainly(folder: Path) -> None:
    """Work on whole volumes in float64, as the published program does: revised over predicted, original over both."""
    import nibabel

    case, out = folder / "atlas" / "cases" / "one", folder / "plainly"
    shutil.rmtree(out, ignore_errors=True)
    (out / "segmentations").mkdir(parents=True)
    ids = {name: int(number) for number, name in json.loads((prediction(folder) / "labels.json").read_text()).items()}
    labels = nibabel.load(prediction(folder) / "labels.nii.gz").get_fdata()
    for source, names in ((case / "revisions" / "0001", REVISED), (case / "original", ORIGINAL)):
        for name in names:
            mask = nibabel.load(source / f"{name}.nii.gz").get_fdata()
            labels[labels == ids[name]] = 0
            labels[mask == 1] = ids[name]
    nibabel.save(nibabel.Nifti1Image(labels, AFFINE), out / "combined_labels.nii.gz")
    for name, number in ids.items():
        mask = (labels == number).astype(np.uint8)
        nibabel.save(nibabel.Nifti1Image(mask, AFFINE), out / "segmentations" / f"{name}.nii.gz")


# ---- ctatlas


def ours(folder: Path, members: tuple[str, ...]) -> None:
    """Run the step as `ctatlas assemble` does."""
    from ctatlas.atlas import Atlas
    from ctatlas.atlas.assemble import assemble_tasks
    from ctatlas.execution import perform

    opened = Atlas.open(folder / "atlas")
    atlas = Atlas(opened.place, opened.config.model_copy(update={"members": members}))
    place = atlas.place.case("one")
    shutil.rmtree(place.assembled, ignore_errors=True)
    (task,) = assemble_tasks(atlas, [place])
    perform(task)
    if len(members) == 1:  # to be compared
        shutil.copyfile(place.assembled / "combined_labels.nii.gz", folder / "ours.nii.gz")


def differing(folder: Path) -> int:
    """Count the voxels at which the combined labels of both ways differ."""
    import nibabel

    one, other = (
        np.asarray(nibabel.load(folder / name).dataobj) for name in ("ours.nii.gz", "plainly/combined_labels.nii.gz")
    )
    return int(np.count_nonzero(one != other))


# ---- the case


def prediction(folder: Path, model: str = MODELS[0]) -> Path:
    """Return where a model's prediction lies."""
    return folder / "atlas" / "cases" / "one" / "predictions" / model.replace("/", "__")


def make_case(folder: Path, shape: tuple[int, int, int]) -> None:
    """Paint a phantom, let three models and two people see it a little differently, and write an atlas of it."""
    from ctatlas.atlas import Atlas, AtlasConfig
    from ctatlas.atlas.records import CaseRecord, GridRecord, MaskRecord, OriginalRecord, write_record
    from ctatlas.atlas.revise import store_revision
    from ctatlas.execution import result_folder
    from ctatlas.hashing import sha256_file
    from ctatlas.volume import Grid, write_array_uint8, write_labels, write_mask

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    atlas = Atlas.create(folder / "atlas", AtlasConfig(name="benchmark", label_set=LABEL_SET, members=MODELS))
    place, grid = atlas.place.case("one"), Grid(shape, AFFINE)
    names = dict(enumerate(atlas.config.structures, start=1))
    coarse = phantom(names, tuple(n // COARSE for n in shape))
    place.original.mkdir(parents=True)
    case = CaseRecord(
        case="one", dataset="phantom", dataset_case="1", grid=GridRecord.of(grid), ct_sha256="-", voxels_sha256="-"
    )
    write_record(case, place.record)
    for number, model in enumerate(MODELS):
        labels = seen(coarse, shape, number)
        with result_folder(place.prediction(model), {"key": model}) as inside:
            write_labels(labels, grid, inside / "labels.nii.gz")
            (inside / "labels.json").write_text(json.dumps({str(n): name for n, name in names.items()}))
            (inside / "probabilities").mkdir()
            for n, name in names.items():
                share = blurred(coarse == n)
                own = Grid(share.shape, AFFINE @ np.diag([COARSE, COARSE, COARSE, 1]))
                write_array_uint8(share, own, inside / "probabilities" / f"{name}.nii.gz")
    people = seen(coarse, shape, 5)
    ids = {name: n for n, name in names.items()}
    masks = {}
    for name in ORIGINAL:
        path = place.original / f"{name}.nii.gz"
        write_mask(people == ids[name], grid, path)
        n_voxels = int(np.count_nonzero(people == ids[name]))
        masks[name] = MaskRecord(sha256=sha256_file(path), volume_ml=n_voxels * grid.voxel_ml, n_voxels=n_voxels)
    record = OriginalRecord(label_set="btcv", native_ids={}, annotated=ORIGINAL, masks=masks)
    write_record(record, place.original / "labels.json")
    revised = {name: people == ids[name] for name in REVISED}
    store_revision(
        place, revised, author="a", minutes=1, tool="", reason="", before={}, created="2026-01-01T00:00:00+00:00"
    )
    (folder / "whole").touch()


def phantom(names: dict[int, str], shape: tuple[int, ...]) -> np.ndarray:
    """Paint a person that fills the scan, in the ids of the atlas; what the phantom lacks becomes a small ball."""
    from ctatlas.synthesis.cases import structure_ids
    from ctatlas.synthesis.paint import paint
    from ctatlas.synthesis.phantom import draw_phantom

    lookup, by_id = structure_ids()
    axes = [np.linspace(-half, half, n) for half, n in zip((200, 200, 225), shape, strict=True)]
    painted = lookup[paint(draw_phantom(np.random.default_rng(7)), *axes)]
    number_of = {name: n for n, name in by_id.items()}
    labels = np.zeros(shape, np.uint8, order="F")
    for n, name in names.items():
        where = painted == number_of[name] if name in number_of else np.zeros(shape, bool)
        labels[where if where.any() else ball(shape, n)] = n
    return labels


def ball(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return a ball of some 10 mL somewhere in the middle."""
    middle = np.random.default_rng(seed).uniform(0.35, 0.65, 3) * shape
    away = [(axis - at) * mm for axis, at, mm in zip(np.indices(shape), middle, (3.2, 3.2, 6.0), strict=True)]
    return np.asarray(sum(each**2 for each in away) < 14**2)


def seen(coarse: np.ndarray, shape: tuple[int, int, int], offset: int) -> np.ndarray:
    """Bring labels to full size, moved a little, and a little ragged: each line of voxels by itself."""
    index = [np.clip((np.arange(n) + offset) // COARSE, 0, m - 1) for n, m in zip(shape, coarse.shape, strict=True)]
    full = np.asfortranarray(coarse[np.ix_(*index)])
    rolls = np.random.default_rng(offset).integers(-1, 2, shape[1])
    for j, by in enumerate(rolls):
        full[:, j] = np.roll(full[:, j], by, axis=0)
    return full


def blurred(mask: np.ndarray) -> np.ndarray:
    """Return soft borders, uint8."""
    from scipy.ndimage import uniform_filter

    return np.asfortranarray(np.rint(uniform_filter(mask.astype(np.float32), 3) * 255).astype(np.uint8))


def run(way: str, folder: Path) -> None:
    """Do one way in this process, and tell what it took: all, and the work once its libraries are loaded."""
    import nibabel  # noqa: F401

    if way != "plainly":
        import ctatlas.atlas.assemble  # noqa: F401
    began, before = time.perf_counter(), cpu_seconds()
    if way == "plainly":
        plainly(folder)
    else:
        ours(folder, MODELS if "three" in way else MODELS[:1])
    told = {"work_seconds": time.perf_counter() - began, "work_cpu_seconds": cpu_seconds() - before}
    print(json.dumps({**told, "cpu_seconds": cpu_seconds(), "peak_mb": peak_mb()}))


def cpu_seconds() -> float:
    """Return the seconds of work of this program so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mb() -> float:
    """Return the most memory that this program held; `ru_maxrss` would count what its parent held when it forked."""
    status = Path("/proc/self/status").read_text()
    return float(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(sys.argv[2], Path(sys.argv[3]))
    else:
        typer.run(main)
