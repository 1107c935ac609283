"""The pool of anatomies a network is trained on: phantoms, completed label maps, labelled and unlabelled real CTs.

Everything lies on 3 mm grids in RAS order and is written once, as plain .npy files that the training processes map.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from ctatlas.errors import ModelError
from ctatlas.synthesis.fitting import fitted
from ctatlas.synthesis.label_maps import LabelMap, as_tissues, complete, hull_of_slices
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import draw_phantom
from ctatlas.synthesis.tables import tissue_id
from ctatlas.training.classes import IGNORED, class_of_tissue, trained_classes
from ctatlas.volume import read

SPACING_MM = 3.0
CENTRES_PER_CLASS = 1500


@dataclass(frozen=True, slots=True)
class Member:
    """One anatomy of the pool. `ct` is None where the image is drawn anew for every sample."""

    kind: str
    name: str
    labels: np.ndarray
    ct: np.ndarray | None
    centres: dict[int, np.ndarray]


def load_pool(folder: Path) -> list[Member]:
    """Open every member of a pool without reading the voxels into memory."""
    members = []
    for entry in sorted(folder.glob("*.json")):
        facts = json.loads(entry.read_text())
        labels = np.load(entry.with_suffix(".labels.npy"), mmap_mode="r")
        ct_file = entry.with_suffix(".ct.npy")
        ct = np.load(ct_file, mmap_mode="r") if ct_file.exists() else None
        with np.load(entry.with_suffix(".centres.npz")) as stored:
            centres = {int(key): stored[key] for key in stored}
        members.append(Member(facts["kind"], facts["name"], labels, ct, centres))
    return members


def build_pool(
    folder: Path, data: Path, *, seed: int, n_phantoms: int, n_completed: dict[str, int], workers: int
) -> int:
    """Draw and write the members that are not there yet; return how many there are.

    Parameters
    ----------
    folder : Path
        Where the pool lies.
    data : Path
        The folder with `torso_ct`, `labelmaps` and `phantoms`.
    seed : int
        Every member is a pure function of the seed and its own number.
    n_phantoms : int
        Procedural phantoms.
    n_completed : dict
        How many completions to draw for each label map.
    workers : int
        Processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs: list[tuple[Callable[..., None], tuple[Any, ...]]] = [(_real_members, (folder, data))]
    jobs += [(write_phantom_member, (folder, seed, n)) for n in range(n_phantoms)]
    for name, count in n_completed.items():
        jobs += [(_completed_member, (folder, data, seed, name, n)) for n in range(count)]
    with ProcessPoolExecutor(workers) as executor:
        for task in [executor.submit(job, *arguments) for job, arguments in jobs]:
            task.result()
    return len(list(folder.glob("*.json")))


def _write(folder: Path, kind: str, name: str, labels: np.ndarray, ct: np.ndarray | None = None) -> None:
    classes = class_of_tissue()[labels]
    rng = np.random.default_rng(len(name))
    centres = {}
    for channel in [c.channel for c in trained_classes()[1:]]:
        voxels = np.argwhere(classes == channel)
        if len(voxels):
            chosen = rng.choice(len(voxels), min(CENTRES_PER_CLASS, len(voxels)), replace=False)
            centres[str(channel)] = voxels[chosen].astype(np.int16)
    body = np.argwhere(labels[::4, ::4, ::4] > 0) * 4
    centres["0"] = body[rng.choice(len(body), min(CENTRES_PER_CLASS, len(body)), replace=False)].astype(np.int16)
    entry = folder / f"{kind}-{name}.json"
    np.save(entry.with_suffix(".labels.npy"), labels)
    if ct is not None:
        np.save(entry.with_suffix(".ct.npy"), ct)
    np.savez(entry.with_suffix(".centres.npz"), **centres)  # type: ignore[arg-type]  # savez names its own options
    entry.write_text(json.dumps({"kind": kind, "name": name}))


def _to_ras(array: np.ndarray) -> np.ndarray:
    """Turn a (left, back, head) array into (right, front, head), or back."""
    return np.ascontiguousarray(array[::-1, ::-1])


def write_phantom_member(folder: Path, seed: int, n: int) -> None:
    """Draw phantom `n` of a seed into the pool, where it is not there yet."""
    if (folder / f"phantom-{n:04d}.json").exists():
        return
    rng = np.random.default_rng([seed, 1, n])
    phantom = fitted(draw_phantom(rng))
    margin = 40 + phantom.subject.fat_mm
    x = np.arange(-190 - margin, 190 + margin, SPACING_MM)
    y = np.arange(-150 - margin / 2, 130 + margin / 2, SPACING_MM)
    labels = paint(phantom, x, y, np.arange(-315, 345, SPACING_MM))
    _write(folder, "phantom", f"{n:04d}", _to_ras(labels))


