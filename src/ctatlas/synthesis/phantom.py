"""A random person as a list of parts: drawing it is one pure function of a seed, painting it another (`paint`).

Coordinates: x to the patient's left, y to the back, z to the head, in mm; origin in the centre of L1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ctatlas.synthesis.clutter import liver_vessels, lung_vessels, mesentery, small_bowel
from ctatlas.synthesis.implants import implants
from ctatlas.synthesis.organs import draw_organs, put
from ctatlas.synthesis.parts import Part, placed_parts
from ctatlas.synthesis.shapes import Point, Tube
from ctatlas.synthesis.skeleton import rib_cage, spine
from ctatlas.synthesis.subject import Subject, draw_subject
from ctatlas.synthesis.tables import placement
from ctatlas.synthesis.vessels import aorta, iliac_arteries

if TYPE_CHECKING:
    import numpy as np

BONE_ORGANS = ("pelvis", "shoulder")
BONE_TISSUES = ("hip", "femur", "sacrum", "clavicula", "scapula", "humerus")


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

    @property
    def mirrored(self) -> bool:
        """Say whether every organ lies on the other side."""
        return "situs_inversus" in self.subject.conditions

    def resized(self, factors: Mapping[str, float]) -> Phantom:
        """Return the same person with some organs grown or shrunk where they are."""
        organs = {
            name: organ | {"scale": organ["scale"] * factors.get(name, 1.0)} for name, organ in self.organs.items()
        }
        soft = tuple(
            _resized(part, self.organs[part.organ], factors[part.organ]) if part.organ in factors else part
            for part in self.soft
        )
        return replace(self, organs=organs, soft=soft)

    def record(self) -> dict[str, Any]:
        """Return every drawn parameter in plain types, for JSON."""
        return asdict(self)


def draw_phantom(
    rng: np.random.Generator, *, sex: str | None = None, conditions: Collection[str] | None = None
) -> Phantom:
    """Draw one person.

    Parameters
    ----------
    rng : np.random.Generator
        The only source of randomness.
    sex : {"female", "male"}, optional
        Drawn when not given.
    conditions : collection of str, optional
        Exactly these of `conditions.csv`, instead of what each one's share gives.

    Raises
    ------
    ModelError
        When a condition is not known.

    Notes
    -----
    Source of the distributions: reference tables cited in `sizes.csv` and `placement.toml`; the rest are estimates.
    """
    subject = draw_subject(rng, sex, conditions)
    organs = draw_organs(rng, subject)
    soft: list[Part] = []
    bones = list(spine())
    for part in placed_parts(subject.sex, {name: organ["form"] for name, organ in organs.items()}):
        if any(organs[name]["absent"] for name in (part.organ, part.needs) if name):
            continue
        moved = put(part, organs, rng)
        is_bone = part.tissue.startswith(BONE_TISSUES)
        (bones if is_bone else soft).append(moved)
    first_vessel = next(n for n, part in enumerate(soft) if part.tissue == "portal_vein_and_splenic_vein")
    soft[first_vessel:first_vessel] = small_bowel(rng)
    soft += liver_vessels(rng, organs["liver"]["shift"]) + lung_vessels(rng) + mesentery(rng)
    soft += iliac_arteries(organs["retroperitoneum"]["shift"])
    soft.append(aorta(rng, organs["great_vessels"]["shift"], organs["retroperitoneum"]["shift"]))
    if subject.arms != "none":
        soft = _arms(rng, subject) + soft
    bones += [*rib_cage(subject.visceral), *implants(subject.conditions)]
    return Phantom(subject, organs, tuple(soft), tuple(bones), int(rng.integers(2**31)))


def _resized(part: Part, organ: dict[str, Any], factor: float) -> Part:
    """Return the part grown by a factor along each axis, or widened so that its volume grows as much."""
    if part.begins_at:
        return part
    if placement()["organs"][part.organ].get("grows") == "calibre" and isinstance(part.shape, Tube):
        return replace(part, shape=part.shape.widened(factor**1.5))
    anchor = tuple(a + s for a, s in zip(organ["anchor"], organ["shift"], strict=True))
    shape = part.shape.moved((anchor[0], anchor[1], anchor[2]), factor, (0.0, 0.0, 0.0))
    gas_y = None if part.gas_y is None else anchor[1] + factor * (part.gas_y - anchor[1])
    return replace(part, shape=shape, gas_y=gas_y)


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
