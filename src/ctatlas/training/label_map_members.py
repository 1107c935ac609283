"""Anatomies of the pool that start from patients' label maps: combined, completed, deformed, with real texture."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from scipy import ndimage

from ctatlas.synthesis.deformation import Deformation, deformation, random_velocity
from ctatlas.synthesis.gas_levels import set_gas_levels
from ctatlas.synthesis.label_maps import LabelMap, complete, mirrored
from ctatlas.synthesis.organ_moves import organ_velocity
from ctatlas.synthesis.outlines import hull_of_slices
from ctatlas.synthesis.phantom import draw_phantom
from ctatlas.synthesis.real_textures import Texture, real_texture, texture_of
from ctatlas.synthesis.tables import tissue_id
from ctatlas.synthesis.tissue_maps import Split, as_tissues, split_by_place
from ctatlas.training.scans import SPACING_MM, UNLABELLED, body_mask, read_ras, scan_on_grid, to_ras

DEFORMATION_MM = (12.0, 25.0)  # root mean square of the way that a place is moved
MIRRORED_SHARE, INVERSUS_SHARE = 0.5, 0.02
SKIN_BEYOND_ORGANS_MM = 14.0
DOUBTFUL_MM = 20.0  # around ts-example's piece of a pancreas


@dataclass(frozen=True, slots=True)
class Anatomy:
    """One drawn anatomy: tissues and HU beside their mean, both (left, back, head) on the pool's grid; its sources."""

    tissues: np.ndarray
    texture_hu: np.ndarray
    sources: tuple[str, ...]


def _table(name: str) -> list[dict[str, str]]:
    text = files("ctatlas.training").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def recipes() -> Mapping[tuple[str, ...], float]:
    """Return the share of each combination of maps among the members; the first map gives the body."""
    return {tuple(row["maps"].split()): float(row["share"]) for row in _table("label_map_members.csv")}


def draw_anatomy(data: Path, rng: np.random.Generator, names: Sequence[str] = ()) -> Anatomy:
    """Draw an anatomy from the label maps.

    Parameters
    ----------
    data : Path
        The folder with `torso_ct`, `labelmaps` and `phantoms`.
    rng : np.random.Generator
        The only source of randomness.
    names : sequence of str, optional
        The label maps, that of the body first; drawn from `recipes` when not given.
    """
    if not names:
        shares = np.array(list(recipes().values()))
        names = list(recipes())[int(rng.choice(len(shares), p=shares / shares.sum()))]
    sex = next((s for s in (_facts(name)["sex"] for name in names) if s), None) or str(rng.choice(("female", "male")))
    maps = [_maybe_mirrored(rng, data, name) for name in names]
    if inversus := bool(rng.random() < INVERSUS_SHARE):
        maps = [mirrored(label_map, organs=True) for label_map in maps]
    person = draw_phantom(rng, sex=sex, conditions=("situs_inversus",) if inversus else ())
    tissues = complete(maps, person, rng)
    (tissues,) = _drawn_deformation(rng, tissues, sex).carried(tissues)
    set_gas_levels(tissues, SPACING_MM, rng)
    scans = [str(name) for name in rng.choice(list(UNLABELLED), 2, replace=False)]
    texture = real_texture(tissues, [_texture(data, name) for name in scans], rng)
    return Anatomy(tissues, texture, (*names, *scans))


def _maybe_mirrored(rng: np.random.Generator, data: Path, name: str) -> LabelMap:
    label_map = label_map_of(data, name)
    if rng.random() >= MIRRORED_SHARE:
        return label_map
    return mirrored(label_map, organs=_facts(name)["two_sided"] == "yes")


def _drawn_deformation(rng: np.random.Generator, tissues: np.ndarray, sex: str) -> Deformation:
    velocity = random_velocity(rng, tissues.shape, SPACING_MM, float(rng.uniform(*DEFORMATION_MM)))
    velocity += organ_velocity(rng, tissues, SPACING_MM, sex)
    return deformation(velocity, tissues.shape, SPACING_MM)


