"""What the rules did to a segmentation, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctatlas.anatomy_rules.components import Parts
    from ctatlas.volume import Segmentation


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule changed, or (with nothing removed or added) only noticed.

    Attributes
    ----------
    structure, rule : str
        Name of the structure, kind of the rule.
    removed_ml, added_ml : float
    why : str
        One line a radiologist can check: where, what was found, what was expected.
    """

    structure: str
    rule: str
    why: str
    removed_ml: float = 0.0
    added_ml: float = 0.0


@dataclass(frozen=True, slots=True)
class Tidied:
    """A segmentation after the rules, and what they found in the order of the rules."""

    segmentation: Segmentation
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one rule says about one structure.

    Attributes
    ----------
    changed : mapping of str to Parts
        New state of the structures it changes; a name not seen before is a new structure.
    findings : tuple of Finding
    gone : tuple of str
        Structures that are no more, because others took their place.
    """

    changed: Mapping[str, Parts] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    gone: tuple[str, ...] = ()


NOTHING = Outcome()
