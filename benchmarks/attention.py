"""Measure the attention of one large case: `python benchmarks/attention.py OUT.json [--folder DATA]`.

Nine structures, three models, 512x512x300 voxels: soft predictions and entropies of every model, the twenty masks that
count as rivals, all in files as the published pipeline leaves them. Two programs, each in a process of its own, read
them, work out the published maps and write them: ctatlas with its preset, and the same arithmetic written the
straightforward way with numpy, nibabel and scipy, as below in `plainly`. A third run is ctatlas's default attention.

Memory is the most that a process of its own held (VmHWM: what its parent held does not count), beside what it held when
its libraries were loaded and nothing was read, and beside the input: one map of one byte a voxel.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

if TYPE_CHECKING:
    from ctatlas.atlas.attention import Boxed

SHAPE = (512, 512, 300)
COARSE = 4  # the phantom is painted on every fourth voxel
MODELS = ("one", "two", "three")
AFFINE = np.diag([-0.8, -0.8, 1.5, 1.0])
KINDS = ("attention", "inconsistency", "uncertainty")


def main(
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    folder: Annotated[Path, typer.Option(help="Where the case lies; made when missing.")] = Path("build/attention"),
    structures: Annotated[int, typer.Option(help="How many of the nine structures.")] = 9,
    shrink: Annotated[int, typer.Option(help="Divide the size of the case, for a quick look.")] = 1,
    table_file: Annotated[Path | None, typer.Option("--markdown", help="Write the table for the docs here.")] = None,
) -> None:
    """Run all ways on one case, compare the voxels, and say how time and memory compare."""
    if not (folder / "whole").is_file():
        make_case(folder, tuple(n // shrink for n in SHAPE))
    runs = {way: measured(way, folder, structures) for way in ("preset", "plainly", "default")}
    names = [f"{kind}/{name}" for kind in KINDS for name in targets()[:structures]]
    differing = [name for name in names if not same(folder / "plainly" / name, folder / "preset" / name)]
    result = {
        "shape": [n // shrink for n in SHAPE],
        "structures": structures,
        "models": len(MODELS),
        "map_mb": np.prod([n // shrink for n in SHAPE]) / 2**20,
        "runs": runs,
        "times_faster": runs["plainly"]["seconds"] / runs["preset"]["seconds"],
        "times_faster_cpu": runs["plainly"]["cpu_seconds"] / runs["preset"]["cpu_seconds"],
        "times_less_memory": runs["plainly"]["peak_mb"] / runs["preset"]["peak_mb"],
        "times_less_memory_beyond_start": beyond_start(runs["plainly"]) / beyond_start(runs["preset"]),
        "files_compared": len(names),
        "files_that_differ": differing,
    }
    out.write_text(json.dumps(result, indent=1) + "\n")
    if table_file:
        table_file.write_text(markdown(result))
    typer.echo(markdown(result))


def measured(way: str, folder: Path, structures: int) -> dict[str, float]:
    """Run one way in a fresh process: seconds, CPU seconds, peak memory."""
    command = [sys.executable, __file__, "--run", way, str(folder), str(structures)]
    start = time.perf_counter()
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {"seconds": time.perf_counter() - start, **json.loads(told)}


def beyond_start(run: dict[str, float]) -> float:
    """Return what a run held at most besides its libraries, MB."""
    return run["peak_mb"] - run["start_mb"]


def markdown(result: dict) -> str:
    """Return the table for the docs."""
    i, j, k = result["shape"]
    lines = [
        f"{result['structures']} structures x {result['models']} models, {i}x{j}x{k} voxels, files read and written; "
        f"one map as bytes takes {result['map_mb']:.0f} MB",
        "",
        "| way | seconds | CPU seconds | peak memory, MB | of it at the start, MB |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {way} | {run['seconds']:.1f} | {run['cpu_seconds']:.1f} "
            f"| {run['peak_mb']:.0f} | {run['start_mb']:.0f} |"
            for way, run in result["runs"].items()
        ),
        "",
        f"The preset is {result['times_faster']:.1f} times as fast ({result['times_faster_cpu']:.1f} times by CPU) and "
        f"takes {result['times_less_memory']:.1f} times less memory ({result['times_less_memory_beyond_start']:.1f} "
        "times, what both hold at the start left out); "
        f"{len(result['files_that_differ'])} of {result['files_compared']} files differ.",
    ]
    return "\n".join(lines) + "\n"


# ---- the straightforward way: nothing of ctatlas but the lists of structures


def plainly(folder: Path, names: list[str], rivals: list[str]) -> None:
    """Work structure by structure on whole volumes in float64, as the published program does."""
    import nibabel
    from scipy import ndimage

    full = np.ones((3, 3, 3))

    def load(path: Path) -> np.ndarray:
        return nibabel.load(path).get_fdata()

    def save(array: np.ndarray, kind: str, name: str) -> None:
        path = folder / "plainly" / kind / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(array, AFFINE), path)

    for name in names:
        soft = np.stack([load(folder / model / "soft_pred" / f"{name}.nii.gz") / 255 for model in MODELS])
        std = np.std(soft, axis=0)
        del soft
        entropy = np.stack([load(folder / model / "entropy" / f"{name}.nii.gz") / 255 for model in MODELS])
        mean_entropy = np.mean(entropy, axis=0)
        del entropy
        std_mask = ndimage.binary_opening(std > 0.1, full, iterations=2)
        entropy_mask = ndimage.binary_opening(mean_entropy > 0.05, full, iterations=2)
        own = load(folder / "masks" / f"{name}.nii.gz")
        overlap = np.zeros(own.shape)
        for rival in rivals:
            if rival != name:
                overlap[(own == 1) & (load(folder / "masks" / f"{rival}.nii.gz") == 1)] = 1
        std, mean_entropy = std * std_mask, mean_entropy * entropy_mask
        heat = std + mean_entropy + overlap
        if heat.max() > 0:
            heat = heat / heat.max()
        save((heat * 255).astype(np.uint8), "attention", name)
        save((std * 255).astype(np.uint8), "inconsistency", name)
        save((mean_entropy * 255).astype(np.uint8), "uncertainty", name)


# ---- ctatlas


def preset(folder: Path, names: list[str], rivals: list[str]) -> None:
    """Work as ctatlas does with the preset."""
    from ctatlas.atlas.attention import published_attention, published_overlaps
    from ctatlas.volume import Grid, write_array_uint8

    masks = MaskFiles(mask_paths(folder, names, rivals))
    shape = masks[names[0]].shape
    for name, overlap in published_overlaps(masks, names, shape):
        soft, entropy = (
            [boxed(folder / model / kind / f"{name}.nii.gz") for model in MODELS] for kind in ("soft_pred", "entropy")
        )
        found = published_attention(soft, entropy, overlap)
        for kind in KINDS:
            target = folder / "preset" / kind / f"{name}.nii.gz"
            target.parent.mkdir(parents=True, exist_ok=True)
            write_array_uint8(getattr(found, kind).whole(), Grid(shape, AFFINE), target)


def default(folder: Path, names: list[str], rivals: list[str]) -> None:
    """Work as ctatlas does by default, from the same soft predictions; all masks may collide with all."""
    from ctatlas.atlas.attention import Member, attend
    from ctatlas.volume import Grid, read_labels, write_array_uint8

    masks = {name: as_bool(boxed(path)) for name, path in mask_paths(folder, names, rivals).items()}
    grid = Grid(masks[names[0]].shape, AFFINE)

    def members_of(name: str) -> list[Member]:
        read = [read_labels(folder / model / "soft_pred" / f"{name}.nii.gz") for model in MODELS]
        return [Member(each.labels, each.grid) for each in read]

    for seen in attend(names, members_of, masks, grid):
        target = folder / "default" / f"{seen.structure}.nii.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_array_uint8(seen.found.heat.whole(), grid, target)


def boxed(path: Path) -> Boxed:
    """Read a file and keep the box that is not zero."""
    from ctatlas.atlas.attention import Boxed
    from ctatlas.volume import read_labels

    return Boxed.of(read_labels(path).labels)


class MaskFiles(Mapping):
    """Masks by name, read whenever they are asked for."""

    def __init__(self, paths: dict[str, Path]) -> None:
        self.paths = paths

    def __getitem__(self, name: str) -> Boxed:
        return boxed(self.paths[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)


def mask_paths(folder: Path, names: list[str], rivals: list[str]) -> dict[str, Path]:
    """Return the files of all masks that count."""
    return {name: folder / "masks" / f"{name}.nii.gz" for name in dict.fromkeys([*names, *rivals])}


def as_bool(mask: Boxed) -> Boxed:
    """Turn a mask of 0 and 1 into one of False and True."""
    from ctatlas.atlas.attention import Boxed

    return Boxed(mask.shape, mask.box, mask.values.view(np.bool_))


# ---- the case


def targets() -> list[str]:
    """Return the nine structures."""
    from ctatlas.atlas.attention import published_rules

    return list(published_rules().targets)


def make_case(folder: Path, shape: tuple[int, int, int]) -> None:
    """Paint a phantom and three models that see it a little differently, and write what they would leave."""
    from ctatlas.atlas.attention import published_entropy, published_rules
    from ctatlas.volume import Grid, write_array_uint8, write_labels

    names = list(dict.fromkeys([*targets(), *published_rules().rivals]))
    rng = np.random.default_rng(12)
    grid = Grid(shape, AFFINE)
    for name, coarse in zip(names, phantom_masks(names, tuple(n // COARSE for n in shape)), strict=True):
        mask = enlarged(coarse, shape, 0.0, 1.0) > 127
        for sub in ("masks", *(f"{model}/{kind}" for model in MODELS for kind in ("soft_pred", "entropy"))):
            (folder / sub).mkdir(parents=True, exist_ok=True)
        write_labels(mask.astype(np.uint8), grid, folder / "masks" / f"{name}.nii.gz")
        if name in targets():
            for model in MODELS:
                soft = enlarged(coarse, shape, rng.uniform(-1.2, 1.2), rng.uniform(1.0, 2.5))
                write_array_uint8(soft, grid, folder / model / "soft_pred" / f"{name}.nii.gz")
                write_array_uint8(published_entropy(soft), grid, folder / model / "entropy" / f"{name}.nii.gz")
    (folder / "whole").touch()


def phantom_masks(names: list[str], shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
    """Paint a person that fills the scan; yield each structure's coarse mask."""
    from ctatlas.synthesis.cases import structure_ids
    from ctatlas.synthesis.paint import paint
    from ctatlas.synthesis.phantom import draw_phantom

    lookup, by_id = structure_ids()
    ids = {name: number for number, name in by_id.items()}
    axes = [np.linspace(-half, half, n) for half, n in zip((200, 200, 225), shape, strict=True)]
    labels = lookup[paint(draw_phantom(np.random.default_rng(7)), *axes)]
    for name in names:
        yield labels == ids.get(name, 255)


