"""What rules say, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ctatlas.anatomy_rules.components import Box, Component
    from ctatlas.volume import Segmentation


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """Voxels that pass from one structure to another.

    Attributes
    ----------
    structure, to : str
        Names; empty for no structure. A `to` that is not in the segmentation yet comes to be.
    box : Box
        Part of the grid.
    voxels : (i, j, k) bool
        Within the box.
    why : str
        Empty where there is nothing to tell.
    component : Component, optional
        Of `structure`, when the voxels are just this component; where `structure` is empty, that of `to` which takes
        them up.
    """

    structure: str
    to: str
    box: Box
    voxels: np.ndarray
    why: str
    component: Component | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule says about a structure: what changes, what is only worth a note, which others take its place."""

    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    replaced_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule changed, or (with nothing removed or added) only noticed.

    Attributes
    ----------
    structure, rule : str
        Name of the structure, kind of the rule.
    why : str
        A few words that a radiologist can check: what was found, what was expected.
    removed_ml, added_ml : float
    """

    structure: str
    rule: str
    why: str
    removed_ml: float = 0.0
    added_ml: float = 0.0


@dataclass(frozen=True, slots=True)
class Tidied:
    """A segmentation after the rules, and what they found, in the order of the rules."""

    segmentation: Segmentation
    findings: tuple[Finding, ...]
