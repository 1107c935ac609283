from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from ctatlas.errors import ModelError
from ctatlas.volume import Segmentation, box_of
from tests.volume.strategies import CODES, oblique_grid

GRID = oblique_grid()
SHAPE = GRID.shape
MASKS = st.lists(stn.arrays(bool, SHAPE), min_size=1, max_size=6)


def blob(lo: tuple[int, int, int], hi: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))] = True
    return mask


LIVER, SPLEEN = blob((0, 0, 0), (2, 3, 4)), blob((3, 4, 1), (5, 7, 3))
TUMOR = blob((1, 1, 1), (2, 2, 2))
NOTHING = np.zeros(SHAPE, bool)


def three() -> Segmentation:
    return Segmentation.from_masks(GRID, {"liver": LIVER, "tumor": TUMOR, "spleen": SPLEEN})


@given(MASKS)
def test_masks_come_back_as_they_went_in(masks: list[np.ndarray]) -> None:
    found = Segmentation.from_masks(GRID, {f"s{n}": mask for n, mask in enumerate(masks)})
    assert found.names == tuple(f"s{n}" for n in range(len(masks)))
    assert all(np.array_equal(found.mask(f"s{n}"), mask) for n, mask in enumerate(masks))
    assert found.n_voxels() == {f"s{n}": int(mask.sum()) for n, mask in enumerate(masks)}


@given(MASKS, st.sampled_from(CODES))
def test_turning_moves_every_mask_alike(masks: list[np.ndarray], code: str) -> None:
    found = Segmentation.from_masks(GRID, {f"s{n}": mask for n, mask in enumerate(masks)})
    turned = found.reoriented(code)
    assert turned.grid == GRID.reoriented(code)
    back = turned.reoriented(GRID.orientation)
    assert all(np.array_equal(back.mask(name), mask) for name, mask in found.items())


def test_only_overlaps_take_another_layer() -> None:
    assert three().n_layers == 2
    assert three().select(["liver", "spleen"]).n_layers == 1


def test_a_structure_without_voxels_keeps_its_name() -> None:
    found = Segmentation.from_masks(GRID, {"spleen": NOTHING})
    assert found.names == ("spleen",)
    assert not found.mask("spleen").any()
    assert found.n_voxels() == {"spleen": 0}


def test_masks_may_come_from_a_generator() -> None:
    found = Segmentation.from_masks(GRID, ((name, mask) for name, mask in (("liver", LIVER), ("tumor", TUMOR))))
    assert dict(found.n_voxels()) == {"liver": 24, "tumor": 1}


def test_more_than_255_structures_fit() -> None:
    masks = {f"s{n}": NOTHING for n in range(300)} | {"liver": LIVER}
    found = Segmentation.from_masks(GRID, masks)
    assert found.n_layers == 2
    assert np.array_equal(found.mask("liver"), LIVER)


def test_adding_leaves_the_old_one_alone() -> None:
    before = Segmentation.from_masks(GRID, {"liver": LIVER})
    after = before.add("spleen", SPLEEN)
    assert before.names == ("liver",)
    assert not before.layers[0][3:, 4:, 1:3].any()
    assert np.array_equal(after.mask("spleen"), SPLEEN)
    assert np.array_equal(after.mask("liver"), LIVER)


def test_adding_a_name_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="there already"):
        three().add("liver", SPLEEN)


@pytest.mark.parametrize("mask", [LIVER.astype(np.uint8), LIVER[:-1]])
def test_what_is_no_mask_is_refused(mask: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected bool"):
        Segmentation(GRID).add("liver", mask)


def test_replace_changes_one_and_keeps_the_order() -> None:
    changed = three().replace({"tumor": SPLEEN})
    assert changed.names == ("liver", "tumor", "spleen")
    assert np.array_equal(changed.mask("tumor"), SPLEEN)
    assert np.array_equal(changed.mask("spleen"), SPLEEN)
    assert np.array_equal(changed.mask("liver"), LIVER)


@given(MASKS, stn.arrays(bool, SHAPE), st.integers(0, 5))
def test_growing_changes_one_structure_alone(masks: list[np.ndarray], more: np.ndarray, which: int) -> None:
    found = Segmentation.from_masks(GRID, {f"s{n}": mask for n, mask in enumerate(masks)})
    name = f"s{which % len(masks)}"
    part = more[1:4, :, 2:]
    grown = found.grow(name, (slice(1, 4), slice(0, SHAPE[1]), slice(2, SHAPE[2])), part)
    assert grown.names == found.names
    for n, mask in enumerate(masks):
        expected = mask.copy()
        if f"s{n}" == name:
            expected[1:4, :, 2:] |= part
        np.testing.assert_array_equal(grown.mask(f"s{n}"), expected)
        np.testing.assert_array_equal(found.mask(f"s{n}"), mask)


def test_two_that_are_in_the_way_of_a_third_may_share_a_new_layer() -> None:
    ones = np.zeros((3, *SHAPE), dtype=bool)
    for n in range(3):
        ones[n, n] = True
    found = Segmentation.from_masks(GRID, dict(zip("abc", ones, strict=True)))
    everywhere = np.ones(SHAPE, dtype=bool)
    grown = found.grow("a", tuple(slice(0, n) for n in SHAPE), everywhere)
    for name, mask in (("a", everywhere), ("b", ones[1]), ("c", ones[2])):
        np.testing.assert_array_equal(grown.mask(name), mask)


@given(stn.arrays(bool, SHAPE))
def test_a_structures_box_is_that_of_its_mask(mask: np.ndarray) -> None:
    found = Segmentation.from_masks(GRID, {"other": ~mask, "one": mask})
    box = found.box("one")
    assert box == box_of(mask)
    assert found.boxes() == {name: found.box(name) for name in found.names}
    if box is not None:
        np.testing.assert_array_equal(found.within("one", box), mask[box])


def test_what_was_left_out_does_not_come_back() -> None:
    kept = three().select(["spleen"])
    assert kept.names == ("spleen",)
    assert kept.add("kidney_left", LIVER).n_layers == 1
    assert kept.combined({"spleen": 7}).sum() == 7 * SPLEEN.sum()


def test_select_keeps_the_order_asked_for() -> None:
    assert three().select(["spleen", "liver"]).names == ("spleen", "liver")


def test_rename_keeps_voxels() -> None:
    found = three().rename({"tumor": "liver_tumor"})
    assert found.names == ("liver", "liver_tumor", "spleen")
    assert np.array_equal(found.mask("liver_tumor"), TUMOR)


def test_rename_to_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ValueError, match="one name"):
        three().rename({"tumor": "liver"})


