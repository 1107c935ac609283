"""A class that holds both sides and is nowhere."""

import numpy as np

from ctatlas.anatomy_rules import apply_rules
from ctatlas.anatomy_rules.registry import rules_from
from ctatlas.volume import Grid, Segmentation


def test_it_still_becomes_two_empty_sides() -> None:
    grid = Grid((8, 7, 6), np.diag([2.0, 3.0, 4.0, 1.0]))
    empty = Segmentation.from_masks(grid, {"hips": np.zeros(grid.shape, dtype=bool)})
    row = {"kind": "split_sides", "structure": "hips", "left": "hip_left", "right": "hip_right", "source": "test"}
    tidied = apply_rules(empty, rules_from([row])).segmentation
    assert set(tidied.names) == {"hip_left", "hip_right"}
    assert not tidied.mask("hip_left").any()
