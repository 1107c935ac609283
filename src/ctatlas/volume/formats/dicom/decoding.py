"""All slices of a scan to one array of Hounsfield units, on as many cores as pays."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom.files import quietly
from ctatlas.volume.formats.dicom.pixel_format import check_format, check_rescale
from ctatlas.volume.formats.dicom.pixels import stored, words_of
from ctatlas.volume.formats.dicom.rescaling import put_hounsfield

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ctatlas.volume.formats.dicom.frames import Frame


def hounsfield(frames: Sequence[Frame], where: str) -> np.ndarray:
    """Decode slices of one size into an (i column, j row, k slice) array, Fortran order.

    Returns
    -------
    (i, j, k) int16, or float32 where a value is no whole number or does not fit
        HU by each slice's own rule; padding is -1024.

    Raises
    ------
    ScanError
        When a slice cannot be decoded or understood.
    """
    check_frames(frames)
    for kind in (np.int16, np.float32):
        array = _empty(frames, kind, where)
        with quietly():  # here, because threads share one list of filters
            is_filled = _fill(array, frames)
        if is_filled:
            break
    return array


def same_pixels(one: Frame, other: Frame) -> bool:
    """Tell whether two frames hold the same image, however it is stored."""
    if (one.image.pixels.rows, one.image.pixels.columns) != (other.image.pixels.rows, other.image.pixels.columns):
        return False
    check_frames([one, other])
    with quietly():
        this, that = (stored(next(words_of([frame])), frame) for frame in (one, other))
    return bool(np.array_equal(this, that))


def check_frames(frames: Iterable[Frame]) -> None:
    """Refuse frames whose numbers cannot be understood as HU."""
    for frame in frames:
        check_format(frame.image.pixels, frame.image.path.name)
        check_rescale(frame.rescale, frame.image.path.name)


def _empty(frames: Sequence[Frame], kind: type[np.generic], where: str) -> np.ndarray:
    pixels = frames[0].image.pixels
    shape = pixels.columns, pixels.rows, len(frames)
    try:
        return np.empty(shape, kind, order="F")
    except MemoryError as error:
        needed = np.prod(shape, dtype=np.int64) * np.dtype(kind).itemsize / 2**30
        raise ScanError(f"{where}: needs {needed:.1f} GiB of memory, more than this machine has free.") from error


def _fill(array: np.ndarray, frames: Sequence[Frame]) -> bool:
    """Decode every slice to its place; False when the array's type cannot hold them."""
    n_parts = min(os.cpu_count() or 1, 4, len(frames))
    bounds = np.linspace(0, len(frames), n_parts + 1).astype(int)

    def fill(first: int, last: int) -> bool:
        part = frames[first:last]
        return all(
            put_hounsfield(words, frame, array[:, :, first + n].T)
            for n, (frame, words) in enumerate(zip(part, words_of(part), strict=True))
        )

    if n_parts == 1:
        return fill(0, len(frames))
    with ThreadPoolExecutor(n_parts) as pool:
        return all(pool.map(fill, bounds[:-1].tolist(), bounds[1:].tolist()))
