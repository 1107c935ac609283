"""What a model of nnU-Net says of a scan, as slabs of probabilities on the scan's grid, as other models' answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ctatlas.inference.nnunet.export import Restored
from ctatlas.inference.nnunet.scans import dataset_of, look
from ctatlas.inference.restore import SLAB_VOXELS
from ctatlas.kernels.boxes import Box
from ctatlas.models import Model
from ctatlas.models.nnunet import Dataset
from ctatlas.progress import SILENT, Progress
from ctatlas.volume.orientation import Turn, turn_between
from ctatlas.volume.scan import Volume

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class NnunetAnswer:
    """The restored logits of one scan, and the way from their axes to the scan's.

    Attributes
    ----------
    restored : Restored
    dataset : Dataset
    turn : Turn
        From the order in which nnU-Net read the scan, (x, y, z), to the scan's.
    held : dict
        The probabilities of the slab that was asked for last.
    """

    restored: Restored
    dataset: Dataset
    turn: Turn
    held: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)

    def parts(self) -> list[NnunetPart]:
        """Cut the answer along the scan's last axis, or leave it whole where the plans' first axis is another."""
        along = 2 - self.restored.way.backward.index(0)  # of (x, y, z)
        lies = self.turn.axes.index(along) == 2
        pieces = self.restored.slabs(SLAB_VOXELS) if lies else [(0, self.restored.shape[0])]
        found = [NnunetPart(self, lo, hi) for lo, hi in pieces]
        return sorted(found, key=lambda part: part.box.lo[2])

    def probabilities(self, lo: int, hi: int) -> np.ndarray:
        """Return those of some slices in the plans' order of axes, (n, hi - lo, y, x) float32."""
        if (lo, hi) not in self.held:
            self.held.clear()
            self.held[lo, hi] = self.restored.probabilities(lo, hi, self.dataset)
        return self.held[lo, hi]

    def in_scan_order(self, array: np.ndarray) -> np.ndarray:
        """View an array in the plans' order of axes as (i, j, k) of the scan."""
        return self.turn.array(array.transpose(self.restored.way.backward).transpose(2, 1, 0))

    def box(self, lo: int, hi: int) -> Box:
        """Return where slices of the restored part lie in the scan."""
        way = self.restored.way
        ends = [(way.box.lo[0] + lo, way.box.lo[0] + hi), *zip(way.box.lo[1:], way.box.hi[1:], strict=True)]
        read = [(*ends[axis], way.shape[axis]) for axis in way.backward][::-1]  # (x, y, z)
        turned = [read[axis] for axis in self.turn.axes]
        flipped = [
            (size - high, size - low) if flip else (low, high)
            for (low, high, size), flip in zip(turned, self.turn.flips, strict=True)
        ]
        (a, d), (b, e), (c, f) = flipped
        return Box((a, b, c), (d, e, f))


@dataclass(frozen=True, slots=True, eq=False)
class NnunetPart:
    """Some slices of an answer."""

    answer: NnunetAnswer
    lo: int
    hi: int

    @property
    def box(self) -> Box:
        """Tell where it lies, in voxels of the scan."""
        return self.answer.box(self.lo, self.hi)

    @property
    def n_classes(self) -> int:
        """Count the classes, the background among them if there is one."""
        return len(self.answer.restored.logits)

    def highest(self, channel: int) -> float:
        """Return a bound that no voxel's probability of a class exceeds."""
        return float(self.answer.probabilities(self.lo, self.hi)[channel].max())

    def probability(self, channel: int) -> np.ndarray:
        """Return the probability of one class at every voxel of the box, (i, j, k) float32."""
        return self.answer.in_scan_order(self.answer.probabilities(self.lo, self.hi)[channel])


def answer_nnunet(volume: Volume, model: Model, *, progress: Progress = SILENT) -> list[NnunetPart]:
    """Show a model of nnU-Net a scan, which is turned to lie as the card says; raises as `look`."""
    return parts_of(look(volume, model, progress=progress), model, volume)


def parts_of(restored: Restored, model: Model, volume: Volume) -> list[NnunetPart]:
    """Cut what a model says of a scan into slabs of the scan's slices."""
    back = turn_between(model.card.input.orientation, volume.grid.orientation)
    return NnunetAnswer(restored, dataset_of(model), back).parts()
