from pathlib import Path

import numpy as np
import pytest

from ctatlas.atlas.probabilities import structure_probabilities
from ctatlas.inference import NetworkMaps
from ctatlas.inference.route import plan
from ctatlas.kernels.boxes import Box
from ctatlas.models import ModelCard
from ctatlas.models.cards import read_card
from ctatlas.volume import Grid, Segmentation
from tests.support_models import tiny_model

CLASSES = ("liver", "femurs", "kidney_left", "kidney_right")
SCAN = Grid((24, 9, 10), np.array([[2.0, 0, 0, -24], [0, 3.0, 0, 5], [0, 0, 4.0, -7], [0, 0, 0, 1]]))
SPLIT = 'split = { left = "femur_left", right = "femur_right" }'


def card(folder: Path, decide: str = "argmax") -> ModelCard:
    extra = '[calibrated]\nstructures = ["lung_left", "lung_right"]'
    path = tiny_model(folder / decide, CLASSES, decide=decide, extra=extra) / "card.toml"
    path.write_text(path.read_text().replace('name = "femurs"', f'name = "femurs"\n{SPLIT}'))
    return read_card(path)


def maps(card: ModelCard) -> NetworkMaps:
    """Return planes of a constant each: 0.1 for the liver, 0.2 for femurs, …"""
    route = plan(SCAN, card, Box((0, 0, 0), SCAN.shape))
    planes = np.stack([np.full(route.coarse.shape, channel / 10, np.float32) for channel in range(5)])
    return NetworkMaps(planes, {name: channel for channel, name in card.foreground.items()}, route)


def segmentation(**boxes: tuple[int, int]) -> Segmentation:
    masks = {}
    for name, (low, high) in boxes.items():
        masks[name] = np.zeros(SCAN.shape, bool)
        masks[name][low:high] = True
    return Segmentation.from_masks(SCAN, masks)


def soft(card: ModelCard, parts: dict[str, tuple[str, ...]], masks: Segmentation) -> dict[str, np.ndarray]:
    return dict(structure_probabilities(maps(card), card, parts, masks))


def test_a_class_is_given_as_it_is_in_bytes(tmp_path: Path) -> None:
    found = soft(card(tmp_path), {"liver": ("liver",)}, segmentation(liver=(0, 3)))
    assert found["liver"].dtype == np.uint8
    assert set(found["liver"].ravel().tolist()) == {round(255 * 0.1)}


def test_a_class_of_both_sides_belongs_to_the_nearer_mask(tmp_path: Path) -> None:
    parts = {"femur_left": ("femur_left",), "femur_right": ("femur_right",)}
    found = soft(card(tmp_path), parts, segmentation(femur_left=(0, 2), femur_right=(4, 6)))
    left, right = (found[name] > 0 for name in parts)
    assert not (left & right).any()
    assert (left | right).all()
    x_mm = maps(card(tmp_path)).grid.world(np.argwhere(left))[:, 0]
    assert x_mm.max() < SCAN.world((3.5, 0, 0))[0]  # the masks lie left of the scan's middle, and so does the border


def test_without_both_masks_the_middle_parts_the_sides_and_left_is_left(tmp_path: Path) -> None:
    found = soft(card(tmp_path), {"femur_left": ("femur_left",)}, segmentation(femur_left=(0, 0)))
    x_mm = maps(card(tmp_path)).grid.world(np.argwhere(found["femur_left"] > 0))[:, 0]
    assert len(x_mm)
    assert x_mm.max() < 0


@pytest.mark.parametrize(("decide", "expected"), [("argmax", 0.7), ("threshold", 0.4)])
def test_a_union_adds_what_excludes_each_other_and_takes_the_likeliest_of_the_rest(
    tmp_path: Path, decide: str, expected: float
) -> None:
    parts = {"kidneys": ("kidney_left", "kidney_right")}
    found = soft(card(tmp_path, decide), parts, segmentation(kidneys=(0, 3)))
    assert abs(found["kidneys"][0, 0, 0] / 255 - expected) < 0.003


def test_calibrated_structures_are_as_likely_as_their_mask_fills_the_voxel(tmp_path: Path) -> None:
    parts = {"lung_left": ("lung_left",), "lungs": ("lung_left", "lung_right")}
    found = soft(card(tmp_path), parts, segmentation(lung_left=(0, 12), lungs=(0, 24)))
    assert set(found["lungs"].ravel().tolist()) == {255}
    profile = found["lung_left"][:, 2, 5]
    assert (profile[0], profile[-1]) == (255, 0)
    assert profile.sum() / 255 * maps(card(tmp_path)).grid.spacing_mm[0] == pytest.approx(24.0, abs=2.0)