@cache
def _facts(name: str) -> dict[str, str]:
    return next(row for row in _table("label_maps.csv") if row["map"] == name)


def _splits(name: str) -> list[Split]:
    def corner(text: str) -> tuple[float, float, float]:
        x, y, z = (float(word) for word in text.split())
        return x, y, z

    return [
        Split(row["structure"], row["part"], corner(row["low_mm"]), corner(row["high_mm"]))
        for row in _table("label_map_splits.csv")
        if row["map"] == name
    ]


def _names(data: Path) -> dict[int, str]:
    table = json.loads((data / "label_names.json").read_text())["id_to_name"]
    return {int(key): name for key, name in table.items()}


@cache
def label_map_of(data: Path, name: str) -> LabelMap:
    """Read one of the label maps as tissues on the pool's grid, with its body outline."""
    facts, names = _facts(name), _names(data)
    labels, spacing = read_ras(data / facts["folder"] / f"{name}_labels.nii.gz")
    labels = to_ras(_nearest(split_by_place(labels, names, _splits(name), spacing), spacing))
    painted, known = as_tissues(labels, names, SPACING_MM)
    left_out = {n for n, structure in names.items() if structure in facts["left_out"].split()}
    painted[np.isin(labels, list(left_out))] = 0
    known = (known - set(facts["left_out"].split())) | set(facts["also_known"].split())
    return LabelMap(painted, known, _outline(data, name, labels), SPACING_MM, skin_seen=facts["outline"] != "organs")


def _outline(data: Path, name: str, labels: np.ndarray) -> np.ndarray:
    kind = _facts(name)["outline"]
    if kind == "organs":
        return hull_of_slices(labels > 0, SKIN_BEYOND_ORGANS_MM, SPACING_MM)
    if kind == "scan":
        return to_ras(body_mask(scan_on_grid(data, name)))
    body: np.ndarray = ndimage.binary_fill_holes(labels > 0)
    return body


def _nearest(labels: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    picks = [
        np.rint(np.arange(0, n * s, SPACING_MM) / s).astype(int).clip(0, n - 1)
        for n, s in zip(labels.shape, spacing, strict=True)
    ]
    picked: np.ndarray = labels[np.ix_(*picks)]
    return picked


@cache
def _texture(data: Path, name: str) -> Texture:
    hu = to_ras(scan_on_grid(data, name))
    return texture_of(hu, body_mask(hu), SPACING_MM)


def labelled_scan(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return `ts-example` as tissues and HU (int16), both in RAS order; what its labels leave open is named by HU."""
    ct = scan_on_grid(data, "ts-example")
    labels, spacing = read_ras(data / "labelmaps" / "ts-example_labels.nii.gz")
    names = _names(data)
    painted, _ = as_tissues(split_by_place(labels, names, _splits("ts-example"), spacing), names, SPACING_MM)
    return _fill_by_hu(painted, ct), ct


def deformed_scan(data: Path, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return `ts-example` deformed, scan and labels alike: other sizes, places and forms of the same tissues."""
    tissues, ct = labelled_scan(data)
    drawn = _drawn_deformation(rng, tissues, "male")
    (carried,) = drawn.carried(tissues)
    return carried, np.rint(drawn.carried_image(ct)).astype(np.int16)


def _fill_by_hu(painted: np.ndarray, ct: np.ndarray) -> np.ndarray:
    """Name what the label map leaves open inside the body by its HU: gas, fat, soft tissue, bone.

    Soft tissue around the labelled piece of the pancreas may be pancreas, too, and is not judged.
    """
    body = body_mask(ct)
    out = painted.copy()
    free = (painted == 0) & body
    out[free] = tissue_id("muscle")
    away = ndimage.distance_transform_edt(painted != tissue_id("pancreas"), sampling=SPACING_MM)
    out[free & (away < DOUBTFUL_MM)] = tissue_id("unknown_pancreas")
    out[free & (ct < -30)] = tissue_id("visceral_fat")
    out[free & (ct < -300)] = tissue_id("bronchus")
    out[free & (ct > 200)] = tissue_id("unknown_bone")
    return out
