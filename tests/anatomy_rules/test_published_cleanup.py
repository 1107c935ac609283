"""The published clean-up, on what its own program gave for three small bodies."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ctatlas.anatomy import label_set
from ctatlas.anatomy_rules import apply_rules, rule_table, rules_from
from ctatlas.volume import Grid, Segmentation
from tests.anatomy_rules.bodies import ellipsoid, grid_of
from tests.inference.scans import ALL_ORDERS

GOLDEN = Path(__file__).parent / "golden" / "postprocess_upstream.npz"
NAMES = label_set("universal-32").labels
SHAPE = (48, 40, 32)
LUNGS = {"lung_left", "lung_right"}


@cache
def masks(case: str, which: str) -> dict[str, np.ndarray]:
    bits = np.unpackbits(np.load(GOLDEN)[f"{case}_{which}"])[: 32 * int(np.prod(SHAPE))]
    return dict(zip(NAMES.values(), bits.reshape(32, *SHAPE).astype(bool), strict=True))


def tidied(case: str, table: str, order: str = "RAS") -> Segmentation:
    """Return the clean-up of a body whose axes lie in some order; x grows to the right, as there."""
    body = Segmentation.from_masks(Grid(SHAPE, np.diag([1.5, 1.5, 1.5, 1])), masks(case, "in"))
    return apply_rules(body.reoriented(order), rule_table(table)).segmentation.reoriented("RAS")


@pytest.mark.parametrize("order", ["RAS", "LPI", "SAL"])
def test_two_lungs_and_all_else_come_out_as_there(order: str) -> None:
    found = tidied("two", "abdomenatlas", order)
    assert [name for name, mask in masks("two", "out").items() if (found.mask(name) != mask).any()] == []
    assert (masks("two", "in")["lung_right"] != found.mask("lung_right")).any()


@pytest.mark.parametrize("case", ["joined", "one"])
def test_lungs_that_are_lost_there_stay(case: str) -> None:
    found, theirs = tidied(case, "abdomenatlas"), masks(case, "out")
    assert {name for name, mask in theirs.items() if (found.mask(name) != mask).any()} <= LUNGS
    assert not theirs["lung_left"].any()
    assert found.mask("lung_left").sum() > 1000


def test_suprem_tidies_its_nine_organs_and_leaves_the_rest() -> None:
    found, before, after = tidied("two", "suprem"), masks("two", "in"), masks("two", "out")
    nine = label_set("abdomenatlas-1.0").labels.values()
    for name in NAMES.values():
        np.testing.assert_array_equal(found.mask(name), (after if name in nine else before)[name])


@pytest.mark.parametrize("order", ALL_ORDERS[::11])
def test_not_below_cuts_at_the_lowest_slice_of_the_reference(order: str) -> None:
    grid = grid_of((4.0, 5.0, 6.0)).reoriented(order)
    vein, pancreas = ellipsoid(grid, (10, 0, 0), (20, 20, 80)), ellipsoid(grid, (-40, 0, 20), (30, 20, 30))
    row = {"kind": "not_below", "structure": "vein", "of": ["pancreas"], "source": "test"}
    found = apply_rules(Segmentation.from_masks(grid, {"vein": vein, "pancreas": pancreas}), rules_from([row]))
    z = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 2]
    np.testing.assert_array_equal(found.segmentation.mask("vein"), vein & (z >= z[pancreas].min() - 1e-6))
    assert found.findings[0].why == "below pancreas"
    alone = Segmentation.from_masks(grid, {"vein": vein, "pancreas": np.zeros_like(pancreas)})
    np.testing.assert_array_equal(apply_rules(alone, rules_from([row])).segmentation.mask("vein"), vein)
