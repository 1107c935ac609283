"""Measure metrics of one large case against other tools: `python benchmarks/surface_metrics.py OUT.json`.

25 structures on 512x512x300 voxels of 0.8x0.8x1.25 mm; three predictions: a clean one, the same with two false specks
of every structure in far corners of the scan, and a poor one. Each tool says DSC, NSD at 1 and 2 mm, HD95 and mean
surface distance of every structure the way its manual shows: a mask of the whole scan per structure, then its
functions. Every run is a process of its own on one core, tools take turns, and ratios are medians of turns.

Tools that are slow get few structures or a small copy of the case, and their time is multiplied; the table says so.
MONAI and seg-metrics are asked in another Python (`--others`), where they can be installed without changing what
ctatlas is tested with.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

SHAPE = (512, 512, 300)
SPACING = (0.8, 0.8, 1.25)
# Volumes in mL such as those of the 25 organs and vessels of AbdomenAtlas 1.1, lungs included.
VOLUMES_ML = (
    300, 30, 180, 180, 1500, 80, 100, 200, 350, 4, 4, 200, 3, 600, 70, 40, 250, 250, 40, 900, 1600, 1900, 40, 30, 70,
)  # fmt: skip
STRUCTURES = tuple(range(1, len(VOLUMES_ML) + 1))
PREDICTIONS = ("clean", "specks", "poor")
ALL = dict.fromkeys(PREDICTIONS, STRUCTURES)
FEW = ALL | {"specks": (3, 11)}  # for the tool that takes half a minute for each with a speck far away
ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def main(
    out: Path,
    folder: Path = Path("build/surface_metrics"),
    turns: int = 3,
    shrink: int = 1,
    others: Path | None = None,
    markdown_file: Path | None = None,
) -> None:
    """Run all tools in turns, compare what they say, and tell how time and memory compare."""
    make_case(folder, tuple(n // shrink for n in SHAPE))
    ways = {"ctatlas": ALL, "ctatlas without numba": ALL, "surface-distance": FEW}
    runs = []
    for turn in range(turns):
        for prediction in PREDICTIONS:
            for way, chosen in ways.items():
                if turn and len(chosen[prediction]) < len(STRUCTURES):
                    continue  # one turn shows the order
                runs.append(asked(sys.executable, folder, way, prediction, chosen[prediction]))
    if others:
        runs.append(asked(str(others), folder, "monai", "clean", (3, 11, 16)))
        make_case(folder / "small", tuple(n // shrink // 4 for n in SHAPE))
        runs.append(asked(str(others), folder / "small", "seg-metrics", "clean", (5,)) | {"share_of_voxels": 4**-3})
    result = {"shape": [n // shrink for n in SHAPE], "spacing_mm": SPACING, "runs": runs, "table": table(runs)}
    result |= {"first_call_s": first_calls(), "equality": equality(runs)}
    out.write_text(json.dumps(result, indent=1) + "\n")
    if markdown_file:
        markdown_file.write_text(markdown(result))
    print(markdown(result))


# ---- what is compared


def table(runs: list[dict]) -> list[dict]:
    """Return a row for each tool and prediction: medians of CPU seconds per case, and memory beyond the label maps."""
    rows = []
    for way, prediction in dict.fromkeys((run["way"], run["prediction"]) for run in runs):
        own = [run for run in runs if (run["way"], run["prediction"]) == (way, prediction)]
        row = {"way": way, "prediction": prediction, "n_turns": len(own), "n_structures": own[0]["n_structures"]}
        row["share_of_voxels"] = own[0].get("share_of_voxels", 1)
        multiple = len(STRUCTURES) / row["n_structures"] / row["share_of_voxels"]
        row["cpu_s"] = statistics.median(run["cpu_s"] for run in own) * multiple
        row["memory_mb"] = max(run["memory_mb"] for run in own)
        row["process_mb"] = max(run["process_mb"] for run in own)
        rows.append(row)
    ours = {row["prediction"]: row for row in rows if row["way"] == "ctatlas"}
    for row in rows:
        row["times_slower"] = row["cpu_s"] / ours[row["prediction"]]["cpu_s"]
        row["times_memory"] = row["memory_mb"] / ours[row["prediction"]]["memory_mb"]
    return rows


def equality(runs: list[dict]) -> dict[str, dict]:
    """Say by metric how many values of ctatlas and surface-distance are one float64, and how far others are apart."""
    ours = {run["prediction"]: run["values"] for run in runs if run["way"] == "ctatlas"}
    found: dict[str, dict] = {}
    for run in {(run["way"], run["prediction"]): run for run in runs}.values():  # turns say the same
        if run["way"] in ("surface-distance", "ctatlas without numba"):
            for structure, values in run["values"].items():
                for metric, value in values.items():
                    row = found.setdefault(f"{run['way']}, {metric}", {"n": 0, "n_equal": 0, "largest_difference": 0.0})
                    own = ours[run["prediction"]][structure][metric]
                    if own is None or value is None:
                        continue  # distances to nothing
                    row["n"] += 1
                    row["n_equal"] += own == value
                    row["largest_difference"] = max(row["largest_difference"], abs(own - value))
    return found


def markdown(result: dict) -> str:
    """Return the tables for the docs."""
    i, j, k = result["shape"]
    lines = [
        f"{len(STRUCTURES)} structures, {i}x{j}x{k} voxels of {'x'.join(str(s) for s in SPACING)} mm, one core",
        "",
    ]
    lines += [
        "| prediction | tool | structures | turns | CPU s per case | times ctatlas | memory MB | times ctatlas |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in sorted(result["table"], key=lambda row: (PREDICTIONS.index(row["prediction"]), row["cpu_s"])):
        part = row["share_of_voxels"] < 1
        memory = "– | –" if part else f"{row['memory_mb']:.0f} | {row['times_memory']:.1f}"
        small = f" on 1/{1 / row['share_of_voxels']:.0f} of the voxels" if part else ""
        measured_on = f"{row['n_structures']}{small}"
        lines.append(
            f"| {row['prediction']} | {row['way']} | {measured_on} | {row['n_turns']} | {row['cpu_s']:.2f} "
            f"| {row['times_slower']:.1f} | {memory} |"
        )
    lines += ["", "| ctatlas and | values | of them one float64 | largest difference |", "| --- | ---: | ---: | ---: |"]
    for name, row in result["equality"].items():
        lines.append(f"| {name} | {row['n']} | {row['n_equal']} | {row['largest_difference']:.1e} |")
    first = result["first_call_s"]
    lines += [
        "",
        f"First call ever: {first['compiled']:.1f} CPU s; first call of a later process: {first['kept']:.1f}.",
    ]
    return "\n".join(lines) + "\n"


# ---- one run


def asked(python: str, folder: Path, way: str, prediction: str, structures: tuple[int, ...]) -> dict:
    """Run one tool in a fresh process on one core."""
    labels = ",".join(str(label) for label in structures)
    command = [python, __file__, "--run", way, str(folder), prediction, labels]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | ONE_CORE).stdout
    return {"way": way, "prediction": prediction, "n_structures": len(structures), **json.loads(told.splitlines()[-1])}


def run(way: str, folder: Path, prediction: str, labels: str) -> None:
    """Measure in this process, and tell values, CPU seconds and memory beyond the program and the two label maps."""
    structures = tuple(int(label) for label in labels.split(","))
    small = np.zeros((9, 10, 11), np.uint8, order="F")
    small[2:5, 3:6, 2:6] = structures[0]
    WAYS[way](small, np.roll(small, 1, axis=0), structures[:1])  # the program is loaded and compiled
    gt, pred = np.load(folder / "gt.npy"), np.load(folder / f"{prediction}.npy")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before, wall, cpu = memory_mb("VmRSS"), time.perf_counter(), time.process_time()
    values = WAYS[way](gt, pred, structures)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = memory_mb("VmHWM")
    told = {"cpu_s": cpu, "wall_s": wall, "memory_mb": peak - before, "process_mb": peak, "values": values}
    print(json.dumps(told))


def memory_mb(what: str) -> float:
    """Return what the system counts of this process."""
    return float(Path("/proc/self/status").read_text().partition(f"{what}:")[2].split()[0]) / 1024


def first_calls() -> dict[str, float]:
    """Return CPU seconds of the first call with nothing kept, and of the first call of a process after that."""
    import tempfile

    code = f"import sys; sys.argv = ['']; exec(open({__file__!r}).read()); print(time_of_first_call())"
    with tempfile.TemporaryDirectory() as place:
        environment = os.environ | ONE_CORE | {"NUMBA_CACHE_DIR": place}
        seconds = [
            float(
                subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, env=environment).stdout
            )
            for _ in range(2)
        ]
    return {"compiled": seconds[0], "kept": seconds[1]}


def time_of_first_call() -> float:
    """Measure something small that needs every loop."""
    gt = np.zeros((40, 40, 40), np.uint8)
    gt[2:5, 3:6, 2:6] = 1
    before = time.process_time()
    ours(gt, np.roll(gt, 30, axis=0), (1,))
    return time.process_time() - before


# ---- the tools: label maps and the structures asked for -> {structure: {metric: value}}


def ours(gt: np.ndarray, pred: np.ndarray, structures: tuple[int, ...]) -> dict:
    """Ask ctatlas."""
    from ctatlas.measure.case import measure_label_maps

    names = {label: str(label) for label in structures}
    metrics = ("dsc", "nsd", "hd95", "asd_gt_to_pred", "asd_pred_to_gt")
    values: dict = {name: {} for name in names.values()}
    for row in measure_label_maps(gt, pred, SPACING, names, metrics=metrics, tolerances=(1.0, 2.0)):
        values[row.structure][row.metric if row.tolerance_mm is None else f"nsd@{row.tolerance_mm:g}"] = row.value
    return values


def ours_without_numba(gt: np.ndarray, pred: np.ndarray, structures: tuple[int, ...]) -> dict:
    """Ask ctatlas where numba can't be imported."""
    sys.modules["numba"] = None  # type: ignore[assignment]
    return ours(gt, pred, structures)


