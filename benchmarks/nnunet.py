"""Compare with nnU-Net's own package on one model folder: `python benchmarks/nnunet.py OUT.json [--markdown FILE]`.

A network of random weights with 25 classes. Three things are measured:

- end to end: the program `nnUNetv2_predict` and `ctatlas nnunet predict` on the same scan and folder, in turns, one
  thread a process; wall time, CPU time of the program and all its processes, the most memory that they held together;
- export: logits on the network's grid to labels on the scan's, each in a process of its own; memory is what the process
  held at most beyond what it held before, logits included in that;
- labels: voxels that differ, on this scan and in all settings of the parity tests.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.reference import nnunet_oracle
from tests.support.nnunet_folders import Folder, write_folder
from tests.support.nnunet_scans import noisy_scan, write_scan
from tests.support.nnunet_settings import SETTINGS

CLASSES = {"background": 0, **{f"label_{number}": number for number in range(1, 25)}}
MODEL = Folder(labels=CLASSES, patch=(64, 64, 64), spacing=(1.5, 1.5, 1.5), dataset="Dataset777_Many")
PROGRAMS = ("nnU-Net", "ctatlas")


def main(
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    size: Annotated[int, typer.Option(help="Voxels along i and j of the scan; along k three quarters of them.")] = 160,
    spacing: Annotated[float, typer.Option(help="Of the scan, mm; the model's is 1.5.")] = 1.0,
    rounds: Annotated[int, typer.Option(help="How often each program runs, in turns.")] = 2,
    tiles: Annotated[int, typer.Option(help="For the export, repeat the scan's logits along each axis.")] = 2,
    parity: Annotated[int, typer.Option(help="In how many settings of the tests to count voxels that differ.")] = 99,
    run: Annotated[str | None, typer.Option(hidden=True)] = None,
    table_file: Annotated[Path | None, typer.Option("--markdown", help="Write the tables for the docs here.")] = None,
) -> None:
    """Measure, or as a process of its own do one export."""
    if run is not None:
        export_once(run, out)
        return
    nnunet_oracle.require_nnunet()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        shape = (size, size, size * 3 // 4)
        scan = write_scan(place / "in" / "case_0000.nii.gz", noisy_scan(shape), (spacing,) * 3)
        folder = write_folder(place / "results", MODEL)
        runs: dict[str, list[dict[str, float]]] = {program: [] for program in PROGRAMS}
        for _ in range(rounds):
            for program in PROGRAMS:
                runs[program].append(end_to_end(program, place))
                typer.echo(f"{program}: {runs[program][-1]}", err=True)
        result: dict[str, Any] = {"shape": shape, "spacing_mm": spacing, "classes": len(CLASSES), "end_to_end": runs}
        result["differing"], result["voxels"] = compared(place)
        result["export_shape"] = write_logits(place, folder, scan, tiles)
        result["export"] = {program: exported(program, place) for program in PROGRAMS}
        names = list(SETTINGS)[:parity]
        result["parity"] = {name: differing(name, place / "parity" / str(n)) for n, name in enumerate(names)}
    out.write_text(json.dumps(result, indent=1) + "\n")
    text = markdown(result)
    if table_file:
        table_file.write_text(text)
    typer.echo(text)


# ---- end to end


def end_to_end(program: str, place: Path) -> dict[str, float]:
    """Run one of the two programs on the folder of scans."""
    words = ["-i", place / "in", "-o", place / program, "-d", 777, "-c", "3d_fullres", "-f", 0, "-device", "cpu"]
    words += ["-tr", MODEL.trainer, "-npp", 1, "-nps", 1, "--disable_progress_bar"]
    beside = Path(sys.executable).parent
    call = (
        [beside / "nnUNetv2_predict"]
        if program == "nnU-Net"
        else [sys.executable, "-m", "ctatlas", "nnunet", "predict"]
    )
    folders = {name: str(place / "results") for name in ("nnUNet_results", "nnUNet_raw", "nnUNet_preprocessed")}
    threads = {"OMP_NUM_THREADS": "1", "nnUNet_def_n_proc": "1", "CTATLAS_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with subprocess.Popen(
        [str(word) for word in [*call, *words]],
        env=os.environ | folders | threads,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        peak = Peak(process.pid)
        code = process.wait()
    elapsed = time.perf_counter() - start
    if code:
        raise SystemExit(f"{program} ended with code {code}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": elapsed, "cpu_seconds": cpu, "peak_mb": peak.stop()}


class Peak:
    """Watch the memory of a process and all it started: their resident memory together, at most."""

    def __init__(self, pid: int) -> None:
        self.pid, self.most, self.over = pid, 0.0, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def stop(self) -> float:
        """Return the most so far, and look no more."""
        self.over.set()
        self.thread.join()
        return self.most

    def _watch(self) -> None:
        while not self.over.wait(0.1):
            self.most = max(self.most, sum(map(resident_mb, family(self.pid))))


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [pid, *(one for child in text.split() for one in family(int(child)))]


def resident_mb(pid: int) -> float:
    """Return a process's own part of the memory, shared pages by halves and thirds."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0)


