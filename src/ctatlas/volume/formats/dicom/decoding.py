"""All slices of a scan to one array of Hounsfield units, on as many cores as pays."""

from __future__ import annotations

import mmap
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.errors import ScanError
from ctatlas.settings import settings
from ctatlas.volume.formats.dicom.codestreams import decoding_seconds
from ctatlas.volume.formats.dicom.files import quietly
from ctatlas.volume.formats.dicom.pixel_format import check_format, check_rescale
from ctatlas.volume.formats.dicom.pixels import stored, words_of
from ctatlas.volume.formats.dicom.processes import has_python, put_frames_elsewhere
from ctatlas.volume.formats.dicom.rescaling import put_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ctatlas.volume.formats.dicom.frames import Frame

# Threads wait for the disk and let numpy work; more than these only wait for each other. A process needs 0.6 s before
# it decodes. Source: 300 slices of 512 x 512, plain and as JPEG 2000, on 2 cores.
_MOST_THREADS = 4
_SECONDS_A_PROCESS = 1.5


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
        return _in_small_pages(shape, kind)
    except (MemoryError, OSError) as error:
        needed = np.prod(shape, dtype=np.int64) * np.dtype(kind).itemsize / 2**30
        raise ScanError(f"{where}: needs {needed:.1f} GiB of memory, more than this machine has free.") from error


def _in_small_pages(shape: tuple[int, int, int], kind: type[np.generic]) -> np.ndarray:
    """Return an array in Fortran order in memory of its own.

    numpy asks for huge pages, which a virtual machine must first get back from its host: reading took twice as long.
    """
    n_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    return np.frombuffer(mmap.mmap(-1, n_bytes, **private), kind).reshape(shape, order="F")


def _fill(array: np.ndarray, frames: Sequence[Frame]) -> bool:
    """Decode every slice to its place, in parallel parts; False when the array's type cannot hold them."""
    n_cores = settings().threads or os.cpu_count() or 1
    n_processes = min(n_cores, int(decoding_seconds(frames) / _SECONDS_A_PROCESS), len(frames))
    is_slow = n_processes > 1 and has_python()
    n_parts = n_processes if is_slow else min(n_cores, _MOST_THREADS, len(frames))
    put = put_frames_elsewhere if is_slow else put_frames
    bounds = np.linspace(0, len(frames), n_parts + 1).astype(int).tolist()
    parts = [slice(first, last) for first, last in pairwise(bounds)]
    with ThreadPoolExecutor(n_parts) as pool:
        return all(pool.map(put, [frames[part] for part in parts], [array[:, :, part] for part in parts]))
