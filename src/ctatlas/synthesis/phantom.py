"""A random person as a list of parts: drawing it is one pure function of a seed, painting it another (`paint`).

Coordinates: x to the patient's left, y to the back, z to the head, in mm; origin in the centre of L1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ctatlas.synthesis.clutter import liver_vessels, lung_vessels, mesentery, small_bowel
from ctatlas.synthesis.parts import Part, placed_parts
from ctatlas.synthesis.shapes import Point, Tube
from ctatlas.synthesis.skeleton import rib_cage, spine
from ctatlas.synthesis.tables import OrganSize, organ_sizes, placement

GAS_PROBABILITY = {"stomach_gas": 0.7, "colon_gas": 0.75}
BONE_ORGANS = ("pelvis", "shoulder")
BONE_TISSUES = ("hip", "femur", "sacrum", "clavicula", "scapula", "humerus")


@dataclass(frozen=True, slots=True)
class Subject:
    """The person: sex, size, habitus and pose."""

    sex: str
    height_cm: float
    fat_mm: float  # subcutaneous, at the belly
    visceral: float  # girth of the cavity against the table
    wall: float  # thickness of the muscle wall against the table
    breath_mm: float  # shift of the diaphragm, positive towards the head
    dome_mm: tuple[float, float]  # height of the right and left dome above the table's
    arms: str  # "up", "down" or "none"
    scoliosis_mm: float
    kyphosis: float
    effusion_mm: tuple[float, float]  # depth of fluid behind the right and left lung
    heart_scale: float
    table_gap_mm: float
    table: bool


@dataclass(frozen=True, slots=True)
class Phantom:
    """A person ready to be painted: `soft` first, then lungs are closed on the diaphragm, then `bones`."""

    subject: Subject
    organs: dict[str, dict[str, Any]]
    soft: tuple[Part, ...]
    bones: tuple[Part, ...]
    warp_seed: int
    warp_mm: tuple[float, float, float] = field(default=(5.0, 2.5, 1.2))

    @property
    def scale(self) -> float:
        """Return the size against the 171 cm person of the tables."""
        return self.subject.height_cm / 171

    def record(self) -> dict[str, Any]:
        """Return every drawn parameter in plain types, for JSON."""
        return asdict(self)


def draw_phantom(rng: np.random.Generator, *, sex: str | None = None) -> Phantom:
    """Draw one person.

    Parameters
    ----------
    rng : np.random.Generator
        The only source of randomness.
    sex : {"female", "male"}, optional
        Drawn when not given.

    Notes
    -----
    Source of the distributions: reference tables cited in `sizes.csv` and `placement.toml`; the rest are estimates.
    """
    subject = _draw_subject(rng, sex)
    parts = placed_parts(subject.sex)
    organs = _draw_organs(rng, subject)
    soft: list[Part] = []
    bones = list(spine())
    for part in parts:
        moved = _placed(part, organs[part.organ], rng)
        if moved is None:
            continue
        is_bone = part.tissue.startswith(BONE_TISSUES)
        (bones if is_bone else soft).append(moved)
    first_vessel = next(n for n, part in enumerate(soft) if part.tissue == "portal_vein_and_splenic_vein")
    soft[first_vessel:first_vessel] = small_bowel(rng)
    soft += liver_vessels(rng, organs["liver"]["shift"]) + lung_vessels(rng) + mesentery(rng)
    soft += iliac_arteries(organs["retroperitoneum"]["shift"])
    soft.append(_aorta(rng, organs["great_vessels"]["shift"], organs["retroperitoneum"]["shift"]))
    if subject.arms != "none":
        soft = _arms(rng, subject) + soft
    bones += list(rib_cage())
    return Phantom(subject, organs, tuple(soft), tuple(bones), int(rng.integers(2**31)))


def _draw_subject(rng: np.random.Generator, sex: str | None) -> Subject:
    sex = sex or ("male" if rng.random() < 0.5 else "female")
    height = rng.normal(177, 7) if sex == "male" else rng.normal(164, 6.5)
    effusions = [float(rng.uniform(8, 55)) if rng.random() < 0.12 else 0.0 for _ in range(2)]
    fat = float(np.clip(rng.lognormal(np.log(17 if sex == "male" else 22), 0.5), 4, 75))
    right_dome, left_dome = rng.normal(0, 8, 2)
    return Subject(
        sex=sex,
        height_cm=float(height),
        fat_mm=fat,
        visceral=float(rng.uniform(0.85, 1.05) + 0.2 * rng.random() * min(fat / 25, 1.5)),
        wall=float(rng.uniform(0.7, 1.3)),
        breath_mm=float(rng.uniform(-25, 8)),
        dome_mm=(float(right_dome), float(left_dome)),
        arms=str(rng.choice(["up", "down", "none"], p=[0.6, 0.2, 0.2])),
        scoliosis_mm=float(rng.normal(0, 5)),
        kyphosis=float(rng.normal(0, 6)),
        effusion_mm=(effusions[0], effusions[1]),
        heart_scale=float(np.exp(rng.normal(0, 0.1))),
        table_gap_mm=float(rng.uniform(0, 12)),
        table=bool(rng.random() < 0.6),
    )


def _target_ml(rng: np.random.Generator, size: OrganSize, sex: str) -> float:
    mean, sd = (size.men_ml, size.men_sd) if sex == "male" else (size.women_ml, size.women_sd)
    sigma = np.sqrt(np.log(1 + (sd / mean) ** 2))
    return float(np.clip(rng.lognormal(np.log(mean) - sigma**2 / 2, sigma), 0.2 * mean, 4 * mean))


def _draw_organs(rng: np.random.Generator, subject: Subject) -> dict[str, dict[str, Any]]:
    drawn: dict[str, dict[str, Any]] = {}
    for name, group in placement()["organs"].items():
        size = organ_sizes().get(name)
        target = _target_ml(rng, size, subject.sex) if size else None
        shift = rng.normal(0, group["jitter_mm"], 3)
        shift[2] += group["breath"] * subject.breath_mm
        drawn[name] = {
            "anchor": tuple(float(v) for v in group["anchor"]),
            "shift": tuple(float(v) for v in shift),
            "scale": float((target / size.base_ml) ** (1 / 3))
            if size and target
            else float(np.exp(rng.normal(0, 0.04))),
            "target_ml": target,
            "absent": bool(size and rng.random() < size.absent),
        }
    drawn["frame"] |= {"scale": 1.0}
    drawn["pelvis"] |= {"scale": 1.0}
    return drawn


def _placed(part: Part, organ: dict[str, Any], rng: np.random.Generator) -> Part | None:
    """Return the part where this person has it; tubes bend a little on their own."""
    if organ["absent"]:
        return None
    shape = part.shape
    if isinstance(shape, Tube) and part.organ not in ("frame", "pelvis"):
        shape = _bent(shape, rng)
    shape = shape.moved(organ["anchor"], organ["scale"], organ["shift"])
    gas_y = None
    if part.gas and rng.random() < GAS_PROBABILITY[part.gas]:
        low, high = shape.bounds()
        gas_y = float(low[1] + rng.uniform(0.05, 0.6) * (high[1] - low[1]))
    return replace(part, shape=shape, gas_y=gas_y)


def _bent(tube: Tube, rng: np.random.Generator) -> Tube:
    radius = float(np.mean(tube.radii))
    shifts = rng.normal(0, min(5.0, 0.35 * radius), (len(tube.points), 3))
    widths = np.exp(rng.normal(0, 0.1)) * np.exp(rng.normal(0, 0.08, len(tube.radii)))
    points: tuple[Point, ...] = tuple(
        (float(x + a), float(y + b), float(z + c)) for (x, y, z), (a, b, c) in zip(tube.points, shifts, strict=True)
    )
    return Tube(points, tuple(float(r * w) for r, w in zip(tube.radii, widths, strict=True)))


AORTA = (
    ((-6, -72, 134), 15.5),
    ((-15, -68, 158), 16),
    ((-16, -62, 184), 15.5),
    ((-10, -52, 210), 14.5),
    ((2, -36, 224), 14),
    ((16, -14, 222), 13.5),
    ((24, 2, 204), 13),
    ((24, 2, 170), 12.5),
    ((22, -4, 120), 12),
    ((13, -16, 70), 11.5),
    ((8, -24, 30), 11),
    ((6, -27, 0), 10.5),
    ((5, -28, -60), 9.5),
    ((3, -27, -98), 9),
)
ILIAC = (((3, -27, -98), 7), ((30, -16, -140), 6), ((56, -26, -185), 5), ((78, -66, -240), 5), ((84, -74, -300), 4.5))


def _aorta(rng: np.random.Generator, chest: Point, belly: Point) -> Part:
    """Return the aorta from its root over the arch to the bifurcation, following both regions' shifts."""
    width = float(np.exp(rng.normal(0, 0.12)))
    tortuosity = rng.normal(0, 2.0, (len(AORTA), 3))
    points: list[Point] = []
    for ((x, y, z), _), wobble in zip(AORTA, tortuosity, strict=True):
        t = float(np.clip((z - 40) / 120, 0, 1))
        shift = [t * c + (1 - t) * b for c, b in zip(chest, belly, strict=True)]
        points.append((x + shift[0] + wobble[0], y + shift[1] + wobble[1], z + shift[2]))
    return Part("aorta", Tube(tuple(points), tuple(width * r for _, r in AORTA)), "great_vessels")


