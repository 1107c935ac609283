"""MONAI's networks from the same weights, small enough for float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.networks.goldens import FOLDER, OF_MONAI, UNREAD, UNUSED, deviation_from_monai


@pytest.mark.parametrize("name", OF_MONAI)
def test_float64_gives_monais_logits(name: str) -> None:
    assert deviation_from_monai(name).largest < 1e-10


@pytest.mark.parametrize("name", OF_MONAI)
def test_keys_are_monais_in_order(name: str) -> None:
    stored = [str(key) for key in np.load(FOLDER / f"{name}.npz")["keys"]]
    with torch.device("meta"):
        ours = list(OF_MONAI[name]().state_dict())
    assert ours == [key for key in stored if not key.endswith(UNREAD) and not any(part in key for part in UNUSED)]


def test_the_two_patch_mergings_take_the_same_weights_and_differ() -> None:
    old, new = (np.load(FOLDER / f"swin_monai_{version}.npz") for version in ("1.4", "1.5"))
    assert list(old["keys"]) == list(new["keys"])
    assert np.abs(old["sub"] - new["sub"]).max() > 0.1 * old["sub"].std()