def compared(place: Path) -> tuple[int, int]:
    """Count the voxels in which the two programs differ."""
    import nibabel as nib

    one, other = (np.asanyarray(nib.load(place / program / "case.nii.gz").dataobj) for program in PROGRAMS)
    return int(np.count_nonzero(one != other)), one.size


# ---- export


def write_logits(place: Path, folder: Path, scan: Path, tiles: int) -> list[int]:
    """Make the logits of the scan once, for both, repeat them, and return the shape of the larger scan."""
    from ctatlas.inference.nnunet.cases import CaseFiles
    from ctatlas.inference.nnunet.images import read_case
    from ctatlas.inference.nnunet.logits import predict_logits
    from ctatlas.inference.nnunet.prepare import prepare
    from ctatlas.models.nnunet import load_networks, open_folder

    networks = load_networks(open_folder(folder))
    case = read_case(CaseFiles("case", (scan,)), "SimpleITKIO")
    prepared = prepare(case.image, case.spacing, networks.folder)
    logits = np.tile(predict_logits(prepared.inputs, networks), (1, tiles, tiles, tiles))
    np.save(place / "logits.npy", logits)
    way = prepared.way
    shape = [tiles * (hi - lo) for lo, hi in zip(way.box.lo, way.box.hi, strict=True)]
    facts = {"shape": shape, "lo": (0, 0, 0), "hi": shape, "spacing": way.spacing, "new": way.new_spacing}
    (place / "way.json").write_text(json.dumps(facts))
    return shape


