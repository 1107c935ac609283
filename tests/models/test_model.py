from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ctatlas.errors import ModelError
from ctatlas.models import Model, card
from tests.support_models import tiny_model


@dataclass
class Narrow:
    """A backend whose network gives fewer classes than it should."""

    workers: int = 1
    n_channels: int | None = None
    n_classes: int | None = None

    def logits(self, windows: np.ndarray) -> np.ndarray:
        return np.zeros((len(windows), 3, *windows.shape[2:]), np.float32)


def test_logits_of_another_shape_than_the_card_promises_are_refused(tmp_path: Path) -> None:
    windows = np.zeros((2, 2, 4, 5, 6), np.float32)
    two, three = (tiny_model(tmp_path / str(n), ["liver", "spleen", "aorta"][:n]) for n in (2, 3))
    assert Model(card(two), Narrow()).logits(windows).shape == (2, 3, 4, 5, 6)
    with pytest.raises(ModelError, match=r"gave logits \(2, 3, 4, 5, 6\); its card promises \(2, 4, 4, 5, 6\)"):
        Model(card(three), Narrow()).logits(windows)
