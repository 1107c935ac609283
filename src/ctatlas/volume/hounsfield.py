"""Collect a scan's values as int16 while they are whole numbers that fit, as float32 from the first that is not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.errors import ScanError

if TYPE_CHECKING:
    from ctatlas.volume.scan import Volume

PADDING_HU = -1024  # outside the scanner's circle of reconstruction. Source: reference/volumes.md §2.6

_INT16 = np.iinfo(np.int16)


class HounsfieldValues:
    """An (i, j, k) array in Fortran order that is filled front to back and widens once, when it must.

    Most CTs are whole numbers, whatever type their file has; so memory is 2 bytes a voxel, and never that of float64.
    """

    def __init__(self, shape: tuple[int, int, int], where: str) -> None:
        self._shape = shape
        self._flat = _empty(math.prod(shape), np.int16, where)
        self._where = where
        self._n_filled = 0
        self.n_not_finite = 0

    def raw(self) -> np.ndarray:
        """Return the flat int16 array itself, for a reader whose file holds exactly that; it counts as filled."""
        self._n_filled = self._flat.size
        return self._flat

    def put(
        self,
        stored: np.ndarray,
        slope: float = 1.0,
        intercept: float = 0.0,
        *,
        padding: np.ndarray | None = None,
    ) -> None:
        """Append slope * stored + intercept for a flat piece of stored numbers.

        NaN, infinities and where `padding` (flat bool) is set become `PADDING_HU`; only the first two are counted.
        """
        place = slice(self._n_filled, self._n_filled + stored.size)
        self._n_filled = place.stop
        values = _rescaled(stored, slope, intercept)
        if values.dtype.kind == "f":
            values = self._finite(values)
        if padding is not None and padding.any():
            values = np.where(padding, np.int64(PADDING_HU), values)
        if self._flat.dtype == np.int16 and not _fits_int16(values):
            wide = _empty(self._flat.size, np.float32, self._where)
            wide[: place.start] = self._flat[: place.start]
            self._flat = wide
        self._flat[place] = values

    def array(self) -> np.ndarray:
        """Return the filled (i, j, k) array, int16 or float32 HU."""
        return self._flat.reshape(self._shape, order="F")

    def _finite(self, values: np.ndarray) -> np.ndarray:
        """Replace what is no number, or too large for float32, and count it."""
        wrong = ~(np.abs(values) <= np.finfo(np.float32).max)
        n_wrong = int(np.count_nonzero(wrong))
        self.n_not_finite += n_wrong
        return np.where(wrong, float(PADDING_HU), values) if n_wrong else values


def not_hounsfield(volume: Volume) -> str | None:
    """Say in one line why a volume cannot be a CT in Hounsfield units, or None when it may be one.

    A scan that was exported with a display window, an MR, a map of labels or probabilities and an empty image have no
    values where air, fat and soft tissue must be. At most two million voxels are looked at.

    Notes
    -----
    Source: reference/volumes.md §2.6, reference/synthesis-learning.md §2: air -1000, lung -900..-700, fat -100, organs
    0..200 HU. Values below -1024 are padding of some scanners and are not judged.
    """
    step = max(1, math.ceil((volume.grid.n_voxels / 2e6) ** (1 / 3)))
    values = volume.array[::step, ::step, ::step]
    values = values[values >= PADDING_HU]
    if not values.size or values.min() == values.max():
        return "every voxel has the same value" if values.size else f"every voxel is below {PADDING_HU} HU"
    low, high = float(values.min()), float(values.max())
    faults = {
        "as in a map of labels or probabilities, or an image exported with a display window": low >= 0 and high <= 255,
        "but a CT has air below -200 HU": low > -200,
        "but a body has soft tissue around 0 HU": high < -200,
        "and more than 1 % of them lie above 3200 HU": float(np.percentile(values, 99)) > 3200,
        "but hardly any lie between -200 and 200 HU, where fat and organs are": float(
            np.mean((values > -200) & (values < 200))
        )
        < 0.005,
    }
    return next((f"values run from {low:.6g} to {high:.6g}, {fault}" for fault, is_so in faults.items() if is_so), None)


def _rescaled(stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Return slope * stored + intercept, in integers where that is exact."""
    if slope == 1 and intercept == 0:
        return stored
    if stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2 and _is_small_integer(slope, intercept):
        return stored.astype(np.int64) * int(slope) + int(intercept)
    return stored.astype(np.float64) * slope + intercept


def _is_small_integer(*numbers: float) -> bool:
    """Tell whether every number is whole and far from where products overflow."""
    return all(float(number).is_integer() and abs(number) < 2**31 for number in numbers)


def _fits_int16(values: np.ndarray) -> bool:
    """Tell whether int16 holds every value exactly."""
    if not values.size or values.dtype == np.int16:
        return True
    inside = bool(values.min() >= _INT16.min and values.max() <= _INT16.max)
    return inside and (values.dtype.kind in "iu" or bool((values == np.rint(values)).all()))


def _empty(size: int, dtype: type[np.generic], where: str) -> np.ndarray:
    """Allocate, or say what it would have taken."""
    try:
        return np.empty(size, dtype)
    except MemoryError as error:
        needed = size * np.dtype(dtype).itemsize / 2**30
        raise ScanError(f"{where}: needs {needed:.1f} GiB of memory, more than this machine has free.") from error
