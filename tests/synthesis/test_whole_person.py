"""One whole person in a scan: everything that is known about it, and where it lies; and how scans differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import KDTree

from ctatlas.synthesis.cases import PhantomCase, draw_case, make_case, structure_ids
from ctatlas.synthesis.intensities import draw_intensities
from ctatlas.synthesis.numbered import LEVELS, numbered_bones

WANTED = [
    "sacrum",
    "hip_left",
    "hip_right",
    "femur_left",
    "femur_right",
    "adrenal_gland_left",
    "adrenal_gland_right",
    "esophagus",
    "trachea",
    "heart",
    "portal_vein_and_splenic_vein",
    "celiac_trunk",
    "renal_artery_left",
    "renal_artery_right",
    "renal_vein_left",
    "renal_vein_right",
    "duodenum",
    "urinary_bladder",
    "prostate",
    "iliopsoas_left",
    "autochthon_right",
    "gluteus_maximus_left",
    "gluteus_medius_right",
    "aorta",
    "inferior_vena_cava",
    "pancreas",
    "rectum",
    "pulmonary_artery",
    "pulmonary_vein",
    "superior_vena_cava",
    "vertebrae",
    "ribs",
]
RIGHT, FRONT, UP = 0, 1, 2


@pytest.fixture(scope="module")
def man() -> PhantomCase:
    plan = next(
        plan
        for plan in (draw_case(3, n, shape=(130, 108, 142), conditions=(), exact=False) for n in range(20))
        if plan.phantom.subject.sex == "male"
    )
    scanner = replace(plan.scanner, field_mm=None)
    first = (-193.0, -165.0, -325.0)
    return make_case(replace(plan, spacing_mm=(3.0, 3.0, 4.8), first_voxel_mm=first, scanner=scanner, feet_first=False))


def centre(case: PhantomCase, name: str) -> np.ndarray:
    return np.ravel(case.truth.grid.world(np.argwhere(case.truth.mask(name)).mean(axis=0)))


def gaps_mm(case: PhantomCase, one: str, other: str) -> np.ndarray:
    """Return how far each voxel of the one lies from the other."""
    asked, tree = (np.asarray(case.truth.grid.world(np.argwhere(case.truth.mask(name)))) for name in (one, other))
    return np.asarray(KDTree(tree).query(asked)[0])


def test_sixty_structures_and_single_bones_are_known(man):
    present = {name for name, n in man.truth.n_voxels().items() if n}
    assert len(present) >= 60
    assert set(WANTED) <= present
    assert present <= set(structure_ids()[1].values())
    bones = {name for name, mask in numbered_bones(man).items() if mask.any()}
    assert {f"rib_{side}_{n}" for side in ("left", "right") for n in range(1, 13)} <= bones
    assert {f"vertebrae_{level}" for level in LEVELS if level not in ("C3", "C4", "C5", "C6")} <= bones


def test_organs_lie_to_each_other_as_in_a_body(man):
    where = {name: centre(man, name) for name in WANTED}
    for side in ("left", "right"):
        gland, kidney = centre(man, f"adrenal_gland_{side}"), centre(man, f"kidney_{side}")
        assert gland[UP] > kidney[UP] + 20
        assert abs(gland[RIGHT]) < abs(kidney[RIGHT])
    assert where["duodenum"][RIGHT] > where["pancreas"][RIGHT]
    assert where["esophagus"][FRONT] < where["heart"][FRONT] - 30
    assert where["trachea"][UP] > where["heart"][UP]
    assert where["prostate"][UP] < where["urinary_bladder"][UP]
    assert where["rectum"][FRONT] < where["prostate"][FRONT]
    assert where["inferior_vena_cava"][RIGHT] > where["aorta"][RIGHT]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("duodenum", "pancreas"),
        ("portal_vein_and_splenic_vein", "pancreas"),
        ("duodenum", "stomach"),
        ("esophagus", "stomach"),
        ("heart", "pulmonary_vein"),
        ("heart", "superior_vena_cava"),
        ("heart", "aorta"),
        ("celiac_trunk", "aorta"),
        ("renal_artery_left", "aorta"),
        ("renal_artery_left", "kidney_left"),
        ("renal_artery_right", "aorta"),
        ("renal_artery_right", "kidney_right"),
        ("renal_vein_left", "inferior_vena_cava"),
        ("renal_vein_left", "kidney_left"),
        ("renal_vein_right", "inferior_vena_cava"),
        ("renal_vein_right", "kidney_right"),
        ("femur_left", "hip_left"),
    ],
)
def test_what_belongs_together_touches(man, one, other):
    assert gaps_mm(man, one, other).min() < 9


def test_kidneys_lie_in_fat_and_not_in_the_liver(man):
    assert (gaps_mm(man, "kidney_right", "liver") < 4).mean() < 0.03


@pytest.mark.parametrize("material", ["aorta", "renal_cortex", "portal_vein", "liver"])
def test_phases_brighten_what_they_brighten_in_patients(material):
    def mean_hu(phase: str) -> float:
        drawn = (draw_intensities(np.random.default_rng(n), randomise=False, phase=phase) for n in range(60))
        return float(np.mean([each.materials_hu[material] for each in drawn]))

    hu = {phase: mean_hu(phase) for phase in ("native", "arterial", "portal", "delayed")}
    brightest = {"aorta": "arterial"}.get(material, "portal")
    assert max(hu, key=lambda phase: hu[phase]) == brightest
    assert min(hu, key=lambda phase: hu[phase]) == "native"


def test_scans_differ_as_the_scans_of_hospitals_do():
    plans = [draw_case(5, n, exact=False) for n in range(80)]
    noise = [plan.scanner.noise_hu for plan in plans]
    assert {plan.phantom.subject.sex for plan in plans} == {"female", "male"}
    assert {plan.phantom.subject.arms for plan in plans} == {"up", "down", "none"}
    assert {plan.spacing_mm[2] for plan in plans} >= {2.0, 5.0}
    assert {plan.feet_first for plan in plans} == {True, False}
    assert any(plan.scanner.field_mm for plan in plans)
    assert min(noise) < 9 < 22 < max(noise)
    assert {plan.intensities.phase for plan in plans} == {"native", "arterial", "portal", "delayed", "between"}
