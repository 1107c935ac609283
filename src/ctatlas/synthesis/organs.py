"""How organs differ between people: volume, form, place, calibre, walls, gas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ctatlas.errors import ModelError
from ctatlas.synthesis.conditions import removed
from ctatlas.synthesis.parts import Part
from ctatlas.synthesis.shapes import Ellipsoid, Point, Shape, Tube
from ctatlas.synthesis.subject import Subject
from ctatlas.synthesis.tables import OrganSize, organ_sizes, placement

WITH_BUILD = 0.6  # correlation of organs' volumes with how large a person is: estimate
ADULT_CM = 160.0  # organs of shorter people are smaller than the tables say
MIDDLE_OF_CAVITY = (0.0, -20.0, 0.0)
RIGID = ("frame", "lungs", "pelvis", "shoulder")
GAS_PROBABILITY = {"stomach_gas": 0.7, "colon_gas": 0.75}
WALL_SPREAD = 0.25  # s.d. of the logarithm of a wall's thickness
LONGER = 0.4  # share of a hollow organ's growth that goes into its length; the rest widens it
OLD_FROM, OLD_FULLY = 45.0, 85.0  # years between which fat parts the lobules of the pancreas
CLEFTS_MM = (1.0, 5.0)  # of the pancreas in the old


def draw_organs(rng: np.random.Generator, subject: Subject) -> dict[str, dict[str, Any]]:
    """Draw volume, form and place of every organ group of a person."""
    drawn: dict[str, dict[str, Any]] = {}
    gone = removed(subject.conditions)
    for name, group in placement()["organs"].items():
        size = organ_sizes().get(name)
        target = _target_ml(rng, size, subject) if size else None
        shift = rng.normal(0, group["jitter_mm"], 3)
        if "follows" in group:
            shift += drawn[group["follows"]]["shift"]
        else:
            shift[2] += group["breath"] * subject.breath_mm
            if "inside" in group:  # a wider cavity carries its organs outwards
                shift[:2] += (subject.visceral - 1) * np.subtract(group["anchor"], MIDDLE_OF_CAVITY)[:2]
        forms = group.get("forms", {"": 1.0})
        drawn[name] = {
            "anchor": tuple(float(v) for v in group["anchor"]),
            "shift": tuple(float(v) for v in shift),
            "scale": float((target / size.base_ml) ** (1 / 3) * 171 / subject.height_cm)
            if size and target
            else float(np.exp(rng.normal(0, 0.04))),
            "target_ml": target,
            "absent": name in gone,
            "form": str(rng.choice(list(forms), p=list(forms.values()))),
            "clefts_mm": 0.0,
        }
    for name in ("frame", "lungs", "pelvis"):
        drawn[name] |= {"scale": 1.0}
    old = float(np.clip((subject.age - OLD_FROM) / (OLD_FULLY - OLD_FROM), 0, 1))
    drawn["pancreas"] |= {"clefts_mm": old * float(rng.uniform(*CLEFTS_MM))}
    return drawn


def _target_ml(rng: np.random.Generator, size: OrganSize, subject: Subject) -> float:
    mean, sd = (size.men_ml, size.men_sd) if subject.sex == "male" else (size.women_ml, size.women_sd)
    sigma = np.sqrt(np.log(1 + (sd / mean) ** 2))
    grown = float(min(subject.height_cm / ADULT_CM, 1.0) ** 2.5)
    deviation = WITH_BUILD * subject.build + np.sqrt(1 - WITH_BUILD**2) * rng.normal()
    drawn = np.exp(np.log(mean) - sigma**2 / 2 + sigma * deviation)
    return grown * float(np.clip(drawn, 0.1 * mean, 4 * mean))


def put(part: Part, organs: Mapping[str, dict[str, Any]], rng: np.random.Generator) -> Part:
    """Return a part of the placement table where a person has it."""
    organ = organs[part.organ]
    drawn = part.shape if part.organ in RIGID else _varied(part.shape, part.organ, rng)
    shape = grown(drawn, part.organ, organ)
    if part.begins_at:
        shape = _between(grown(drawn, part.begins_at, organs[part.begins_at]), shape)
    gas_y = None
    if part.gas and rng.random() < GAS_PROBABILITY[part.gas]:
        low, high = shape.bounds()
        gas_y = float(low[1] + rng.uniform(0.05, 0.6) * (high[1] - low[1]))
    wall = part.wall * float(np.exp(rng.normal(0, WALL_SPREAD)))
    return replace(part, shape=shape, gas_y=gas_y, wall=wall, clefts=organ["clefts_mm"])


def grown(shape: Shape, name: str, organ: Mapping[str, Any]) -> Shape:
    """Return a shape scaled about an organ's anchor and shifted; tubes of some grow more in calibre than in length."""
    anchor, scale, shift = organ["anchor"], organ["scale"], organ["shift"]
    if placement()["organs"][name].get("grows") == "calibre" and isinstance(shape, Tube):
        return shape.moved(anchor, scale**LONGER, shift).widened(scale ** (1.5 * (1 - LONGER)))
    return shape.moved(anchor, scale, shift)


def _between(first: Shape, last: Shape) -> Tube:
    """Return the tube that begins like the first and ends like the last of two that differ in place and size."""
    if not (isinstance(first, Tube) and isinstance(last, Tube)):
        raise ModelError("placement.toml: only a tube can begin at another organ")
    shares = np.linspace(0, 1, len(first.points))
    points = tuple(
        (float(x + t * (u - x)), float(y + t * (v - y)), float(z + t * (w - z)))
        for (x, y, z), (u, v, w), t in zip(first.points, last.points, shares, strict=True)
    )
    radii = tuple(float(r + t * (s - r)) for r, s, t in zip(first.radii, last.radii, shares, strict=True))
    return replace(first, points=points, radii=radii)


def _varied(shape: Shape, organ: str, rng: np.random.Generator) -> Shape:
    """Return a shape a little bent, stretched or turned."""
    if isinstance(shape, Tube):
        return _bent(shape, placement()["organs"][organ].get("bend_mm", 5.0), rng)
    if isinstance(shape, Ellipsoid):
        a, b, c = (float(r * np.exp(e)) for r, e in zip(shape.radii, rng.normal(0, 0.06, 3), strict=True))
        u, v, w = (float(angle + turn) for angle, turn in zip(shape.rotation, rng.normal(0, 5, 3), strict=True))
        return replace(shape, radii=(a, b, c), rotation=(u, v, w))
    return shape


def _bent(tube: Tube, bend_mm: float, rng: np.random.Generator) -> Tube:
    radius = float(np.mean(tube.radii))
    shifts = rng.normal(0, min(bend_mm, 0.35 * radius), (len(tube.points), 3))
    widths = np.exp(rng.normal(0, 0.1)) * np.exp(rng.normal(0, 0.08, len(tube.radii)))
    points: tuple[Point, ...] = tuple(
        (float(x + a), float(y + b), float(z + c)) for (x, y, z), (a, b, c) in zip(tube.points, shifts, strict=True)
    )
    return replace(tube, points=points, radii=tuple(float(r * w) for r, w in zip(tube.radii, widths, strict=True)))
