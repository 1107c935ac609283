"""What a person decided about a scan or masks that can be read in more than one way."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctatlas.volume.grid import Grid
    from ctatlas.volume.scan import Volume


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


@dataclass(frozen=True, slots=True)
class MaskChoices:
    """What is known about masks beside their file, when they are read or written.

    Attributes
    ----------
    grid : Grid or None
        Where the masks must lie.
    scan : Volume or None
        The CT they belong to.
    source : Path or None
        Where that CT was read from.
    label_set : str or None
        Whose names and ids the file has.
    """

    grid: Grid | None = None
    scan: Volume | None = None
    source: Path | None = None
    label_set: str | None = None


NOTHING_KNOWN = MaskChoices()
