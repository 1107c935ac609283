"""The synthesis room's data tables: tissues, materials, organ sizes, placement, spine and body outline."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from ctatlas.errors import ModelError

# "left" and "right" here are the heart's, which a mirrored heart keeps.
ONE_SIDED = ("heart_left_blood", "heart_right_blood")
PHASES = ("native", "arterial", "portal", "delayed")


@dataclass(frozen=True, slots=True)
class Tissue:
    """A painted label: its id, the structure it belongs to ("" for none) and the material that gives its HU."""

    id: int
    name: str
    structure: str
    material: str


@dataclass(frozen=True, slots=True)
class Material:
    """Mean HU and between-subject s.d. per contrast phase (order of `PHASES`), and texture s.d. within a structure."""

    mean_hu: tuple[float, float, float, float]
    sd_hu: tuple[float, float, float, float]
    texture_hu: float


@dataclass(frozen=True, slots=True)
class OrganSize:
    """Volume of the reference placement and of men and women in mL."""

    base_ml: float
    men_ml: float
    men_sd: float
    women_ml: float
    women_sd: float


def _rows(name: str) -> list[dict[str, str]]:
    text = files("ctatlas.synthesis").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def materials() -> Mapping[str, Material]:
    """Return HU by material at 120 kVp."""
    return {
        row["material"]: Material(
            mean_hu=tuple(float(row[phase]) for phase in PHASES),  # type: ignore[arg-type]
            sd_hu=tuple(float(row[f"{phase}_sd"]) for phase in PHASES),  # type: ignore[arg-type]
            texture_hu=float(row["texture_sd"]),
        )
        for row in _rows("hu.csv")
    }


@cache
def tissues() -> Mapping[str, Tissue]:
    """Return the tissues by name; ids are the order of the table, 0 is air."""
    rows = _rows("tissues.csv")
    table = {row["tissue"]: Tissue(n, row["tissue"], row["structure"], row["material"]) for n, row in enumerate(rows)}
    if unknown := {tissue.material for tissue in table.values()} - materials().keys():
        raise ModelError(f"tissues.csv: materials not in hu.csv: {sorted(unknown)}")
    if len(table) < len(rows) or len(table) > 255:
        raise ModelError("tissues.csv: a tissue is given twice, or there are more than 255")
    return table


def tissue_id(name: str) -> int:
    """Return the label of one tissue."""
    return tissues()[name].id


def other_side(name: str) -> str:
    """Return what the same thing of the other side is called; what has no side keeps its name."""
    swapped = {"left": "right", "right": "left"}
    words = [swapped.get(word, word) for word in name.split("_")]
    return name if name in ONE_SIDED else "_".join(words)


@cache
def organ_sizes() -> Mapping[str, OrganSize]:
    """Return organ volumes by organ group."""
    return {
        row["organ"]: OrganSize(**{key: float(row[key]) for key in OrganSize.__dataclass_fields__})
        for row in _rows("sizes.csv")
    }


@cache
def placement() -> Mapping[str, Any]:
    """Return the placement table: organ groups and parts in painting order."""
    table = tomllib.loads(files("ctatlas.synthesis").joinpath("data", "placement.toml").read_text(encoding="utf-8"))
    if unknown := {part["organ"] for part in table["parts"]} - table["organs"].keys():
        raise ModelError(f"placement.toml: parts name unknown organs: {sorted(unknown)}")
    return table


@cache
def columns(name: str) -> Mapping[str, np.ndarray]:
    """Return the numeric columns of `spine.csv` or `outline.csv`, sorted by rising z."""
    rows = sorted(_rows(name), key=lambda row: float(row["z"]))
    return {key: np.array([float(row[key]) for row in rows]) for key in rows[0] if key not in ("level", "source")}


def girth(visceral: float, z: np.ndarray) -> np.ndarray:
    """Return the width of a person's cavity and of the ribs around it against the outline table, at heights in mm."""
    share: np.ndarray = 1 + (visceral - 1) * np.interp(z, [-260, -150, 40, 110], [0.3, 1, 1, 0.35])
    return share
