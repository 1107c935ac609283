"""Left and right swapped, and predictions flipped as a whole, are noticed; ordinary errors are not."""

from __future__ import annotations

import numpy as np
import pytest

from ctatlas.benchmark.evaluate.sides import mirrored, swapped_sides
from ctatlas.volume import Segmentation
from tests.benchmark.evaluate.bodies import body, grid

SWAP = {"kidney_left": "kidney_right", "kidney_right": "kidney_left"}


def flipped(masks: Segmentation, *axes: int) -> Segmentation:
    return Segmentation(masks.grid, tuple(np.flip(layer, axes) for layer in masks.layers), masks.places)


def test_swapped_kidneys_are_told_with_both_numbers() -> None:
    found = list(swapped_sides(body(), body().rename(SWAP), body().names))
    assert [(note.kind, note.structure) for note in found] == [("swapped_sides", "kidney_left")]
    assert "0.00 and 0.00 as they are named, of 1.00 and 1.00 with left and right swapped" in found[0].message


def test_an_ordinary_prediction_is_not() -> None:
    assert list(swapped_sides(body(), body((1, 1, 0)), body().names)) == []


def test_two_empty_masks_are_not() -> None:
    nothing = {name: np.zeros(grid().shape, bool) for name in SWAP}
    assert list(swapped_sides(body(), body().replace(nothing), body().names)) == []
    assert list(swapped_sides(body().replace(nothing), body().replace(nothing), body().names)) == []


@pytest.mark.parametrize(
    ("code", "axes", "said"),
    [("RAS", (0,), "left-right"), ("RAS", (2,), "head-feet"), ("PIR", (0, 2), "front-back and left-right")],
)
def test_a_flipped_prediction_is_told_with_its_direction(code: str, axes: tuple[int, ...], said: str) -> None:
    gt = body().reoriented(code)
    found = list(mirrored(gt, flipped(gt, *axes), gt.names))
    assert [note.kind for note in found] == ["mirrored"]
    assert f"100% if it is flipped {said}:" in found[0].message


def test_a_good_one_is_not() -> None:
    assert list(mirrored(body(), body((1, 0, 0)), body().names)) == []


def test_an_empty_one_is_not() -> None:
    nothing = Segmentation.from_labels(grid(), np.zeros(grid().shape, np.uint8), {1: "liver"})
    assert list(mirrored(body(), nothing, ["liver"])) == []
    assert list(mirrored(nothing, body(), ["liver"])) == []
