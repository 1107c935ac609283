"""Drawn bodies hold together: walls around the chest, organs in one piece and where patients have them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import pytest
from scipy import ndimage

from ctatlas.synthesis.crumbs import CRUMB_ML, sweep_crumbs
from ctatlas.synthesis.organs import draw_organs
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import Phantom, draw_phantom
from ctatlas.synthesis.subject import draw_subject
from ctatlas.synthesis.tables import tissue_id, tissues

STEP_MM = 3.0
AXES = (np.arange(-250, 251, STEP_MM), np.arange(-190, 191, STEP_MM), np.arange(-200, 241, STEP_MM))


def people() -> Iterator[Phantom]:
    return (draw_phantom(np.random.default_rng([29, n]), conditions=()) for n in count())


@pytest.fixture(scope="module")
def lean() -> list[np.ndarray]:
    """Paint three people with little fat in narrow bellies."""
    thin = (one for one in people() if one.subject.fat_mm < 14 and one.subject.visceral < 0.95)
    return [paint(one, *AXES) for one in islice(thin, 3)]


def mask(labels: np.ndarray, structure: str) -> np.ndarray:
    return np.isin(labels, [tissue.id for tissue in tissues().values() if tissue.structure == structure])


def test_lungs_of_lean_people_lie_behind_a_wall(lean):
    for labels in lean:
        depth_mm = ndimage.distance_transform_edt(labels > 0) * STEP_MM
        assert depth_mm[mask(labels, "lung_left") | mask(labels, "lung_right")].min() > 10


def test_livers_of_lean_people_end_above_the_fork_of_the_aorta(lean):
    for labels in lean:
        liver, aorta = (np.flatnonzero(mask(labels, name).any(axis=(0, 1)))[0] for name in ("liver", "aorta"))
        assert liver > aorta


@pytest.mark.parametrize("structure", ["inferior_vena_cava", "esophagus", "spleen", "liver", "lung_right"])
def test_organs_are_in_one_piece(lean, structure):
    for labels in lean:
        pieces, _ = ndimage.label(mask(labels, structure), np.ones((3, 3, 3)))
        voxels = np.bincount(pieces.ravel())[1:]
        assert voxels.max() > 0.97 * voxels.sum()


def test_crumbs_become_fat_and_large_pieces_stay():
    labels = np.zeros((40, 30, 20), dtype=np.uint8)
    labels[:10], labels[12:14, :5, :5], labels[20:] = (tissue_id("liver"),) * 3
    voxel_mm3 = 1000 * CRUMB_ML / 51
    sweep_crumbs(labels, voxel_mm3)
    assert (labels[12:14, :5, :5] == tissue_id("visceral_fat")).all()
    assert (labels[:10] == tissue_id("liver")).all()
    assert (labels[20:] == tissue_id("liver")).all()


def test_large_people_tend_to_have_large_organs():
    build, liver_ml = [], []
    for n in range(400):
        rng = np.random.default_rng([31, n])
        subject = draw_subject(rng, "male", ())
        build.append(subject.build)
        liver_ml.append(draw_organs(rng, subject)["liver"]["target_ml"])
    assert 0.45 < np.corrcoef(build, np.log(liver_ml))[0, 1] < 0.75
    assert abs(np.mean(build)) < 0.15


def test_in_a_single_slice_nothing_is_a_crumb():
    labels = np.zeros((40, 30, 1), dtype=np.uint8)
    labels[:10], labels[12:14, :5] = (tissue_id("liver"),) * 2
    swept = labels.copy()
    sweep_crumbs(swept, 0.0)
    np.testing.assert_array_equal(swept, labels)
