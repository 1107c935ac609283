"""NIfTI-1 and NIfTI-2 single files, in and out.

The voxels are read here rather than through nibabel: straight into the array that is kept, never more bytes than the
header says and never more memory than bytes that really came.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ctatlas.errors import OutputError, ScanError
from ctatlas.volume.atomic import whole_file
from ctatlas.volume.choices import AS_IT_IS, Choices
from ctatlas.volume.formats import gzip_stream
from ctatlas.volume.formats.nifti_header import HEADER_BYTES, NiftiHeader, header_kind, parse_header
from ctatlas.volume.hounsfield import PADDING_HU, HounsfieldValues
from ctatlas.volume.limits import AT_MOST_AFTER_VOXELS_BYTES, AT_MOST_FILE_BYTES
from ctatlas.volume.scan import ScanFacts, Volume

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ctatlas.volume.grid import Grid

_LABEL_INTENT = 1002
_PIECE_VOXELS = 2**22  # read or written at once; a constant, so that equal content gives equal bytes
_READ_BYTES = 2**24  # asked of a stream at once
_NIFTI1_AT_MOST = 32767  # voxels along an axis in NIfTI-1, whose dimensions are int16


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """Ids on a grid: labels (i, j, k) uint8 or uint16, Fortran order."""

    labels: np.ndarray
    grid: Grid


def read(path: Path, choices: Choices = AS_IT_IS) -> Volume:
    """Read a CT in HU from a `.nii` or `.nii.gz` file, whatever its name says.

    Parameters
    ----------
    path : Path
    choices : Choices, optional
        A series is refused: a NIfTI file has none.

    Returns
    -------
    Volume
        int16 where every value is a whole number that fits, else float32. NaN and infinities become -1024 HU and a
        note.

    Raises
    ------
    ScanError
        When the file is damaged, is no single 3-D image of real numbers, or does not say where it lies.
    """
    if choices.series is not None:
        raise ScanError(f"{path.name}: is a NIfTI file and holds no series; leave out --series.")
    with _opened(path) as stream:
        header = _header(stream, path)
        if min(header.grid.shape) == 1:
            raise ScanError(f"{path.name}: is one voxel thick ({_size(header.grid.shape)}); expected a 3-D CT scan.")
        values = HounsfieldValues(header.grid.shape, path.name)
        if header.stored.str[1:] == "i2" and (header.slope, header.intercept) == (1, 0):
            raw = values.raw()
            _fill(stream, raw, header, path)
            if not header.stored.isnative:
                raw.byteswap(inplace=True)
        else:
            for piece in _pieces(stream, header, path):
                values.put(piece, header.slope, header.intercept)
        _check_end(stream, path)
    notes = list(header.notes)
    if values.n_not_finite:
        notes.append(f"{values.n_not_finite} voxels were no number and became {PADDING_HU} HU")
    return Volume(values.array(), header.grid, ScanFacts(source=path.name, kind="nifti", notes=tuple(notes)))


def read_labels(path: Path) -> LabelMap:
    """Read a mask or label map: whole numbers within 0..65535, of any stored type.

    Raises
    ------
    ScanError
        As for `read`, and when a value is not such a number.
    """
    with _opened(path) as stream:
        header = _header(stream, path)
        labels = np.empty(header.grid.n_voxels, np.uint8)
        start = 0
        for piece in _pieces(stream, header, path):
            ids = piece if (header.slope, header.intercept) == (1, 0) else piece * header.slope + header.intercept
            if not (ids.min() >= 0 and ids.max() <= 65535 and (ids == np.rint(ids)).all()):
                raise ScanError(
                    f"{path.name}: holds {ids.min():g} to {ids.max():g}; expected labels, whole numbers "
                    "within 0..65535."
                )
            if labels.dtype == np.uint8 and ids.max() > 255:
                labels = labels.astype(np.uint16)
            labels[start : start + ids.size] = ids
            start += ids.size
        _check_end(stream, path)
    return LabelMap(labels.reshape(header.grid.shape, order="F"), header.grid)


def read_header(path: Path) -> NiftiHeader:
    """Read and check the header alone."""
    with _opened(path) as stream:
        return _header(stream, path)


def write_volume(volume: Volume, path: Path) -> None:
    """Write a scan's HU as they are, int16 or float32."""
    _write(volume.array, volume.grid, path, intent=0)


def write_mask(mask: np.ndarray, grid: Grid, path: Path) -> None:
    """Write an (i, j, k) bool mask as uint8 0 and 1."""
    if mask.dtype != np.bool_:
        raise ValueError(f"mask is {mask.dtype}; expected bool")
    _write(np.asfortranarray(mask).view(np.uint8), grid, path, intent=_LABEL_INTENT)


def write_labels(labels: np.ndarray, grid: Grid, path: Path) -> None:
    """Write an (i, j, k) uint8 or uint16 label map."""
    if labels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"labels are {labels.dtype}; expected uint8 or uint16")
    _write(labels, grid, path, intent=_LABEL_INTENT)


