"""From the bytes of a file to HU or labels: never more bytes than the header says, nor more memory than really came.

NIfTI, NRRD and MetaImage all end here: a header gives a `StoredImage`, the file a stream that stands at the numbers.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ctatlas.errors import OutputError, ScanError
from ctatlas.volume.choices import Choices
from ctatlas.volume.grid import Grid
from ctatlas.volume.hounsfield import PADDING_HU, HounsfieldValues
from ctatlas.volume.limits import AT_MOST_AFTER_VOXELS_BYTES, AT_MOST_FILE_BYTES
from ctatlas.volume.scan import ScanFacts, Volume
from ctatlas.volume.straightening import straightened

PIECE_VOXELS = 2**22  # read or written at once; a constant, so that equal content gives equal bytes
_READ_BYTES = 2**20  # asked of a stream at once; larger pieces cost new memory each, several times the time


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """Ids on a grid: labels (i, j, k) uint8 or uint16, Fortran order."""

    labels: np.ndarray
    grid: Grid


@dataclass(frozen=True, slots=True)
class Phases:
    """A further axis of a file, and which point of it is read.

    Attributes
    ----------
    n : int
        Its length; 1 where there is no such axis.
    chosen : int
        Index of the one that is read, from 0.
    side_by_side : bool
        Whether it is the fastest axis, the numbers of a voxel side by side, rather than the slowest.
    """

    n: int = 1
    chosen: int = 0
    side_by_side: bool = False


@dataclass(frozen=True, slots=True)
class StoredImage:
    """How the numbers of a 3-D image lie in its file; checked, so that memory may be taken for it.

    Attributes
    ----------
    stored : np.dtype
        Type and byte order of the numbers in the file.
    slope, intercept : float
        value = slope * stored + intercept.
    offset : int
        Byte of the (decompressed) file at which the numbers begin, where the header says so.
    is_labels : bool
        Whether the file says that its numbers are labels.
    notes : tuple of str
        What had to be decided, one line each.
    """

    grid: Grid
    stored: np.dtype[Any]
    slope: float = 1.0
    intercept: float = 0.0
    offset: int = 0
    is_labels: bool = False
    notes: tuple[str, ...] = ()
    phases: Phases = Phases()

    @property
    def n_bytes(self) -> int:
        """Bytes of all numbers in the file."""
        return self.grid.n_voxels * self.stored.itemsize * self.phases.n

    @property
    def is_surely_labels(self) -> bool:
        """Whether the numbers cannot be HU: marked as labels, or 8 bits without rescaling."""
        return self.is_labels or (self.stored.itemsize == 1 and not self.is_rescaled)

    @property
    def is_rescaled(self) -> bool:
        """Whether stored numbers are not yet the values."""
        return (self.slope, self.intercept) != (1, 0)


def choose_phase(names: str, n: int, choices: Choices, where: str) -> int:
    """Return which point of a further axis is meant, from 0.

    Parameters
    ----------
    names : str
        The axes and their lengths, for the refusal.
    n : int
        Length of the further axis; 1 when there is none.
    choices : Choices
    where : str

    Raises
    ------
    ScanError
        When a phase must be chosen and was not, or was and there is none.
    """
    if n == 1:
        if choices.phase not in (None, 1):
            raise ScanError(f"{where}: has one phase only; leave out --phase.")
        return 0
    if choices.phase is None or not 1 <= choices.phase <= n:
        raise ScanError(
            f"{where}: is a 4-D image ({names}); expected one 3-D CT scan. Choose one with --phase 1 to {n}."
        )
    return choices.phase - 1


@np.errstate(invalid="ignore", over="ignore")  # NaN of any kind, and numbers too large for float32, are counted
def read_volume(stream: BinaryIO, image: StoredImage, where: str, kind: str) -> Volume:
    """Read a CT in HU from a stream at its first number.

    Returns
    -------
    Volume
        int16 where every value is a whole number that fits, else float32. NaN and infinities become -1024 HU and a
        note.

    Raises
    ------
    ScanError
        When it is one voxel thick, or the stream ends early.
    """
    if min(image.grid.shape) == 1:
        raise ScanError(f"{where}: is one voxel thick ({size_of(image.grid.shape)}); expected a 3-D CT scan.")
    _skip_phases(stream, image.phases.chosen, image, where)
    values = HounsfieldValues(image.grid.shape, where)
    if image.stored.str[1:] == "i2" and not image.is_rescaled and not image.phases.side_by_side:
        raw = values.raw()
        _fill(stream, raw, image, where)
        if not image.stored.isnative:
            raw.byteswap(inplace=True)
    else:
        for piece in _pieces(stream, image, where):
            values.put(piece, image.slope, image.intercept)
    _skip_phases(stream, image.phases.n - 1 - image.phases.chosen, image, where)
    notes = list(image.notes)
    if image.phases.n > 1:
        notes.append(f"phase {image.phases.chosen + 1} of {image.phases.n} was read")
    if values.n_not_finite:
        notes.append(f"{values.n_not_finite} voxels were no number and became {PADDING_HU} HU")
    scan = Volume(values.array(), image.grid, ScanFacts(source=where, kind=kind, notes=tuple(notes)))
    return straightened(scan) if scan.grid.is_sheared else scan


@np.errstate(invalid="ignore")  # NaN of any kind is refused
def read_label_map(stream: BinaryIO, image: StoredImage, where: str, memory: np.ndarray | None = None) -> LabelMap:
    """Read a mask or label map: whole numbers within 0..65535, of any stored type.

    Parameters
    ----------
    stream : file
        At the first voxel.
    image : StoredImage
    where : str
    memory : (n,) uint8, optional
        To read into, where it has as many elements as the image voxels.

    Raises
    ------
    ScanError
        When a number is not such a one, or the stream ends early.
    """
    fits = memory is not None and memory.shape == (image.grid.n_voxels,)
    labels = memory if memory is not None and fits else np.empty(image.grid.n_voxels, np.uint8)
    if image.stored == np.uint8 and not image.is_rescaled and not image.phases.side_by_side:
        _fill(stream, labels, image, where)  # every byte is a label: nothing to check
        return LabelMap(labels.reshape(image.grid.shape, order="F"), image.grid)
    start = 0
    for piece in _pieces(stream, image, where):
        ids = piece * image.slope + image.intercept if image.is_rescaled else piece
        if not (ids.min() >= 0 and ids.max() <= 65535 and (ids == np.rint(ids)).all()):
            odd = ids[~((ids >= 0) & (ids <= 65535) & (ids == np.rint(ids)))][0]
            raise ScanError(f"{where}: holds {odd:g}; expected labels, whole numbers within 0..65535.")
        if labels.dtype == np.uint8 and ids.max() > 255:
            labels = labels.astype(np.uint16)
        labels[start : start + ids.size] = ids
        start += ids.size
    return LabelMap(labels.reshape(image.grid.shape, order="F"), image.grid)


@np.errstate(invalid="ignore")
def read_layers(stream: BinaryIO, image: StoredImage, where: str) -> list[np.ndarray]:
    """Read every point of a further axis as an (i, j, k) uint8 or uint16 label map of its own."""
    n, fastest = image.phases.n, image.phases.side_by_side
    if not fastest:
        single = replace(image, phases=Phases())
        return [read_label_map(stream, single, where).labels for _ in range(n)]
    i, j, k = image.grid.shape
    together = StoredImage(Grid((n * i, j, k), image.grid.affine), image.stored)
    labels = read_label_map(stream, together, where).labels
    return [np.asfortranarray(labels[layer::n]) for layer in range(n)]


def pieces_of(array: np.ndarray) -> Iterator[memoryview]:
    """Yield the bytes of an (i, j, k) array in the order of a file, little endian, a few million numbers at a time."""
    flat = np.asfortranarray(array).reshape(-1, order="F")
    little = flat.dtype.newbyteorder("<")
    for start in range(0, flat.size, PIECE_VOXELS):
        yield flat[start : start + PIECE_VOXELS].astype(little, copy=False).data.cast("B")


def pieces_where(layer: np.ndarray, value: int) -> Iterator[memoryview]:
    """Yield 1 where an (i, j, k) layer equals a value, else 0, in the order of a file.

    A piece is good until the next one is asked for.
    """
    flat = np.asfortranarray(layer).reshape(-1, order="F")
    buffer = np.empty(min(PIECE_VOXELS, flat.size), np.bool_)
    for start in range(0, flat.size, PIECE_VOXELS):
        piece = flat[start : start + PIECE_VOXELS]
        yield np.equal(piece, value, out=buffer[: piece.size]).data.cast("B")


def refuse_shear(grid: Grid, path: Path) -> None:
    """Refuse to write a grid that other readers would take for an orthogonal one."""
    if grid.is_sheared:
        raise OutputError(
            f"{path}: cannot be written: the grid is sheared (gantry tilt), and readers disagree on "
            "sheared files; resample it to an orthogonal grid."
        )


def check_can_hold(image: StoredImage, on_disk: int, expands_at_most: int, where: str) -> None:
    """Refuse a file that cannot hold the numbers it announces, before memory is taken for them.

    `on_disk` is its size in bytes, `expands_at_most` how many bytes its compression can make of one.
    """
    if on_disk > AT_MOST_FILE_BYTES:
        raise ScanError(
            f"{where}: has {on_disk / 2**30:.1f} GiB; expected at most {AT_MOST_FILE_BYTES / 2**30:.0f}. "
            "Cut the scan into parts."
        )
    if image.offset + image.n_bytes > on_disk * expands_at_most:
        raise cut_off(image, where)


def check_end(stream: BinaryIO, where: str, at_most: int = AT_MOST_AFTER_VOXELS_BYTES) -> None:
    """Refuse a stream that goes on; reading to the end also has gzip compare its checksum."""
    if len(up_to(stream, at_most + 1)) > at_most:
        more = f"for more than {at_most / 2**20:.0f} MiB " if at_most else ""
        raise ScanError(
            f"{where}: goes on {more}after the voxels its header announces. The header is broken: write the scan anew."
        )


def up_to(stream: BinaryIO, n_bytes: int) -> bytes:
    """Read this many bytes, fewer only where the file ends."""
    parts = []
    while n_bytes > 0 and (part := stream.read(min(n_bytes, _READ_BYTES))):
        parts.append(part)
        n_bytes -= len(part)
    return b"".join(parts)


def skip(stream: BinaryIO, n_bytes: int) -> None:
    """Go forward, never beyond what is there in a stream that can only be read."""
    if isinstance(stream, io.BufferedReader) and isinstance(stream.raw, io.FileIO):
        stream.seek(n_bytes, io.SEEK_CUR)
        return
    while n_bytes > 0 and (part := stream.read(min(n_bytes, _READ_BYTES))):
        n_bytes -= len(part)


def cut_off(image: StoredImage, where: str) -> ScanError:
    """Return the refusal of a file shorter than its header says."""
    return ScanError(
        f"{where}: ends before its {size_of(image.grid.shape)} voxels do ({image.n_bytes / 2**20:.4g} "
        "MiB announced). The file is cut off or its header is broken: copy it anew."
    )


def size_of(shape: tuple[int, ...]) -> str:
    """Write a shape for a message."""
    return " x ".join(map(str, shape))


def _skip_phases(stream: BinaryIO, n: int, image: StoredImage, where: str) -> None:
    """Go over whole phases; the file must hold them."""
    if n == 0 or image.phases.side_by_side:
        return
    n_bytes = n * image.grid.n_voxels * image.stored.itemsize
    skip(stream, n_bytes - 1)
    if not stream.read(1):
        raise cut_off(image, where)


def _pieces(stream: BinaryIO, image: StoredImage, where: str) -> Iterator[np.ndarray]:
    """Yield the stored numbers in file order, a few million at a time, in the machine's byte order."""
    side_by_side, chosen = (image.phases.n, image.phases.chosen) if image.phases.side_by_side else (1, 0)
    step = max(1, PIECE_VOXELS // side_by_side)
    for start in range(0, image.grid.n_voxels, step):
        piece = np.empty(min(step, image.grid.n_voxels - start) * side_by_side, image.stored)
        _fill(stream, piece, image, where)
        yield piece[chosen::side_by_side].astype(image.stored.newbyteorder("="), copy=False)


def _fill(stream: BinaryIO, array: np.ndarray, image: StoredImage, where: str) -> None:
    """Read exactly as many bytes as a flat array has into it."""
    target = array.data.cast("B")
    filled = 0
    while filled < len(target):
        n_read = stream.readinto(target[filled : filled + _READ_BYTES])  # type: ignore[attr-defined]
        if not n_read:
            raise cut_off(image, where)
        filled += n_read
