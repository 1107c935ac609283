"""The bookkeeping of voxels and components against a plain version that takes every mask apart anew."""

from __future__ import annotations

import cc3d
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.anatomy_rules import apply_rules, rules_from
from ctatlas.volume import Grid, Segmentation

NAMES = ("liver", "spleen", "kidney_left", "kidney_right", "body")


@st.composite
def crowded(draw: st.DrawFn) -> Segmentation:
    """Draw random blocks of five structures, which touch, and of which the body overlaps the others."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    grid = Grid((24, 22, 20), np.diag([4.0, 5.0, 6.0, 1.0])).reoriented(draw(st.sampled_from(["RAS", "LPS", "SAR"])))
    labels = np.zeros(grid.shape, dtype=np.uint8)
    for _ in range(30):
        start = [rng.integers(0, size - 2) for size in grid.shape]
        i, j, k = (slice(at, at + rng.integers(1, 7)) for at in start)
        labels[i, j, k] = rng.integers(0, len(NAMES))
    masks = {name: labels == value for value, name in enumerate(NAMES[:4], start=1)}
    return Segmentation.from_masks(grid, masks | {"body": rng.random(grid.shape) < 0.6})


def rows(*given_rows: dict[str, object]) -> list[dict[str, object]]:
    return [{"source": "a test", **row} for row in given_rows]


def plain_keep_largest(mask: np.ndarray, count: int) -> np.ndarray:
    labels = cc3d.connected_components(mask, connectivity=26)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    enough = np.sort(sizes)[-count:].min() if count < len(sizes) else 1
    return np.isin(labels, np.flatnonzero(sizes >= max(1, enough)))


def plain_drop_small(mask: np.ndarray, n_voxels: int) -> np.ndarray:
    labels = cc3d.connected_components(mask, connectivity=26)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.isin(labels, np.flatnonzero(sizes >= n_voxels))


@given(segmentation=crowded(), below=st.integers(1, 40))
def test_one_rule_after_another(segmentation: Segmentation, below: int) -> None:
    voxel_ml = segmentation.grid.voxel_ml
    table = rows(
        {"kind": "outside", "structures": ["liver"], "of": ["body"]},
        {"kind": "drop_small", "structures": ["liver", "spleen"], "below_ml": (below - 0.5) * voxel_ml},
        {"kind": "inside", "structures": ["spleen"], "of": ["body"]},
        {"kind": "drop_small", "structures": ["spleen", "body"], "below_ml": 2.5 * voxel_ml},
        {"kind": "outside", "structures": ["body"], "of": ["spleen"]},
        {"kind": "drop_small", "structures": ["body"], "below_ml": 5.5 * voxel_ml},
    )

    tidied = apply_rules(segmentation, rules_from(table)).segmentation

    whole = dict(segmentation.items())
    liver = plain_drop_small(whole["liver"] & ~whole["body"], below)
    spleen = plain_drop_small(plain_drop_small(whole["spleen"], below) & whole["body"], 3)
    body = plain_drop_small(plain_drop_small(whole["body"], 3) & ~spleen, 6)
    expected = {**whole, "liver": liver, "spleen": spleen, "body": body}
    assert tidied.names == segmentation.names
    assert all((tidied.mask(name) == mask).all() for name, mask in expected.items())


@given(segmentation=crowded())
def test_pieces_that_were_handed_over_grow_together_with_what_they_touch(segmentation: Segmentation) -> None:
    middle = np.zeros(segmentation.grid.shape, dtype=bool)
    whole = segmentation.select(["kidney_left", "kidney_right"]).add("body", ~middle)
    table = rows(
        {"kind": "side", "structures": ["kidney_left", "kidney_right"], "hand_over": True},
        {"kind": "drop_small", "structures": ["kidney_left", "kidney_right"], "below_ml": 8.5 * whole.grid.voxel_ml},
    )

    tidied = apply_rules(whole, rules_from(table)).segmentation

    x_mm = whole.grid.world(np.moveaxis(np.indices(whole.grid.shape), 0, -1))[..., 0]
    centre_mm = (x_mm.min() + x_mm.max()) / 2
    left, right = whole.mask("kidney_left"), whole.mask("kidney_right")
    for own, other, sign in ((left, right, -1), (right, left, 1)):
        labels = cc3d.connected_components(own, connectivity=26)
        pieces = [labels == label for label in range(1, labels.max() + 1)]
        for piece in [piece for piece in pieces if sign * (x_mm[piece].mean() - centre_mm) < -1e-9]:
            own[piece], other[piece] = False, True
    assert (tidied.mask("kidney_left") == plain_drop_small(left, 9)).all()
    assert (tidied.mask("kidney_right") == plain_drop_small(right, 9)).all()


@given(segmentation=crowded(), count=st.integers(1, 3))
def test_findings_add_up_and_the_given_segmentation_is_untouched(segmentation: Segmentation, count: int) -> None:
    before = dict(segmentation.items())
    table = rows(
        {"kind": "keep_largest", "structures": ["liver", "spleen"], "count": count},
        {"kind": "fill_holes", "structures": ["liver", "spleen"]},
    )

    tidied = apply_rules(segmentation, rules_from(table))

    for name, mask in before.items():
        added_ml = sum(f.added_ml - f.removed_ml for f in tidied.findings if f.structure == name)
        after = np.count_nonzero(tidied.segmentation.mask(name)) - np.count_nonzero(mask)
        assert np.isclose(after * segmentation.grid.voxel_ml, added_ml)
        assert (segmentation.mask(name) == mask).all()


def test_empty_structures_and_unknown_ones_are_passed_over() -> None:
    grid = Grid((5, 6, 7), np.diag([3.0, 4.0, 5.0, 1.0]))
    empty = Segmentation.from_masks(grid, {"liver": np.zeros(grid.shape, dtype=bool)})
    table = rows(
        {"kind": "keep_largest", "structures": ["liver", "spleen"]},
        {"kind": "near_midline", "structures": ["liver"], "within_mm": 5},
        {"kind": "split_sides", "structures": ["liver"], "left": "hip_left", "right": "hip_right"},
        {"kind": "plausible_volume", "structures": ["hip_left"]},
    )

    tidied = apply_rules(empty, rules_from(table))

    assert tidied.findings == ()
    assert tidied.segmentation.names == ("hip_left", "hip_right")
