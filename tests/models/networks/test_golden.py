"""What the published networks gave, from the same weights; the small ones in float32, the rest where time is given."""

from __future__ import annotations

import pytest
import torch

from tests.models.networks.goldens import PUBLISHED, deviation, published_key, stored_keys

SMALL = ["suprem_segresnet", "suprem_unet", "universal_unet"]
LARGE = ["classheads_onehot", "classheads_word", "suprem_swinunetr", "universal_swinunetr"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_keys_and_shapes_are_the_published_ones_in_order(name: str) -> None:
    with torch.device("meta"):
        network = PUBLISHED[name]()
    ours = {published_key(name, key): tuple(value.shape) for key, value in network.state_dict().items()}
    assert list(ours.items()) == list(stored_keys(name).items())


@pytest.mark.parametrize("name", [*SMALL, *(pytest.param(each, marks=pytest.mark.slow) for each in LARGE)])
def test_float32_gives_the_published_logits(name: str) -> None:
    found = deviation(name, torch.float32)
    assert found.rms < 1e-5
    assert found.largest < 5e-5  # where the published modules themselves, in float32, are up to 3.1e-5 off


@pytest.mark.soak
@pytest.mark.parametrize("name", PUBLISHED)
def test_float64_gives_the_published_logits(name: str) -> None:
    assert deviation(name, torch.float64).largest < 1e-8
