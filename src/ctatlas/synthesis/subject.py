"""Who is scanned: sex, size, habitus, pose and conditions, before any organ is drawn."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ctatlas.synthesis.conditions import draw_conditions, known_conditions

GIRTH = (1.013, 0.1)  # mean and s.d. of `visceral` as drawn here
HEIGHT_CM = {"male": (177, 7), "female": (164, 6.5)}


@dataclass(frozen=True, slots=True)
class Subject:
    """The person: sex, size, habitus, pose, and what is not as in others."""

    sex: str
    height_cm: float
    age: float  # in years
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
    conditions: tuple[str, ...]  # names of `conditions.csv`
    ascites_mm: float  # how far fluid stands around the organs of the belly
    free_gas_mm: float  # depth of gas under the front wall

    @property
    def build(self) -> float:
        """Return how large the person is for the sex, in standard deviations."""
        mean, sd = HEIGHT_CM[self.sex]
        tall = 0.0 if "child" in self.conditions else (self.height_cm - mean) / sd
        return float(np.clip(0.5 * tall + 0.87 * (self.visceral - GIRTH[0]) / GIRTH[1], -2.5, 2.5))


def draw_subject(rng: np.random.Generator, sex: str | None, conditions: Collection[str] | None) -> Subject:
    """Draw a person; sex and conditions where they are not given."""
    sex = sex or ("male" if rng.random() < 0.5 else "female")
    drawn = draw_conditions(rng, sex)
    has = drawn if conditions is None else known_conditions(conditions)
    height = rng.uniform(105, 150) if "child" in has else rng.normal(*HEIGHT_CM[sex])
    effusions = [float(rng.uniform(8, 55)) if rng.random() < 0.12 else 0.0 for _ in range(2)]
    fat = _fat_mm(rng, sex, has)
    right_dome, left_dome = rng.normal(0, 8, 2)
    ascites, gas = rng.uniform(6, 30), rng.uniform(5, 30)  # drawn for all: what follows is the same without them
    return Subject(
        sex=sex,
        height_cm=float(height),
        age=float(rng.uniform(4, 13) if "child" in has else np.clip(rng.normal(58, 17), 18, 95)),
        fat_mm=fat,
        visceral=float(rng.uniform(0.8, 1.05) + 0.2 * rng.random() * min(fat / 25, 1.5)),
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
        conditions=tuple(sorted(has)),
        ascites_mm=float(ascites) if "ascites" in has else 0.0,
        free_gas_mm=float(gas) if "free_gas" in has else 0.0,
    )


def _fat_mm(rng: np.random.Generator, sex: str, conditions: Collection[str]) -> float:
    """Draw the fat under the skin of the belly."""
    if "obese" in conditions:
        return float(rng.uniform(40, 90))
    if "child" in conditions:
        return float(np.clip(rng.lognormal(np.log(9), 0.4), 3, 30))
    return float(np.clip(rng.lognormal(np.log(17 if sex == "male" else 22), 0.5), 4, 75))
