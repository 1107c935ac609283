"""A scan: Hounsfield units on a grid, with what its file told about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.volume.orientation import turn_between

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ctatlas.volume.grid import Grid


@dataclass(frozen=True, slots=True)
class SliceFacts:
    """One DICOM image of a series: its SOP instance UID, the centre of its first pixel in LPS mm, its frame from 1."""

    instance_uid: str
    position_mm: tuple[float, float, float]
    frame: int = 1


@dataclass(frozen=True, slots=True)
class ImagePlane:
    """What all images of a DICOM series have in common, so that masks find back to each of them.

    Attributes
    ----------
    orientation : (6,) float
        Directions of growing column and growing row index, LPS.
    spacing_mm : (2,) float
        Distance between rows, distance between columns (in this order).
    rows, columns : int
    """

    orientation: tuple[float, float, float, float, float, float]
    spacing_mm: tuple[float, float]
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class ScanFacts:
    """What a scan's file says beside voxels and geometry; whatever it does not say is None or empty.

    Attributes
    ----------
    source : str
        Base name of the file or folder it was read from, without the folders above.
    kind : str
        ``"dicom"`` or ``"nifti"``; empty for an array made in memory.
    plane : ImagePlane or None
        Of a DICOM series.
    slices : tuple of SliceFacts
        In the order of the DICOM stack (rising along the slice normal), whatever became of the array since.
    repairs : tuple of str
        How the array was resampled from the images, one line each; empty when every voxel is one that was measured.
    notes : tuple of str
        What a reader had to decide or repair, one line each: worth showing, not worth refusing the scan.
    """

    source: str = ""
    kind: str = ""
    modality: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    frame_of_reference_uid: str | None = None
    series_number: int | None = None
    series_description: str | None = None
    kernel: str | None = None
    patient_position: str | None = None
    plane: ImagePlane | None = None
    slices: tuple[SliceFacts, ...] = field(default=(), repr=False)
    repairs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A CT scan.

    Attributes
    ----------
    array : (i, j, k) int16 or float32
        Hounsfield units, Fortran order (an axial slab of a usual scan is contiguous), read-only.
    grid : Grid
    facts : ScanFacts
    """

    array: np.ndarray
    grid: Grid
    facts: ScanFacts = field(default_factory=ScanFacts)

    def __post_init__(self) -> None:
        if self.array.shape != self.grid.shape:
            raise ValueError(f"array of shape {self.array.shape} on a grid of shape {self.grid.shape}")
        if self.array.dtype not in (np.int16, np.float32):
            raise ValueError(f"voxels are {self.array.dtype}; expected int16 or float32 HU")
        array = np.asfortranarray(self.array).view()
        array.flags.writeable = False
        object.__setattr__(self, "array", array)

    def reoriented(self, code: str) -> Volume:
        """Return the same scan with its axes in the order and direction of a code such as ``"RAS"``."""
        turn = turn_between(self.grid.orientation, code)
        return Volume(turn.array(self.array), self.grid.reoriented(code), self.facts)

    def crop(self, lo: ArrayLike, hi: ArrayLike) -> Volume:
        """Return the part with lo <= index < hi, both (3,) int, inside the scan."""
        low, high = np.asarray(lo, int), np.asarray(hi, int)
        if (low < 0).any() or (high > self.grid.shape).any() or (low >= high).any():
            raise ValueError(f"box {low.tolist()} to {high.tolist()} is not inside shape {self.grid.shape}")
        part = self.array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        return Volume(part, self.grid.crop(low, high), self.facts)
