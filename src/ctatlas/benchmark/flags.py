"""What a reader of a benchmark has to know: what was left out, and what misleads. The rows of `warnings.csv`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Flag:
    """One thing to know.

    Attributes
    ----------
    severity : str
        "error": something was left out because it could not be used; "warning": a conclusion would mislead;
        "note": something was understood in a way that is worth saying.
    kind : str
        One word for all flags of a kind: "different_cases", "text_in_number", …
    model, metric, structure, case : str
        Where; empty where it concerns all.
    message : str
        What was found, what was expected, what was done.
    """

    severity: Severity
    kind: str
    model: str
    metric: str
    structure: str
    case: str
    message: str

    @property
    def where(self) -> str:
        """Return metric, model, structure and case in one line."""
        return " ".join(filter(None, (self.metric, self.model, self.structure, self.case))) or "all"


def error(kind: str, message: str, *, model: str = "", metric: str = "", structure: str = "", case: str = "") -> Flag:
    """Say that something was left out."""
    return Flag("error", kind, model, metric, structure, case, message)


def warning(kind: str, message: str, *, model: str = "", metric: str = "", structure: str = "", case: str = "") -> Flag:
    """Say that something misleads."""
    return Flag("warning", kind, model, metric, structure, case, message)


def note(kind: str, message: str, *, model: str = "", metric: str = "", structure: str = "", case: str = "") -> Flag:
    """Say how something was understood."""
    return Flag("note", kind, model, metric, structure, case, message)


def in_order(flags: list[Flag]) -> tuple[Flag, ...]:
    """Put errors before warnings before notes; within a severity the order stays."""
    return tuple(sorted(flags, key=lambda flag: SEVERITIES.index(flag.severity)))