@pytest.mark.parametrize(
    "use",
    [
        lambda found: found.mask("pancreas"),
        lambda found: found.select(["pancreas"]),
        lambda found: found.rename({"pancreas": "x"}),
        lambda found: found.combined({"pancreas": 1}),
        lambda found: found.replace({"pancreas": LIVER}),
    ],
)
def test_an_unknown_structure_is_refused_with_the_known(use) -> None:
    with pytest.raises(ModelError, match=r"'pancreas'.*liver, tumor, spleen"):
        use(three())


def test_combined_gives_ids_and_the_later_wins() -> None:
    labels = three().combined({"liver": 5, "tumor": 9})
    assert labels.dtype == np.uint8
    assert labels.flags.f_contiguous
    assert np.array_equal(labels == 9, TUMOR)
    assert np.array_equal(labels == 5, LIVER & ~TUMOR)
    assert (three().combined({"tumor": 9, "liver": 5}) == 9).sum() == 0


def test_combined_widens_for_large_ids() -> None:
    labels = three().combined({"liver": 1, "spleen": 300})
    assert labels.dtype == np.uint16
    assert np.array_equal(labels == 300, SPLEEN)


def test_combined_of_nothing_is_empty() -> None:
    assert not three().combined({}).any()


@pytest.mark.parametrize("identity", [0, -1, 65536])
def test_combined_refuses_what_is_no_id(identity: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.65535"):
        three().combined({"liver": identity})


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_labels_come_back(dtype: type) -> None:
    labels = (LIVER * 5 + SPLEEN * 200).astype(dtype)
    found = Segmentation.from_labels(GRID, labels, {5: "liver", 200: "spleen", 7: "pancreas"})
    assert found.n_layers == 1
    assert found.n_voxels() == {"liver": LIVER.sum(), "spleen": SPLEEN.sum(), "pancreas": 0}
    assert np.array_equal(found.combined({"liver": 5, "spleen": 200}), labels)


def test_labels_without_name_are_left_out() -> None:
    found = Segmentation.from_labels(GRID, (LIVER * 5 + SPLEEN * 200).astype(np.uint8), {200: "spleen"})
    assert found.add("anything", LIVER).n_layers == 1


def test_labels_above_255_stay_apart() -> None:
    labels = (LIVER * 44 + SPLEEN * 300).astype(np.uint16)
    found = Segmentation.from_labels(GRID, labels, {300: "spleen", 44: "liver"})
    assert np.array_equal(found.mask("spleen"), SPLEEN)
    assert np.array_equal(found.mask("liver"), LIVER)


def test_more_than_255_labels_take_more_layers() -> None:
    labels = np.arange(GRID.n_voxels, dtype=np.uint16).reshape(SHAPE) * 7
    names = {7 * n: f"s{n}" for n in range(1, GRID.n_voxels)} | {50000 + n: f"t{n}" for n in range(200)}
    found = Segmentation.from_labels(GRID, labels, names)
    assert found.n_layers == 2
    assert found.n_voxels()["s139"] == 1
    assert found.n_voxels()["t3"] == 0


@pytest.mark.parametrize("names", [{1: "liver", 2: "liver"}, {0: "liver"}, {70000: "liver"}])
def test_label_names_that_contradict_themselves_are_refused(names: dict[int, str]) -> None:
    with pytest.raises(ValueError, match="unique"):
        Segmentation.from_labels(GRID, np.zeros(SHAPE, np.uint8), names)


def test_layers_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        three().layers[0][0, 0, 0] = 1


@given(stn.arrays(bool, SHAPE))
def test_the_box_is_the_smallest_that_holds_the_mask(mask: np.ndarray) -> None:
    mask[1, 2, 3] = True
    points = np.argwhere(mask)
    assert box_of(mask) == tuple(slice(lo, hi + 1) for lo, hi in zip(points.min(0), points.max(0), strict=True))


def test_an_empty_mask_has_no_box() -> None:
    assert box_of(NOTHING) is None