def exported(program: str, place: Path) -> dict[str, float]:
    """Do one export in a process of its own."""
    call = [sys.executable, __file__, str(place), "--run", program]
    told = subprocess.run(
        call, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    return dict(json.loads(told.stdout.splitlines()[-1]))


def export_once(program: str, place: Path) -> None:
    """Turn logits into labels as one of the two programs does, and print what it took."""
    facts = json.loads((place / "way.json").read_text())
    folder = next((place / "results").glob("*/*"))
    task = theirs(folder, facts) if program == "nnU-Net" else ours(folder, facts)
    logits = np.load(place / "logits.npy")
    held = memory_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark starts anew
    start, cpu = time.perf_counter(), time.process_time()
    labels = task(logits)
    took = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    beyond = memory_mb("VmHWM") - held
    told = {"logits_mb": logits.nbytes / 2**20, "beyond_mb": beyond, "labels": int(np.asarray(labels, np.int64).sum())}
    print(json.dumps(took | told))


def theirs(folder: Path, facts: dict[str, Any]) -> Any:
    """Return nnU-Net's export."""
    nnunet_oracle.require_nnunet()
    import torch
    from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = PlansManager(str(folder / "plans.json"))
    labels = plans.get_label_manager(json.loads((folder / "dataset.json").read_text()))
    lo, hi = facts["lo"], facts["hi"]
    properties = {
        "spacing": facts["spacing"],
        "shape_before_cropping": facts["shape"],
        "bbox_used_for_cropping": [[a, b] for a, b in zip(lo, hi, strict=True)],
        "shape_after_cropping_and_before_resampling": [b - a for a, b in zip(lo, hi, strict=True)],
    }
    configuration = plans.get_configuration("3d_fullres")
    return lambda logits: convert_predicted_logits_to_segmentation_with_correct_shape(
        torch.from_numpy(logits), plans, configuration, labels, properties, num_threads_torch=1
    )


def ours(folder: Path, facts: dict[str, Any]) -> Any:
    """Return our export."""
    from ctatlas.inference.nnunet.export import Restored, export_labels
    from ctatlas.inference.nnunet.prepare import Box, Way
    from ctatlas.models.nnunet import open_folder

    opened = open_folder(folder)
    box = Box(tuple(facts["lo"]), tuple(facts["hi"]))
    way = Way(tuple(facts["shape"]), box, tuple(facts["spacing"]), tuple(facts["new"]), opened.plans.transpose_backward)
    return lambda logits: export_labels(Restored(logits, way, opened.chosen), opened.dataset)


def memory_mb(field: str) -> float:
    """Return one of the kernel's figures of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


# ---- parity


def differing(name: str, place: Path) -> tuple[int, int]:
    """Count the voxels that differ in one setting of the tests, and all."""
    import nibabel as nib

    from ctatlas.inference.nnunet import Windowing, predict_nnunet

    setting = SETTINGS[name]
    folder = write_folder(place, setting.folder)
    files = [
        write_scan(place / f"case_{n:04d}.nii.gz", noisy_scan(setting.shape, seed=n), setting.spacing)
        for n in range(len(setting.folder.channels))
    ]
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - no file of ours
        told, sys.stdout = sys.stdout, nowhere
        try:
            nnunet_oracle.predict(
                folder, files, place / "case", folds=setting.folds, step_size=setting.step, mirroring=setting.mirroring
            )
        finally:
            sys.stdout = told
    theirs = np.asanyarray(nib.load(place / "case.nii.gz").dataobj).T
    image = np.stack([np.asarray(nib.load(file).dataobj, np.float32).T for file in files])
    how = Windowing(step=setting.step, mirroring=setting.mirroring)
    found = predict_nnunet(image, setting.spacing[::-1], folder, folds=setting.folds, how=how)
    return int(np.count_nonzero(found != theirs)), theirs.size


def markdown(result: dict[str, Any]) -> str:
    """Return the tables for the docs."""
    i, j, k = result["shape"]
    rows = {
        program: {key: [run[key] for run in runs] for key in ("seconds", "cpu_seconds", "peak_mb")}
        for program, runs in result["end_to_end"].items()
    }
    lines = [
        f"{result['classes']} classes, scan of {i}x{j}x{k} voxels of {result['spacing_mm']:g} mm, model at 1.5 mm, "
        f"windows of 64x64x64, {len(rows['ctatlas']['seconds'])} runs of each program in turns, one thread a process; "
        f"export to {'x'.join(map(str, result['export_shape'][::-1]))} voxels.",
        "",
        "| | seconds | CPU seconds | most memory, MB | export, CPU seconds | export, MB beyond the logits |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for program, run in rows.items():
        export = result["export"][program]
        lines.append(
            f"| {program} | {_range(run['seconds'])} | {_range(run['cpu_seconds'])} | {_range(run['peak_mb'])} "
            f"| {export['cpu_seconds']:.1f} | {export['beyond_mb']:.0f} |"
        )
    them, us = (result["export"][program] for program in PROGRAMS)
    pairs = zip(*(rows[program]["seconds"] for program in PROGRAMS), strict=True)
    cpu = zip(*(rows[program]["cpu_seconds"] for program in PROGRAMS), strict=True)
    lines += [
        "",
        f"End to end {_range([a / b for a, b in pairs])} times as fast ({_range([a / b for a, b in cpu])} by CPU); "
        f"export {them['cpu_seconds'] / us['cpu_seconds']:.1f} times as fast with "
        f"{them['beyond_mb'] / us['beyond_mb']:.1f} times less memory. "
        f"{result['differing']} of {result['voxels']} voxels differ.",
    ]
    if parity := result["parity"]:
        wrong, voxels = (sum(pair[n] for pair in parity.values()) for n in (0, 1))
        lines += ["", f"In {len(parity)} settings of the parity tests {wrong} of {voxels} voxels differ."]
    return "\n".join(lines) + "\n"


def _range(values: list[float]) -> str:
    digits = 0 if min(values) >= 100 else 1
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


if __name__ == "__main__":
    typer.run(main)
