"""Real CTs without labels, and what can't be in them because their field of view ends before."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from ctatlas.anatomy import structures
from ctatlas.training.classes import out_of_view
from ctatlas.training.evaluation.cases import Case
from ctatlas.training.scans import UNLABELLED
from ctatlas.training.torsos import fields_of_view
from ctatlas.volume import Segmentation, read


def torsos(data: Path) -> Iterator[Case]:
    """Yield the torsos of a data folder, with empty masks of what is known to be absent."""
    for name, file in UNLABELLED.items():
        volume = read(data / "torso_ct" / file)
        nothing = np.zeros(volume.grid.shape, dtype=bool, order="F")
        absent = Segmentation.from_masks(volume.grid, dict.fromkeys(absent_in(name), nothing))
        yield Case("unlabelled", name, volume, absent)


def absent_in(torso: str) -> tuple[str, ...]:
    """Return the structures that a torso does not show: what its field of view leaves out, and what else was seen."""
    classes = out_of_view(fields_of_view()[torso])
    sided = [part for name in classes for part in (structures()[name].parts or (name,))]
    return (*sided, *_also_absent().get(torso, ()))


@cache
def _also_absent() -> Mapping[str, tuple[str, ...]]:
    text = files("ctatlas.training.evaluation").joinpath("data", "absent.csv").read_text(encoding="utf-8")
    return {row["torso"]: tuple(row["absent"].split()) for row in csv.DictReader(text.splitlines())}