def iliac_arteries(belly: Point) -> list[Part]:
    """Return the iliac arteries of both sides."""
    tube = Tube(tuple((float(x), float(y), float(z)) for (x, y, z), _ in ILIAC), tuple(float(r) for _, r in ILIAC))
    part = Part("abdominal_artery", tube.moved((0, 0, 0), 1.0, belly), "retroperitoneum")
    return [part, part.mirrored()]


def _arms(rng: np.random.Generator, subject: Subject) -> list[Part]:
    """Return the upper arms: skin over fat over muscle over bone, beside the head or beside the trunk."""
    line: tuple[Point, ...]
    if subject.arms == "up":
        line = ((170.0, -8.0, 262.0), (178.0, -14.0, 330.0), (150.0, -30.0, 480.0))
    else:
        side = 205.0 + subject.fat_mm + rng.uniform(0, 25)
        line = ((170.0, -8.0, 262.0), (side - 8, 0.0, 120.0), (side, -10.0, -60.0), (side - 10, -25.0, -300.0))
    fat = min(0.4 * subject.fat_mm, 18.0)
    under_skin = ("air", "skin", "subcutaneous_fat")
    layers: tuple[tuple[str, float, tuple[str, ...]], ...] = (
        ("skin", 44 + fat, ("air",)),
        ("subcutaneous_fat", 42 + fat, under_skin),
        ("muscle", 40.0, under_skin),
        ("humerus_left", 11.0, ("muscle", "subcutaneous_fat")),
    )
    parts: list[Part] = []
    for tissue, radius, over in layers:
        part = Part(tissue, Tube(line, (radius,) * len(line)), "shoulder", over=over)
        parts += [part, part.mirrored()]
    return parts