def with_surface_distance(gt: np.ndarray, pred: np.ndarray, structures: tuple[int, ...]) -> dict:
    """Ask surface-distance, a mask after the other."""
    import warnings

    warnings.simplefilter("ignore")
    vars(np).update(Inf=np.inf, NaN=np.nan)  # its release on PyPI was made before NumPy 2
    import surface_distance

    values = {}
    for label in structures:
        one, other = gt == label, pred == label
        found = surface_distance.compute_surface_distances(one, other, SPACING)
        away, back = surface_distance.compute_average_surface_distance(found)
        values[str(label)] = {
            "dsc": float(surface_distance.compute_dice_coefficient(one, other)),
            "nsd@1": float(surface_distance.compute_surface_dice_at_tolerance(found, 1.0)),
            "nsd@2": float(surface_distance.compute_surface_dice_at_tolerance(found, 2.0)),
            "hd95": float(surface_distance.compute_robust_hausdorff(found, 95)),
            "asd_gt_to_pred": float(away),
            "asd_pred_to_gt": float(back),
        }
    return values


def with_monai(gt: np.ndarray, pred: np.ndarray, structures: tuple[int, ...]) -> dict:
    """Ask MONAI: a channel a structure."""
    import torch
    from monai import metrics

    torch.set_num_threads(1)
    one, other = (
        torch.from_numpy(np.stack([each == n for n in (0, *structures)])[None]).float() for each in (gt, pred)
    )
    spacing = list(SPACING)
    dice = metrics.DiceMetric(include_background=False, reduction="none")(other, one)
    nsd = [
        metrics.compute_surface_dice(other, one, [tolerance] * len(structures), spacing=spacing)
        for tolerance in (1.0, 2.0)
    ]
    hd95 = metrics.compute_hausdorff_distance(other, one, percentile=95, spacing=spacing)
    assd = metrics.compute_average_surface_distance(other, one, symmetric=True, spacing=spacing)
    columns = {"dsc": dice, "nsd@1": nsd[0], "nsd@2": nsd[1], "hd95": hd95, "assd": assd}
    return {
        str(label): {name: float(column[0, n]) for name, column in columns.items()}
        for n, label in enumerate(structures)
    }


