"""What a check says about a structure, and what could safely be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ctatlas.anatomy_rules.components import Box

if TYPE_CHECKING:
    import numpy as np

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True, eq=False)
class Fix:
    """A correction that is safe: it takes away or adds what no anatomy speaks for, or exchanges two names.

    Attributes
    ----------
    name : str
        A word for it, such as `drop_pieces`.
    box : Box, optional
        Where voxels change.
    remove, add : (i, j, k) bool, optional
        Voxels in the box that the structure loses and wins.
    exchange_with : str
        The structure that it exchanges all voxels with.
    """

    name: str
    box: Box | None = None
    remove: np.ndarray | None = None
    add: np.ndarray | None = None
    exchange_with: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Sign:
    """What a check saw: one thing that speaks for an error.

    Attributes
    ----------
    says : str
        What was found and what was expected, in a few words that a radiologist can check.
    value, limit : float or None
        What was measured and what the rule allows, in `unit`.
    unit : str
    box : Box or None
        Where to look; a finding has the structure's own box when None, and none when it is empty.
    fix : Fix or None
    """

    says: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    box: Box | None = None
    fix: Fix | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CheckFinding:
    """A sign, and which rule saw it in which structure.

    Attributes
    ----------
    structure, rule : str
    severity : {"error", "warning", "note"}
        Surely wrong; probably; unusual, may be right.
    sign : Sign
    """

    structure: str
    rule: str
    severity: Severity
    sign: Sign
