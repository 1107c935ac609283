"""How bright the tissues of one scan are: HU drawn by contrast phase, with randomisation beyond what is usual."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ctatlas.synthesis.tables import PHASES, Material, materials, tissues

PHASE_SHARES = {"native": 0.25, "arterial": 0.22, "portal": 0.33, "delayed": 0.08, "between": 0.12}
# kV: share, factor on enhancement, factor on bone.
VOLTAGES = {120: (0.6, 1.0, 1.0), 100: (0.25, 1.25, 1.12), 80: (0.05, 1.6, 1.3), 140: (0.1, 0.88, 0.95)}
BONES = (
    "vertebral_bone",
    "bone_cortex",
    "long_bone_cortex",
    "femoral_bone",
    "pelvic_bone",
    "rib_marrow",
    "sternal_bone",
)
FIXED = (
    "lung",
    "airway",
    "subcutaneous_fat",
    "visceral_fat",
    "bowel_gas",
    "air",
    "table_foam",
    "table_shell",
    "skin",
    "implant",
    *BONES,
)
BLOOD = ("aorta", "abdominal_artery", "left_heart_blood", "right_heart_blood", "pulmonary_artery", "pulmonary_vein")
# Neighbours that a scan may show equally bright, so that their border cannot be seen.
LOOK_ALIKES = (
    ("liver", "stomach_wall"),
    ("liver", "renal_cortex"),
    ("liver", "spleen"),
    ("spleen", "stomach_wall"),
    ("spleen", "renal_cortex"),
    ("pancreas", "bowel_wall"),
    ("inferior_vena_cava", "liver"),
    ("inferior_vena_cava", "aorta"),
    ("liver", "muscle"),
    ("left_heart_blood", "myocardium"),
    ("bile", "bowel_content"),
    ("urine", "bladder_wall"),
)
RANDOMISED_SHARE = 0.3
RANDOM_SHIFT_HU = 40.0


@dataclass(frozen=True, slots=True)
class Intensities:
    """Mean HU and texture s.d. of every tissue in one scan (indexed by tissue id), and how they came about."""

    phase: str
    voltage_kv: int
    hu: tuple[float, ...]
    texture_hu: tuple[float, ...]
    materials_hu: dict[str, float]

    def record(self) -> dict[str, Any]:
        """Return the drawn values in plain types, for JSON."""
        return {key: value for key, value in asdict(self).items() if key not in ("hu", "texture_hu")}


def draw_intensities(
    rng: np.random.Generator, *, randomise: bool = True, spread: float = 1.25, phase: str | None = None
) -> Intensities:
    """Draw the brightness of one scan.

    Parameters
    ----------
    rng : np.random.Generator
        The only source of randomness.
    randomise : bool
        Shift organs independently in a share of the scans, and make neighbours look alike (domain randomisation).
    spread : float
        Factor on the table's between-subject s.d.
    phase : str, optional
        One of `PHASES`, or "between"; drawn when not given.
    """
    phase = phase or str(rng.choice(list(PHASE_SHARES), p=list(PHASE_SHARES.values())))
    voltage = int(rng.choice(list(VOLTAGES), p=[share for share, _, _ in VOLTAGES.values()]))
    weights = _phase_weights(rng, phase)
    gain = float(np.exp(rng.normal(0, 0.18)))
    vessel_gain = float(np.exp(rng.normal(0, 0.12)))
    _, contrast_factor, bone_factor = VOLTAGES[voltage]
    offset, slope = rng.normal(0, 3), rng.normal(1, 0.02)
    drawn: dict[str, float] = {}
    for name, material in materials().items():
        native = rng.normal(material.mean_hu[0], spread * material.sd_hu[0])
        extra = _enhancement(rng, material, weights, spread)
        if name in BLOOD:
            extra *= vessel_gain
        value = native * (bone_factor if name in BONES else 1.0) + extra * gain * contrast_factor
        drawn[name] = float(value * slope + offset)
    _couple(rng, drawn, weights)
    drawn |= _contents(rng)
    if randomise:
        _randomise(rng, drawn)
    hu = tuple(float(np.clip(drawn[tissue.material], -1024, 3071)) for tissue in tissues().values())
    textures = tuple(materials()[tissue.material].texture_hu for tissue in tissues().values())
    return Intensities(phase, voltage, hu, textures, drawn)


def _phase_weights(rng: np.random.Generator, phase: str) -> np.ndarray:
    """Return the weight of each column of the HU table."""
    weights = np.zeros(len(PHASES))
    if phase == "between":
        first = int(rng.integers(len(PHASES) - 1))
        weights[first] = rng.random()
        weights[first + 1] = 1 - weights[first]
    else:
        weights[PHASES.index(phase)] = 1.0
    return weights


def _enhancement(rng: np.random.Generator, material: Material, weights: np.ndarray, spread: float) -> float:
    mean = float(weights @ np.subtract(material.mean_hu, material.mean_hu[0]))
    sd = float(weights[1:] @ np.array(material.sd_hu)[1:])
    return max(mean + 0.8 * spread * sd * rng.normal(), 0.0) if mean > 3 else mean


def _couple(rng: np.random.Generator, drawn: dict[str, float], weights: np.ndarray) -> None:
    """Tie what one bolus ties (arteries to the aorta), and lower liver and pancreas where they are fatty."""
    for name in ("abdominal_artery", "left_heart_blood", "pulmonary_vein"):
        drawn[name] = drawn["aorta"] + rng.normal(0, 15)
    if weights[1] > 0.5 and rng.random() < 0.35:  # late arterial: the right heart has washed out already
        drawn["right_heart_blood"] = 0.6 * drawn["aorta"] + rng.normal(0, 20)
        drawn["pulmonary_artery"] = drawn["right_heart_blood"] + rng.normal(0, 15)
    if rng.random() < 0.25:
        fatty = float(rng.uniform(5, 50))
        drawn["liver"] -= fatty
    if rng.random() < 0.25:
        drawn["pancreas"] -= float(rng.uniform(5, 35))


def _contents(rng: np.random.Generator) -> dict[str, float]:
    """Draw what stomach and bowel hold."""
    kinds = {"fluid": (5, 10), "food": (30, 40), "contrast": (250, 130)}
    stomach = kinds[str(rng.choice(list(kinds), p=[0.5, 0.35, 0.15]))]
    bowel = (280, 130) if rng.random() < 0.2 else (14, 14)
    faeces = (280, 130) if rng.random() < 0.1 else (20, 45)
    return {
        "stomach_content": float(rng.normal(*stomach)),
        "bowel_content": float(rng.normal(*bowel)),
        "faeces": float(rng.normal(*faeces)),
    }


def _randomise(rng: np.random.Generator, drawn: dict[str, float]) -> None:
    if rng.random() < RANDOMISED_SHARE:
        for name in sorted(drawn.keys() - set(FIXED)):
            drawn[name] += float(rng.uniform(-RANDOM_SHIFT_HU, RANDOM_SHIFT_HU))
    if rng.random() < 0.15:
        first, second = LOOK_ALIKES[int(rng.integers(len(LOOK_ALIKES)))]
        drawn[second] = drawn[first]