def _load(path: Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    scan = read(path).reoriented("RAS")
    return scan.array, scan.grid.spacing_mm


def _nearest(labels: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    picks = [
        np.rint(np.arange(0, n * s, SPACING_MM) / s).astype(int).clip(0, n - 1)
        for n, s in zip(labels.shape, spacing, strict=True)
    ]
    picked: np.ndarray = labels[np.ix_(*picks)]
    return picked


def _names(data: Path) -> dict[int, str]:
    table = json.loads((data / "label_names.json").read_text())["id_to_name"]
    return {int(key): name for key, name in table.items()}


def label_map_of(data: Path, name: str) -> LabelMap:
    """Read one of the label maps as tissues on the pool's grid, with its body outline."""
    folder = "phantoms" if name.startswith("hra") else "labelmaps"
    labels, spacing = _load(data / folder / f"{name}_labels.nii.gz")
    labels = _to_ras(_nearest(labels, spacing))  # stored RAS → (left, back, head)
    painted, known = as_tissues(labels, _names(data), SPACING_MM)
    if name.startswith("spl"):
        body = hull_of_slices(labels > 0, 14.0, SPACING_MM)
        known |= {"stomach", "duodenum", "colon", "small_bowel"}
    else:
        body = ndimage.binary_fill_holes(labels > 0)
    return LabelMap(painted, known, body, SPACING_MM)


def _completed_member(folder: Path, data: Path, seed: int, name: str, n: int) -> None:
    if (folder / f"completed-{name}-{n:03d}.json").exists():
        return
    rng = np.random.default_rng([seed, 2, len(name), n])
    sex = "female" if "female" in name else "male" if name in ("hra-male", "cort-prostate") else None
    labels = complete(label_map_of(data, name), draw_phantom(rng, sex=sex, conditions=()), rng)
    _write(folder, "completed", f"{name}-{n:03d}", _to_ras(labels))


def _real_members(folder: Path, data: Path) -> None:
    if (folder / "labelled-ts-example.json").exists():
        return
    ct, _ = _load(data / "torso_ct" / "ts-example_ct.nii.gz")
    labels, _ = _load(data / "labelmaps" / "ts-example_labels.nii.gz")
    painted, _ = as_tissues(labels, _names(data), SPACING_MM)
    _write(folder, "labelled", "ts-example", _fill_by_hu(painted, ct), ct.astype(np.int16))
    for name, file in UNLABELLED.items():
        ct = _ct_on_grid(data / "torso_ct" / file)
        _write(folder, "torso", name, _partial_labels(ct), ct)


UNLABELLED = {
    "crlm-1004": "crlm-1004_ct.nii.gz",
    "lidc-0314": "lidc-0314_ct_2p5mm.nii.gz",
    "nsclc-r01-001": "nsclc-r01-001_ct_2mm.nii.gz",
    "4dlung-113": "4dlung-113_ct.nii.gz",
}


def _ct_on_grid(path: Path) -> np.ndarray:
    ct, spacing = _load(path)
    sigma = [max(0.0, 0.35 * (SPACING_MM / s - 1)) for s in spacing]
    smooth = ndimage.gaussian_filter(ct.astype(np.float32), sigma)
    zoomed = ndimage.zoom(smooth, [s / SPACING_MM for s in spacing], order=1, mode="nearest")
    return np.rint(zoomed).astype(np.int16)


def body_mask(ct: np.ndarray) -> np.ndarray:
    """Return the largest thing denser than -400 HU, opened by two voxels and filled slice by slice."""
    dense = ndimage.binary_opening(ct > -400, iterations=1)
    parts, n = ndimage.label(dense)
    if n == 0:
        return dense
    counts = np.bincount(parts.ravel())
    counts[0] = 0
    body: np.ndarray = parts == counts.argmax()
    for k in range(body.shape[2]):
        body[:, :, k] = ndimage.binary_fill_holes(body[:, :, k])
    return body


def _fill_by_hu(painted: np.ndarray, ct: np.ndarray) -> np.ndarray:
    """Name what the label map leaves open inside the body by its HU: gas, fat, soft tissue, bone."""
    body = body_mask(ct)
    out = painted.copy()
    free = (painted == 0) & body
    out[free] = tissue_id("muscle")
    out[free & (ct < -30)] = tissue_id("visceral_fat")
    out[free & (ct < -300)] = tissue_id("bronchus")
    out[free & (ct > 200)] = tissue_id("unknown_bone")
    return out


def _partial_labels(ct: np.ndarray) -> np.ndarray:
    """Label only what HU decides without learning: air outside, fat, the inside of the lungs; the rest is ignored."""
    body = body_mask(ct)
    labels = np.full(ct.shape, IGNORED, dtype=np.uint8)
    labels[~ndimage.binary_dilation(body)] = tissue_id("air")
    fat = ndimage.binary_erosion((ct > -150) & (ct < -50)) & body
    labels[fat] = tissue_id("visceral_fat")
    air = ndimage.binary_erosion((ct < -600) & (ct > -960) & body, iterations=2)
    parts, n = ndimage.label(air)
    for part in range(1, n + 1):
        here = parts == part
        if here.sum() * SPACING_MM**3 > 200_000:
            labels[here] = tissue_id("lung_left")
    return labels


def remaining(members: list[Member], without: Sequence[str]) -> list[Member]:
    """Return the members that are left when some are taken out, by kind or by the beginning of their names.

    Raises
    ------
    ModelError
        When a word takes out nothing, or all are taken out.
    """
    for word in without:
        if not any(_is_of(member, word) for member in members):
            known = sorted({member.kind for member in members})
            raise ModelError(f"{word!r} takes nothing out of the pool; kinds of members: {', '.join(known)}")
    left = [member for member in members if not any(_is_of(member, word) for word in without)]
    if members and not left:
        raise ModelError(f"nothing is left of the pool without {', '.join(without)}")
    return left


def _is_of(member: Member, word: str) -> bool:
    return member.kind == word or member.name.startswith(word)


def by_kind(members: list[Member]) -> dict[str, list[Member]]:
    """Group members by kind."""
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(member.kind, []).append(member)
    return groups
