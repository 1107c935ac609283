"""An annotator who knows the truth, and looks only where the list of hot spots says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ctatlas.atlas.layout import MASK
from ctatlas.atlas.records import HotSpot
from ctatlas.atlas.revise import package
from ctatlas.volume import Segmentation, read_labels, write_mask


@dataclass(frozen=True, slots=True)
class Worked:
    """What was done in one package: the hot spots that were corrected, and the minutes they take."""

    spots: tuple[HotSpot, ...]

    @property
    def minutes(self) -> float:
        """What the table of minutes expects for them."""
        return sum(spot.minutes for spot in self.spots)


def correct(folder: Path, truth: Segmentation, at_most_minutes: float) -> Worked:
    """Work through a package from the top of its list: in each box the mask becomes what it truly is there.

    Parameters
    ----------
    folder : Path
        A package of `revise export`; `<structure>_revised.nii.gz` come beside the masks in it.
    truth : Segmentation
        On the scan's grid. Structures that it does not know are passed over.
    at_most_minutes : float
        For all of it; a hot spot that would take longer than what is left is passed over.
    """
    listed = json.loads((folder / f"{package.HOT_SPOTS}.json").read_text(encoding="utf-8"))["hotspots"]
    spots = [HotSpot.model_validate(each) for each in listed]
    chosen = _affordable([spot for spot in spots if spot.structure in truth.names], at_most_minutes)
    for name in dict.fromkeys(spot.structure for spot in chosen):
        _revise(folder / package.SEGMENTATIONS, truth, name, [spot for spot in chosen if spot.structure == name])
    return Worked(tuple(chosen))


def _affordable(spots: Sequence[HotSpot], minutes: float) -> list[HotSpot]:
    chosen = []
    for spot in spots:
        if spot.minutes <= minutes:
            chosen.append(spot)
            minutes -= spot.minutes
    return chosen


def _revise(folder: Path, truth: Segmentation, name: str, spots: Sequence[HotSpot]) -> None:
    shown = read_labels(folder / f"{name}{MASK}")
    mask, true = shown.labels != 0, truth.mask(name)
    for spot in spots:
        box = tuple(slice(lo, hi) for lo, hi in zip(spot.lo, spot.hi, strict=True))
        mask[box] = true[box]
    write_mask(mask, shown.grid, folder / f"{name}_revised{MASK}")
