"""Thick slices, kernels and noise of a patch."""

import numpy as np
import pytest

from ctatlas.training.scanning import in_slices, scanned


def test_a_thick_slice_is_the_mean_of_its_voxels():
    rng = np.random.default_rng(0)
    hu = rng.normal(0, 100, (3, 3, 12)).astype(np.float32)
    thick = in_slices(hu, 3.0, 0.5)  # slices around -1.5, 1.5, 4.5, …: voxels 0-2, 3-5, …, the first of a half voxel
    assert thick.shape == hu.shape
    middles = thick[:, :, [3, 6]]
    # Slice k covers [3k - 1.5 ± 1.5]; its middle lies between two voxels, where the neighbours are interpolated.
    assert np.abs(middles).mean() < np.abs(hu[:, :, [3, 6]]).mean()
    assert thick.std() < 0.75 * hu.std()


def test_what_changes_linearly_stays_as_it_is_away_from_the_ends():
    ramp = np.broadcast_to(np.arange(40, dtype=np.float32), (2, 2, 40))
    thick = in_slices(ramp, 1.9, 0.3)
    np.testing.assert_allclose(thick[:, :, 3:-3], ramp[:, :, 3:-3], atol=0.05)


def test_thin_slices_change_nothing():
    hu = np.random.default_rng(1).normal(size=(4, 4, 9)).astype(np.float32)
    np.testing.assert_array_equal(in_slices(hu, 0.8, 0.2), hu)


def test_a_constant_stays_constant_but_for_noise():
    levels = []
    for seed in range(40):
        hu = np.full((24, 24, 24), 60.0, dtype=np.float32)
        seen = scanned(np.random.default_rng(seed), hu, 4.0, real=False)
        assert seen.dtype == np.float32
        assert seen.mean() == pytest.approx(60, abs=1.5)
        levels.append(float(seen.std()))
    assert 1.8 < min(levels) < 5
    assert 15 < max(levels) < 27
