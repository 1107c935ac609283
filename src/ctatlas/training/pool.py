"""The pool of anatomies a network is trained on: phantoms, completed label maps, labelled and unlabelled real CTs.

Everything lies on 3 mm grids in RAS order and is written once, as plain .npy files that the training processes map.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from ctatlas.errors import ModelError
from ctatlas.synthesis.fitting import fitted
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import draw_phantom
from ctatlas.training.classes import class_of_tissue, key_of_tables, trained_classes
from ctatlas.training.label_map_members import deformed_scan, draw_anatomy, labelled_scan
from ctatlas.training.processes import one_core_each
from ctatlas.training.scans import SPACING_MM, UNLABELLED, scan_on_grid, to_ras
from ctatlas.training.torsos import fields_of_view, partial_labels

CENTRES_PER_CLASS = 1500


@dataclass(frozen=True, slots=True)
class Member:
    """One anatomy of the pool.

    Attributes
    ----------
    kind, name : str
    labels : (right, front, head) uint8
        Tissue ids, or codes of a target (see `classes`).
    ct : (right, front, head) int16, optional
        HU; None where the image is drawn anew for every sample.
    centres : dict
        Some voxels of every channel.
    texture : (right, front, head) int16, optional
        What real scans show beside the mean of each tissue, HU.
    sources : tuple of str
        The label maps and scans that it is made of.
    codes : (256,) uint8
        Look-up from labels to the codes of a target.
    """

    kind: str
    name: str
    labels: np.ndarray
    ct: np.ndarray | None
    centres: dict[int, np.ndarray] = field(default_factory=dict)
    texture: np.ndarray | None = None
    sources: tuple[str, ...] = ()
    codes: np.ndarray = field(default_factory=class_of_tissue)


def load_pool(folder: Path) -> list[Member]:
    """Open every member of a pool without reading the voxels into memory.

    Raises
    ------
    ModelError
        When a member was written with other tables of tissues or classes, so that its numbers mean something else.
    """
    members = []
    for entry in sorted(folder.glob("*.json")):
        facts = json.loads(entry.read_text())
        if facts.get("tables") != key_of_tables():
            raise ModelError(f"{entry}: made with other tables of tissues or classes; delete the pool to build it anew")
        labels = np.load(entry.with_suffix(".labels.npy"), mmap_mode="r")
        ct, texture = (_mapped(entry.with_suffix(suffix)) for suffix in (".ct.npy", ".texture.npy"))
        with np.load(entry.with_suffix(".centres.npz")) as stored:
            centres = {int(key): stored[key] for key in stored}
        sources, codes = tuple(facts["sources"]), CODES[facts["labels"]]()
        members.append(Member(facts["kind"], facts["name"], labels, ct, centres, texture, sources, codes))
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
    jobs: list[tuple[Callable[..., None], tuple[Any, ...]]] = [
        (_torso_member, (folder, data, name)) for name in UNLABELLED
    ]
    jobs += [(write_phantom_member, (folder, seed, n)) for n in range(n_phantoms)]
    jobs += [(_completed_member, (folder, data, seed, n)) for n in range(n_completed)]
    jobs += [(_labelled_member, (folder, data, seed, n)) for n in range(n_labelled)]
    with one_core_each(), ProcessPoolExecutor(workers, get_context("spawn")) as executor:
        for task in [executor.submit(job, *arguments) for job, arguments in jobs]:
            task.result()
    return len(list(folder.glob("*.json")))


def write_member(
    folder: Path,
    member: Member,
    *,
    labels_are: str = "tissues",
    centred: bool = True,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write one anatomy into a pool; its centres are drawn here.

    Parameters
    ----------
    folder : Path
    member : Member
    labels_are : str
        Key of `CODES`: tissues, or codes of a target.
    centred : bool
        Whether patches are centred on classes; else anywhere in the body.
    facts : mapping, optional
        What else is worth keeping about it.
    """
    entry = folder / f"{member.kind}-{member.name}.json"
    classes = CODES[labels_are]()[member.labels] if centred else np.zeros(1, np.uint8)
    np.save(entry.with_suffix(".labels.npy"), member.labels)
    for suffix, array in ((".ct.npy", member.ct), (".texture.npy", member.texture)):
        if array is not None:
            np.save(entry.with_suffix(suffix), array)
    centres = _drawn_centres(member, classes)
    np.savez(entry.with_suffix(".centres.npz"), **centres)  # type: ignore[arg-type]  # savez names its own options
    known = {"kind": member.kind, "name": member.name, "sources": list(member.sources)}
    known |= {"labels": labels_are, "tables": key_of_tables()}
    entry.write_text(json.dumps(known | dict(facts or {}), indent=1))


def _drawn_centres(member: Member, classes: np.ndarray) -> dict[str, np.ndarray]:
    """Draw voxels of every channel among classes, and of the body."""
    rng = np.random.default_rng(len(member.name))
    places = {"0": np.argwhere(member.labels[::4, ::4, ::4] > 0) * 4}
    places |= {str(each.channel): np.argwhere(classes == each.channel) for each in trained_classes()[1:]}
    return {
        key: voxels[rng.choice(len(voxels), min(CENTRES_PER_CLASS, len(voxels)), replace=False)].astype(np.int16)
        for key, voxels in places.items()
        if len(voxels)
    }


def _codes_themselves() -> np.ndarray:
    return np.arange(256, dtype=np.uint8)


CODES: Mapping[str, Callable[[], np.ndarray]] = {"tissues": class_of_tissue, "codes": _codes_themselves}
"""How labels become the codes of a target."""


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
    write_member(folder, Member("phantom", f"{n:04d}", to_ras(labels), None))


def _completed_member(folder: Path, data: Path, seed: int, n: int) -> None:
    if (folder / f"completed-{n:03d}.json").exists():
        return
    drawn = draw_anatomy(data, np.random.default_rng([seed, 2, n]))
    texture = to_ras(drawn.texture_hu)
    tissues = to_ras(drawn.tissues)
    write_member(folder, Member("completed", f"{n:03d}", tissues, None, texture=texture, sources=drawn.sources))


def _labelled_member(folder: Path, data: Path, seed: int, n: int) -> None:
    if (folder / f"labelled-ts-example-{n:02d}.json").exists():
        return
    rng = np.random.default_rng([seed, 3, n])
    labels, ct = labelled_scan(data) if n == 0 else deformed_scan(data, rng)
    write_member(folder, Member("labelled", f"ts-example-{n:02d}", labels, ct, sources=("ts-example",)))


def _torso_member(folder: Path, data: Path, name: str) -> None:
    if (folder / f"torso-{name}.json").exists():
        return
    ct = scan_on_grid(data, name)
    labels = partial_labels(ct, SPACING_MM, fields_of_view()[name])
    write_member(folder, Member("torso", name, labels, ct, sources=(name,)), labels_are="codes", centred=False)


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
