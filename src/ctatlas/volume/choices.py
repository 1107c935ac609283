"""What a person decided about a scan that can be read in more than one way."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Choices:
    """How to read a scan; by default whatever would need a decision is refused, with a hint.

    Attributes
    ----------
    series : str or None
        Which of several DICOM series: its number, UID or description.
    phase : int or None
        Which time point of a 4-D scan, counted from 1.
    repair : bool
        Whether to resample a DICOM series that is tilted, unevenly spaced or incomplete.
    """

    series: str | None = None
    phase: int | None = None
    repair: bool = False

    def record(self) -> dict[str, object]:
        """Return the choices that were made, in words of JSON."""
        return {name: value for name, value in asdict(self).items() if value}


AS_IT_IS = Choices()
