"""What a person saw in pictures of real scans without labels, model by model: `looks.csv`."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

RIGHT, PARTLY, WRONG = "right", "partly", "wrong"


@dataclass(frozen=True, slots=True)
class Look:
    """One row: how a structure looks in a scan.

    Attributes
    ----------
    weights : str
        First digits of the sha256 of the model's weights; what another model finds says nothing of this one.
    structure, torso : str
    looks : {"right", "partly", "wrong"}
        Wrong: most of it is plainly something else, or missing. Partly: less than half of it, in one scan alone; that
        is told on the model's page, but no reason to withhold what is right in the others.
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
    """Return the structures that look wrong in some scan, as the model with these weights finds them."""
    return frozenset(
        look.structure for look in looks() if look.looks == WRONG and weights_sha256.startswith(look.weights)
    )