def enlarged(mask: np.ndarray, shape: tuple[int, int, int], shift: float, blur: float) -> np.ndarray:
    """Blur a coarse mask, move its border outwards by so many coarse voxels, and bring it to full size: uint8."""
    from scipy import ndimage

    from ctatlas.kernels.resample import linear_weights, shrink

    if not mask.any():
        return np.zeros(shape, np.uint8, order="F")
    distance = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    share = (1 / (1 + np.exp(np.clip(-(distance + shift) * 3 / blur, -30, 30)))).astype(np.float32)
    share[share < 0.01] = 0
    weights = [linear_weights((np.arange(n) + 0.5) / n * m - 0.5, m) for n, m in zip(shape, mask.shape, strict=True)]
    return np.asfortranarray(np.rint(255 * shrink(share, (weights[0], weights[1], weights[2]))).astype(np.uint8))


def same(one: Path, other: Path) -> bool:
    """Tell whether two maps hold the same voxels."""
    import nibabel

    a, b = (np.asarray(nibabel.load(f"{path}.nii.gz").dataobj) for path in (one, other))
    return bool((a == b).all())


WAYS = {"plainly": plainly, "preset": preset, "default": default}


def run(way: str, folder: Path, structures: int) -> None:
    """Do one way in this process, and tell what it took."""
    import nibabel  # noqa: F401 - so that all ways start with the same libraries
    from scipy import ndimage  # noqa: F401

    from ctatlas.atlas.attention import published_rules

    start_mb = held_mb("VmRSS")
    WAYS[way](folder, targets()[:structures], list(published_rules().rivals))
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_seconds = used.ru_utime + used.ru_stime
    print(json.dumps({"cpu_seconds": cpu_seconds, "peak_mb": held_mb("VmHWM"), "start_mb": start_mb}))


def held_mb(what: str) -> float:
    """Return what this program holds (VmRSS) or held at most (VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return float(status.partition(f"{what}:")[2].split()[0]) / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        typer.run(main)