def with_seg_metrics(gt: np.ndarray, pred: np.ndarray, structures: tuple[int, ...]) -> dict:
    """Ask seg-metrics, which has no NSD."""
    from seg_metrics import seg_metrics

    (row,) = seg_metrics.write_metrics(
        labels=list(structures),
        gdth_img=np.ascontiguousarray(gt),
        pred_img=np.ascontiguousarray(pred),
        spacing=list(SPACING),
        metrics=["dice", "hd95", "msd"],
    )
    return {
        str(label): {"dsc": row["dice"][n], "hd95": row["hd95"][n], "assd": row["msd"][n]}
        for n, label in enumerate(structures)
    }


WAYS: dict[str, Callable[[np.ndarray, np.ndarray, tuple[int, ...]], dict]] = {
    "ctatlas": ours,
    "ctatlas without numba": ours_without_numba,
    "surface-distance": with_surface_distance,
    "monai": with_monai,
    "seg-metrics": with_seg_metrics,
}


# ---- the case


def make_case(folder: Path, shape: tuple[int, ...]) -> None:
    """Paint a reference and the predictions, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        "gt": lambda: painted(shape, 1, 0.3),
        "clean": lambda: painted(shape, 2, 1.0),
        "specks": lambda: with_specks(np.load(folder / "clean.npy")),
        "poor": lambda: painted(shape, 3, 2.5, shift_mm=8.0),
    }
    for name, paint in arrays.items():
        path = folder / f"{name}.npy"
        if not path.is_file() or np.load(path, mmap_mode="r").shape != shape:
            np.save(path, paint())


def painted(shape: tuple[int, ...], seed: int, noise_mm: float, shift_mm: float = 0.0) -> np.ndarray:
    """Paint rough ellipsoids, the large ones first; the seed only decides how an observer sees them."""
    labels = np.zeros(shape, np.uint8, order="F")
    extent = np.array(shape) * SPACING
    places, observer = np.random.default_rng(0), np.random.default_rng(seed)
    scale = math.prod(n / full for n, full in zip(shape, SHAPE, strict=True)) ** (1 / 3)
    for label, volume_ml in sorted(enumerate(VOLUMES_ML, start=1), key=lambda one: -one[1]):
        radii = (volume_ml * 750 / math.pi) ** (1 / 3) * scale * np.exp(places.normal(0, 0.25, 3))
        middle = places.uniform(0.2, 0.8, 3) * extent + observer.normal(0, 1, 3) * shift_mm / math.sqrt(3)
        low = np.clip((middle - radii * 1.3 - 10) / SPACING, 0, np.array(shape) - 1).astype(int)
        high = np.clip((middle + radii * 1.3 + 10) / SPACING, low + 1, shape).astype(int)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        away = [index * mm - at for index, mm, at in zip(np.ogrid[box], SPACING, middle, strict=True)]
        beyond = (np.sqrt(sum((one / radius) ** 2 for one, radius in zip(away, radii, strict=True))) - 1) * radii.min()
        shape_of_all = rough(np.random.default_rng(100 + label), high - low, 12.0) * 2.5
        labels[box][beyond + shape_of_all + rough(observer, high - low, 5.0) * noise_mm < 0] = label
    return labels


def rough(rng: np.random.Generator, shape: np.ndarray, wave_mm: float) -> np.ndarray:
    """Return smooth noise."""
    from scipy.ndimage import zoom

    coarse = [max(2, math.ceil(n * mm / wave_mm)) for n, mm in zip(shape, SPACING, strict=True)]
    noise = rng.standard_normal(coarse).astype(np.float32)
    return zoom(noise, [n / m for n, m in zip(shape, coarse, strict=True)], order=1, grid_mode=True, mode="nearest")


def with_specks(labels: np.ndarray) -> np.ndarray:
    """Add two specks of 12 voxels of every structure near opposite corners of the scan."""
    last = np.array(labels.shape) - 1
    for label in STRUCTURES:
        at = np.array([2 + label % 5 * 6, 2 + label // 5 * 6, 3 + label % 7])
        for i, j, k in (at, last - at - 3):
            labels[i : i + 3, j : j + 2, k : k + 2] = label
    return labels


if __name__ == "__main__" and sys.argv[1:2] == ["--run"]:
    run(sys.argv[2], Path(sys.argv[3]), sys.argv[4], sys.argv[5])
elif __name__ == "__main__" and len(sys.argv) > 1:
    import typer

    typer.run(main)
