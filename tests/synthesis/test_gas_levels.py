"""Gas stands in front of what is liquid."""

import numpy as np

from ctatlas.synthesis.gas_levels import GAS, set_gas_levels
from ctatlas.synthesis.tables import tissue_id

CONTENT, GAS_ID, WALL = (tissue_id(f"colon_{what}") for what in ("content", "gas", "wall"))


def two_loops():
    """Two tubes from feet to head with a wall, side by side; (left, back, head)."""
    x, y, _ = np.indices((60, 40, 50))
    labels = np.zeros(x.shape, dtype=np.uint8)
    for middle in (15, 45):
        r = np.hypot(x - middle, y - 20)
        labels[r < 12] = WALL
        labels[r < 10] = CONTENT
    return labels


def with_gas(seed, before=None):
    labels = two_loops() if before is None else before.copy()
    set_gas_levels(labels, 3.0, np.random.default_rng(seed))
    return labels


def test_no_content_lies_in_front_of_gas_within_a_loop():
    seen = 0
    for seed in range(20):
        labels = with_gas(seed)
        for loop in (labels[:30], labels[30:]):
            gas, content = loop == GAS_ID, loop == CONTENT
            back = np.arange(labels.shape[1])[None, :, None]
            last_gas = np.where(gas, back, -1).max(axis=(0, 1))
            first_content = np.where(content, back, 99).min(axis=(0, 1))
            assert (last_gas < first_content).all()
            seen += int(gas.any())
    assert seen > 10


def test_only_the_lumen_changes_and_its_form_stays():
    before = two_loops()
    for seed in range(6):
        after = with_gas(seed)
        np.testing.assert_array_equal(np.isin(after, (CONTENT, GAS_ID)), before == CONTENT)
        np.testing.assert_array_equal(after == WALL, before == WALL)


def test_gas_that_was_there_is_drawn_anew():
    tilted = two_loops()
    tilted[:20][tilted[:20] == CONTENT] = GAS_ID  # as a deformation would leave it: upright levels
    for seed in range(6):
        np.testing.assert_array_equal(with_gas(seed, tilted), with_gas(seed))


def test_some_have_gas_and_some_have_none():
    share = next(share for content, _, share in GAS if content == "colon_content")
    have = np.mean([(with_gas(seed) == GAS_ID).any() for seed in range(40)])
    assert 0.3 < have <= share + 0.15
