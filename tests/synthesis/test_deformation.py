"""Smooth deformations: no folds, the box stays the box, labels and scan go the same way."""

import numpy as np
import pytest

from ctatlas.synthesis.deformation import COARSE_MM, coarse_shape, deformation, random_velocity, refined

SHAPE, STEP = (72, 60, 80), 3.0


def random_one(seed, rms_mm):
    rng = np.random.default_rng(seed)
    return deformation(random_velocity(rng, SHAPE, STEP, rms_mm), SHAPE, STEP)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rms_mm", [12.0, 25.0])
def test_nothing_folds(seed, rms_mm):
    points = random_one(seed, rms_mm).sources()
    gradients = np.stack([np.stack(np.gradient(p)) for p in points])
    determinant = np.linalg.det(np.moveaxis(gradients, (0, 1), (-2, -1)))
    assert determinant.min() > 0.05
    low, high = np.percentile(determinant, (1, 99))
    assert 0.2 < low < 0.95
    assert 1.05 < high < 4


def rms(vectors):
    return float(np.sqrt((vectors**2).sum(axis=0).mean()))


def test_displacements_are_as_strong_as_asked_for():
    strengths = [rms(random_one(seed, 18.0).offsets_mm[:, 6:-6, 6:-6, 6:-6]) for seed in range(12)]
    assert 11 < np.mean(strengths) < 18


def test_the_box_is_carried_onto_itself():
    points = random_one(3, 25.0).sources()
    for axis, n in enumerate(SHAPE):
        np.testing.assert_allclose(np.take(points[axis], 0, axis), 0, atol=1e-3)
        # The coarse grid ends at or just beyond the last voxel.
        assert np.abs(np.take(points[axis], n - 1, axis) - (n - 1)).max() < COARSE_MM / STEP
        assert points[axis].min() > -1
        assert points[axis].max() < n


def test_labels_and_scan_go_the_same_way():
    x, y, z = np.indices(SHAPE)
    labels = ((x - 35) ** 2 + (y - 30) ** 2 + (z - 40) ** 2 < 15**2).astype(np.uint8)
    drawn = random_one(5, 20.0)
    (carried,) = drawn.carried(labels)
    image = drawn.carried_image(labels * 1000.0)
    assert carried.sum() > 5000
    assert np.abs((image > 500).astype(int) - carried).mean() < 0.005
    assert (carried != labels).mean() > 0.01


def test_a_constant_velocity_shifts_the_middle_by_itself():
    velocity = np.zeros((3, *coarse_shape(SHAPE, STEP)), dtype=np.float32)
    velocity[0] = 9.0
    middle = deformation(velocity, SHAPE, STEP).sources()[:, 36, 30, 40]
    np.testing.assert_allclose(middle, (36 + 3, 30, 40), atol=0.05)


def test_refining_is_exact_for_what_is_linear():
    coarse = np.indices(coarse_shape(SHAPE, STEP), dtype=np.float32) * COARSE_MM
    fine = refined(coarse, SHAPE, STEP)
    np.testing.assert_allclose(fine, np.indices(SHAPE) * STEP, atol=1e-3)
