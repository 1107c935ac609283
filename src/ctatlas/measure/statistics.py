"""What a mask and its scan say about a structure: how large, how dense, and whether all of it is in view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from ctatlas.volume import Grid, Segmentation, Volume
    from ctatlas.volume.segmentation import Box

_TOWARD = {"R": "right", "L": "left", "A": "anterior", "P": "posterior", "S": "superior", "I": "inferior"}
_OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}

Status = Literal["complete", "cut", "absent"]


@dataclass(frozen=True, slots=True)
class Statistics:
    """The numbers of one structure in one scan.

    Attributes
    ----------
    status : str
        "complete"; "cut" when the mask touches the scan's border, so that volume and mean are those of the part in
        view; "absent" when there is no voxel.
    volume_ml : float
        0 when absent.
    mean_hu : float or None
        None when absent.
    cut_at : tuple of str
        The sides of the scan that the mask touches: "superior", "left", …
    """

    structure: str
    status: Status
    n_voxels: int
    volume_ml: float
    mean_hu: float | None
    cut_at: tuple[str, ...]

    @property
    def touches_border(self) -> bool:
        """Whether the mask touches the scan's border."""
        return bool(self.cut_at)


def statistics(segmentation: Segmentation, volume: Volume) -> tuple[Statistics, ...]:
    """Measure every structure of a segmentation, those not found too.

    Parameters
    ----------
    segmentation : Segmentation
        On the grid of `volume`.
    volume : Volume

    Returns
    -------
    tuple of Statistics
        In the order of the segmentation's names.

    Raises
    ------
    ValueError
        When the two don't lie on one grid.
    """
    if not segmentation.grid.same_place(volume.grid):
        raise ValueError("the segmentation and the volume don't lie on one grid")
    return tuple(_of_one(name, segmentation, box, volume) for name, box in segmentation.boxes().items())


def _of_one(name: str, segmentation: Segmentation, box: Box | None, volume: Volume) -> Statistics:
    if box is None:
        return Statistics(name, "absent", 0, 0.0, None, ())
    inside = segmentation.within(name, box)
    n_voxels = int(inside.sum())
    mean_hu = float(volume.array[box].T[inside.T].mean(dtype=np.float64))  # turned: as voxels lie in memory
    sides = _sides_touched(box, volume.grid)
    volume_ml = n_voxels * volume.grid.voxel_ml
    return Statistics(name, "cut" if sides else "complete", n_voxels, volume_ml, mean_hu, sides)


def _sides_touched(box: tuple[slice, slice, slice], grid: Grid) -> tuple[str, ...]:
    """Name the faces of the scan that a box of voxels reaches; an axis grows toward its letter of the orientation."""
    touched = []
    for extent, n, letter in zip(box, grid.shape, grid.orientation, strict=True):
        if extent.start == 0:
            touched.append(_TOWARD[_OPPOSITE[letter]])
        if extent.stop == n:
            touched.append(_TOWARD[letter])
    return tuple(sorted(touched))
