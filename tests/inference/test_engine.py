from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctatlas.inference import infer_within
from ctatlas.models import load
from ctatlas.volume.grid import Grid
from ctatlas.volume.scan import Volume
from tests.support_models import tiny_model

OBLIQUE = np.array([[-1.3, 0.1, 0, 5], [0.1, 1.6, 0.2, 7], [0, -0.2, 2.5, 9], [0, 0, 0, 1.0]])


def scan_of_blocks() -> Volume:
    """Liver (0 HU) with a spleen (150) and an aorta (300) in it, in air; anisotropic, odd, a little oblique."""
    hu = np.full((61, 50, 37), -1000, np.int16, order="F")
    hu[10:50, 10:40, 4:33] = 0
    hu[15:25, 15:30, 10:20] = 150
    hu[30:45, 15:30, 10:20] = 300
    return Volume(hu, Grid(hu.shape, OBLIQUE))


def test_every_structure_is_where_its_hu_is(tmp_path: Path) -> None:
    volume = scan_of_blocks()
    model = load(tiny_model(tmp_path / "tiny"))
    found = infer_within(volume, model, volume.array > -500).segmentation
    assert found.names == ("liver", "spleen", "aorta")
    assert found.mask("liver")[12:14, 12:38, 6:30].mean() == pytest.approx(1)
    assert found.mask("spleen")[18:22, 18:27, 13:17].all()
    assert found.mask("aorta")[33:42, 18:27, 13:17].all()
    assert not any(mask[:7].any() for _, mask in found.items())