def write_array_uint8(array: np.ndarray, grid: Grid, path: Path) -> None:
    """Write an (i, j, k) uint8 map that is no label map, such as probabilities * 255."""
    if array.dtype != np.uint8:
        raise ValueError(f"array is {array.dtype}; expected uint8")
    _write(array, grid, path, intent=0)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, decompressing when its content is gzip, and turn what may go wrong while reading into one line."""
    try:
        with path.open("rb") as file:
            is_gzip = file.read(2) == gzip_stream.MAGIC
            file.seek(0)
            yield gzip_stream.decompressing(file) if is_gzip else file
    except gzip_stream.damage() as error:
        raise ScanError(f"{path.name}: its gzip data are cut off or damaged ({error}); copy the file anew.") from error
    except OSError as error:
        raise ScanError(f"{path.name}: cannot be read: {error.strerror or error}.") from error


def _header(stream: BinaryIO, path: Path) -> NiftiHeader:
    """Read the header and go to the first voxel; refuse what the file cannot hold before memory is taken for it."""
    header = parse_header(_up_to(stream, HEADER_BYTES), path.name)
    on_disk = path.stat().st_size
    if on_disk > AT_MOST_FILE_BYTES:
        raise ScanError(
            f"{path.name}: has {on_disk / 2**30:.1f} GiB; expected at most "
            f"{AT_MOST_FILE_BYTES / 2**30:.0f}. Cut the scan into parts."
        )
    can_hold = on_disk if isinstance(stream, io.BufferedReader) else on_disk * gzip_stream.EXPANDS_AT_MOST
    if header.offset + header.n_bytes > can_hold:
        raise _cut_off(path, header)
    stream.seek(header.offset)
    return header


def _pieces(stream: BinaryIO, header: NiftiHeader, path: Path) -> Iterator[np.ndarray]:
    """Yield the stored numbers in file order, a few million at a time, in the machine's byte order."""
    for start in range(0, header.grid.n_voxels, _PIECE_VOXELS):
        piece = np.empty(min(_PIECE_VOXELS, header.grid.n_voxels - start), header.stored)
        _fill(stream, piece, header, path)
        yield piece.astype(header.stored.newbyteorder("="), copy=False)


def _fill(stream: BinaryIO, array: np.ndarray, header: NiftiHeader, path: Path) -> None:
    """Read exactly as many bytes as a flat array has into it."""
    target = array.data.cast("B")
    filled = 0
    while filled < len(target):
        n_read = stream.readinto(target[filled : filled + _READ_BYTES])  # type: ignore[attr-defined]
        if not n_read:
            raise _cut_off(path, header)
        filled += n_read


def _check_end(stream: BinaryIO, path: Path) -> None:
    """Refuse a file that goes on; reading to the end also has gzip compare its checksum."""
    if len(_up_to(stream, AT_MOST_AFTER_VOXELS_BYTES + 1)) > AT_MOST_AFTER_VOXELS_BYTES:
        raise ScanError(
            f"{path.name}: goes on for more than {AT_MOST_AFTER_VOXELS_BYTES / 2**20:.0f} MiB after the "
            "voxels its header announces. The header is broken: write the scan anew."
        )


def _up_to(stream: BinaryIO, n_bytes: int) -> bytes:
    """Read this many bytes, fewer only where the file ends."""
    parts = []
    while n_bytes > 0 and (part := stream.read(n_bytes)):
        parts.append(part)
        n_bytes -= len(part)
    return b"".join(parts)


def _cut_off(path: Path, header: NiftiHeader) -> ScanError:
    """Return the refusal of a file shorter than its header says."""
    return ScanError(
        f"{path.name}: ends before its {_size(header.grid.shape)} voxels do ({header.n_bytes / 2**20:.4g} "
        "MiB announced). The file is cut off or its header is broken: copy it anew."
    )


def _write(array: np.ndarray, grid: Grid, path: Path, *, intent: int) -> None:
    """Write an (i, j, k) array as it is, gzipped when the name ends in .gz."""
    if array.shape != grid.shape:
        raise ValueError(f"array of shape {array.shape} on a grid of shape {grid.shape}")
    if grid.is_sheared:
        raise OutputError(
            f"{path}: cannot be written: the grid is sheared (gantry tilt), and readers disagree on "
            "sheared NIfTI; resample it to an orthogonal grid."
        )
    with whole_file(path) as file:
        if path.name.lower().endswith(".gz"):
            with gzip_stream.compressing(file) as packed:
                _write_to(packed, array, grid, intent)
        else:
            _write_to(file, array, grid, intent)


def _write_to(file: BinaryIO, array: np.ndarray, grid: Grid, intent: int) -> None:
    """Write header, the empty extension flag and the voxels in file order."""
    header = _new_header(array, grid, intent)
    file.write(header.binaryblock)
    file.write(b"\0" * (int(header["vox_offset"]) - len(header.binaryblock)))
    flat = np.asfortranarray(array).reshape(-1, order="F")
    little = flat.dtype.newbyteorder("<")
    for start in range(0, flat.size, _PIECE_VOXELS):
        file.write(flat[start : start + _PIECE_VOXELS].astype(little, copy=False).data.cast("B"))


def _new_header(array: np.ndarray, grid: Grid, intent: int) -> Any:
    """Return a header whose sform, qform and pixdim agree, without a word about the patient."""
    kind, offset = header_kind(1), 352
    if max(grid.shape) > _NIFTI1_AT_MOST:
        kind, offset = header_kind(2), 544
    header = kind(endianness="<")
    header["magic"] = kind.single_magic  # the default is that of a header/image pair
    header.set_data_shape(grid.shape)
    header.set_data_dtype(array.dtype)
    header.set_qform(grid.affine, code=1)
    header.set_sform(grid.affine, code=1)
    header["pixdim"][1:4] = grid.spacing_mm
    header.set_xyzt_units("mm")
    header.set_slope_inter(1, 0)
    header["intent_code"] = intent
    header["vox_offset"] = offset
    return header


def _size(shape: tuple[int, int, int]) -> str:
    """Write a shape for a message."""
    return " x ".join(map(str, shape))
