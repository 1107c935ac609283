"""Whether networks differ where they err: the ranking of voxels, and what counts as a deep error."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra 'torch'")

from benchmarks import base_model_disagreement as benchmark
from ctatlas.volume import Grid


def test_ranks_are_those_of_pairs_counted_one_by_one():
    rng = np.random.default_rng(3)
    wrong = rng.random(400) < 0.2
    values = np.clip(rng.normal(90 + 40 * wrong, 50), 0, 255).astype(np.uint8)
    auroc, _ = benchmark.ranked(values, wrong)
    bad, good = values[wrong].astype(int), values[~wrong].astype(int)
    pairs = np.sign(bad[:, None] - good[None, :])
    assert auroc == pytest.approx((pairs + 1).mean() / 2)


def test_what_ranks_first_is_found():
    wrong = np.zeros(1000, bool)
    wrong[:100] = True
    values = np.where(wrong, 200, 0).astype(np.uint8)
    assert benchmark.ranked(values, wrong) == (1.0, pytest.approx(0.5))  # 50 of 100 fit into a twentieth
    assert benchmark.ranked(np.zeros(1000, np.uint8), wrong) == (0.5, pytest.approx(0.05))


def test_a_shifted_border_is_no_deep_error():
    wrong = np.zeros((30, 30, 30), bool)
    wrong[5:25, 5:25, 4] = True  # 2 mm thick
    wrong[5:25, 5:25, 15:17] = True  # 4 mm
    wrong[10:16, 10:16, 20:26] = True  # 12 mm
    found = benchmark.deep(wrong, Grid(wrong.shape, np.diag([2.0, 2.0, 2.0, 1.0])))
    assert not found[:, :, 4].any()
    assert not found[:, :, 15:17].any()
    assert found[12, 12, 22]
    assert found.sum() > 0.7 * 6**3


def test_maps_are_largest_where_nothing_is_known_or_networks_differ():
    mean = np.full((5, 1, 1, 2), 0.2, np.float32)
    mean[:, 0, 0, 1] = [1, 0, 0, 0, 0]
    np.testing.assert_allclose(benchmark.entropy(mean)[0, 0], [1, 0], atol=1e-4)
    other = mean.copy()
    other[:, 0, 0, 0] = [0.2, 0.2, 0.2, 0.3, 0.1]
    np.testing.assert_allclose(benchmark.disagreement([mean, other])[0, 0], [0.1, 0], atol=1e-3)
