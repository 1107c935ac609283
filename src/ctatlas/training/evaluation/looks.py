"""What a person saw in pictures of real scans without labels, model by model: `looks.csv`."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

RIGHT, PARTLY, WRONG = "right", "partly", "wrong"
TOO_OFTEN = 2  # scans; one is told on the model's page, but no reason to withhold what is right in the others


@dataclass(frozen=True, slots=True)
class Look:
    """One row: how a structure looks in a scan.

    Attributes
    ----------
    weights : str
        First digits of the sha256 of the model's weights; what another model finds says nothing of this one.
    structure, torso : str
    looks : {"right", "partly", "wrong"}
        Wrong: most of it is plainly something else, or missing. Partly: less than half of it.
    note : str
    """

    weights: str
    structure: str
    torso: str
    looks: str
    note: str


@cache
def looks() -> tuple[Look, ...]:
    """Return all that was seen."""
    text = files("ctatlas.training.evaluation").joinpath("data", "looks.csv").read_text(encoding="utf-8")
    return tuple(Look(**row) for row in csv.DictReader(text.splitlines()))


def looks_wrong(weights_sha256: str) -> frozenset[str]:
    """Return the structures that look wrong in too many scans, as the model with these weights finds them."""
    wrong = [look for look in looks() if look.looks == WRONG and weights_sha256.startswith(look.weights)]
    scans = Counter(look.structure for look in wrong)
    return frozenset(structure for structure, n in scans.items() if n >= TOO_OFTEN)
