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
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import draw_phantom
from ctatlas.synthesis.tables import tissue_id
from ctatlas.training.classes import IGNORED, class_of_tissue, trained_classes
from ctatlas.training.label_map_members import deformed_scan, draw_anatomy, labelled_scan
from ctatlas.training.scans import SPACING_MM, UNLABELLED, body_mask, scan_on_grid, to_ras

CENTRES_PER_CLASS = 1500


@dataclass(frozen=True, slots=True)
class Member:
    """One anatomy of the pool.

    Attributes
    ----------
    kind, name : str
    labels : (right, front, head) uint8
        Tissue ids.
    ct : (right, front, head) int16, optional
        HU; None where the image is drawn anew for every sample.
    centres : dict
        Some voxels of every channel.
    texture : (right, front, head) int16, optional
        What real scans show beside the mean of each tissue, HU.
    sources : tuple of str
        The label maps and scans that it is made of.
    """

    kind: str
    name: str
    labels: np.ndarray
    ct: np.ndarray | None
    centres: dict[int, np.ndarray]
    texture: np.ndarray | None = None
    sources: tuple[str, ...] = ()


def load_pool(folder: Path) -> list[Member]:
    """Open every member of a pool without reading the voxels into memory."""
    members = []
    for entry in sorted(folder.glob("*.json")):
        facts = json.loads(entry.read_text())
        labels = np.load(entry.with_suffix(".labels.npy"), mmap_mode="r")
        ct, texture = (_mapped(entry.with_suffix(suffix)) for suffix in (".ct.npy", ".texture.npy"))
        with np.load(entry.with_suffix(".centres.npz")) as stored:
            centres = {int(key): stored[key] for key in stored}
        members.append(Member(facts["kind"], facts["name"], labels, ct, centres, texture, tuple(facts["sources"])))
    return members


def _mapped(file: Path) -> np.ndarray | None:
    return np.load(file, mmap_mode="r") if file.exists() else None


def build_pool(
    folder: Path, data: Path, *, seed: int, n_phantoms: int, n_completed: int, n_labelled: int, workers: int
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
    n_completed : int
        Anatomies from label maps.
    n_labelled : int
        The labelled real CT as it is, and deformed copies.
    workers : int
        Processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs: list[tuple[Callable[..., None], tuple[Any, ...]]] = [(_torso_members, (folder, data))]
    jobs += [(write_phantom_member, (folder, seed, n)) for n in range(n_phantoms)]
    jobs += [(_completed_member, (folder, data, seed, n)) for n in range(n_completed)]
    jobs += [(_labelled_member, (folder, data, seed, n)) for n in range(n_labelled)]
    with ProcessPoolExecutor(workers) as executor:
        for task in [executor.submit(job, *arguments) for job, arguments in jobs]:
            task.result()
    return len(list(folder.glob("*.json")))


def _write(
    folder: Path,
    kind: str,
    name: str,
    labels: np.ndarray,
    ct: np.ndarray | None = None,
    *,
    texture: np.ndarray | None = None,
    sources: Sequence[str] = (),
) -> None:
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
    for suffix, array in ((".ct.npy", ct), (".texture.npy", texture)):
        if array is not None:
            np.save(entry.with_suffix(suffix), array)
    np.savez(entry.with_suffix(".centres.npz"), **centres)  # type: ignore[arg-type]  # savez names its own options
    entry.write_text(json.dumps({"kind": kind, "name": name, "sources": list(sources)}))


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
    _write(folder, "phantom", f"{n:04d}", to_ras(labels))


def _completed_member(folder: Path, data: Path, seed: int, n: int) -> None:
    if (folder / f"completed-{n:03d}.json").exists():
        return
    drawn = draw_anatomy(data, np.random.default_rng([seed, 2, n]))
    texture = to_ras(drawn.texture_hu)
    _write(folder, "completed", f"{n:03d}", to_ras(drawn.tissues), texture=texture, sources=drawn.sources)


def _labelled_member(folder: Path, data: Path, seed: int, n: int) -> None:
    if (folder / f"labelled-ts-example-{n:02d}.json").exists():
        return
    rng = np.random.default_rng([seed, 3, n])
    labels, ct = labelled_scan(data) if n == 0 else deformed_scan(data, rng)
    _write(folder, "labelled", f"ts-example-{n:02d}", labels, ct, sources=("ts-example",))


def _torso_members(folder: Path, data: Path) -> None:
    for name in UNLABELLED:
        if not (folder / f"torso-{name}.json").exists():
            ct = scan_on_grid(data, name)
            _write(folder, "torso", name, _partial_labels(ct), ct, sources=(name,))


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
    """Return the members that are left when some are taken out, by kind, beginning of the name, or source.

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
    return member.kind == word or member.name.startswith(word) or word in member.sources


def by_kind(members: list[Member]) -> dict[str, list[Member]]:
    """Group members by kind."""
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(member.kind, []).append(member)
    return groups
