"""What a correction did to a case, measured against the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ctatlas.atlas.layout import MASK
from ctatlas.measure.overlap import dice
from ctatlas.volume import Segmentation, read_labels


@dataclass(frozen=True, slots=True)
class CaseGain:
    """Dice of each structure that is truly there, before and after.

    Attributes
    ----------
    before, after : mapping of str to float
        Of the structures that have a mask; one that was missed altogether counts 0.
    minutes : float
    n_spots : int
        Hot spots that were corrected.
    """

    case: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    minutes: float
    n_spots: int

    @property
    def mean_before(self) -> float:
        """Mean over the structures."""
        return sum(self.before.values()) / len(self.before)

    @property
    def mean_after(self) -> float:
        """Mean over the structures."""
        return sum(self.after.values()) / len(self.after)


def dice_of(folder: Path, truth: Segmentation) -> dict[str, float]:
    """Measure the masks `<structure>.nii.gz` in a folder, all whose structure the truth has somewhere."""
    there = {name for name, n in truth.n_voxels().items() if n and (folder / f"{name}{MASK}").is_file()}
    return {
        name: float(dice(truth.mask(name), read_labels(folder / f"{name}{MASK}").labels != 0)) for name in sorted(there)
    }
