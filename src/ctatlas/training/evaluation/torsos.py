"""Real CTs without labels, and what can't be in them because their field of view ends before."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from ctatlas.training.evaluation.cases import Case
from ctatlas.volume import Segmentation, read


@cache
def _rows() -> tuple[dict[str, str], ...]:
    text = files("ctatlas.training.evaluation").joinpath("data", "torsos.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def torso_names() -> tuple[str, ...]:
    """Return what the torsos are called."""
    return tuple(row["torso"] for row in _rows())


def torsos(data: Path) -> Iterator[Case]:
    """Yield the torsos of a data folder, with empty masks of what is known to be absent."""
    for row in _rows():
        volume = read(data / "torso_ct" / row["file"])
        nothing = np.zeros(volume.grid.shape, dtype=bool, order="F")
        absent = Segmentation.from_masks(volume.grid, dict.fromkeys(row["absent"].split(), nothing))
        yield Case("unlabelled", row["torso"], volume, absent)
