"""NIfTI-1 and NIfTI-2 single files, in and out.

The voxels are read here rather than through nibabel: straight into the array that is kept.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ctatlas.atomic import whole_file
from ctatlas.errors import ScanError
from ctatlas.volume.choices import AS_IT_IS, Choices
from ctatlas.volume.formats import gzip_stream
from ctatlas.volume.formats.nifti_header import HEADER_BYTES, header_kind, parse_header
from ctatlas.volume.formats.voxels import (
    LabelMap,
    StoredImage,
    check_can_hold,
    check_end,
    pieces_of,
    pieces_where,
    read_label_map,
    read_volume,
    refuse_shear,
    up_to,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ctatlas.volume.grid import Grid
    from ctatlas.volume.scan import Volume

_LABEL_INTENT = 1002
_NIFTI1_AT_MOST = 32767  # voxels along an axis in NIfTI-1, whose dimensions are int16


def read(path: Path, choices: Choices = AS_IT_IS) -> Volume:
    """Read a CT in HU from a `.nii` or `.nii.gz` file, whatever its name says.

    Parameters
    ----------
    path : Path
    choices : Choices, optional
        Which phase of a 4-D image. A series is refused: a NIfTI file has none.

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
        image = _header(stream, path, choices)
        scan = read_volume(stream, image, path.name, "nifti")
        check_end(stream, path.name)
    return scan


def read_labels(path: Path, memory: np.ndarray | None = None) -> LabelMap:
    """Read a mask or label map: whole numbers within 0..65535, of any stored type.

    Parameters
    ----------
    path : Path
    memory : (n,) uint8, optional
        To read into, where it has as many elements as the map voxels: who reads many masks one after another need not
        ask the system for new memory each time, which takes as long as reading.

    Raises
    ------
    ScanError
        As for `read`, and when a value is not such a number.
    """
    with _opened(path) as stream:
        found = read_label_map(stream, _header(stream, path), path.name, memory)
        check_end(stream, path.name)
    return found


def read_header(path: Path) -> StoredImage:
    """Read and check the header alone."""
    with _opened(path) as stream:
        return _header(stream, path)


def write_volume(volume: Volume, path: Path) -> None:
    """Write a scan's HU as they are, int16 or float32."""
    _write(volume.array, volume.grid, path, intent=0, compressing=gzip_stream.compressing_scan)


def write_mask(mask: np.ndarray, grid: Grid, path: Path) -> None:
    """Write an (i, j, k) bool mask as uint8 0 and 1."""
    if mask.dtype != np.bool_:
        raise ValueError(f"mask is {mask.dtype}; expected bool")
    _write(np.asfortranarray(mask).view(np.uint8), grid, path, intent=_LABEL_INTENT)


def write_structure(layer: np.ndarray, value: int, grid: Grid, path: Path) -> int:
    """Write the voxels of an (i, j, k) uint8 layer that equal a value as `write_mask` would, piece by piece.

    Returns
    -------
    int
        How many they are.
    """
    n_voxels = 0

    def counted() -> Iterator[memoryview]:
        nonlocal n_voxels
        for piece in pieces_where(layer, value):
            n_voxels += int(np.count_nonzero(np.frombuffer(piece, np.bool_)))
            yield piece

    _write_pieces(counted(), _new_header(layer.dtype, grid, _LABEL_INTENT), grid, path)
    return n_voxels


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


def _header(stream: BinaryIO, path: Path, choices: Choices = AS_IT_IS) -> StoredImage:
    """Read the header and go to the first voxel; refuse what the file cannot hold before memory is taken for it."""
    image = parse_header(up_to(stream, HEADER_BYTES), path.name, choices)
    expands = 1 if isinstance(stream, io.BufferedReader) else gzip_stream.EXPANDS_AT_MOST
    check_can_hold(image, path.stat().st_size, expands, path.name)
    stream.seek(image.offset)
    return image


def _write(
    array: np.ndarray,
    grid: Grid,
    path: Path,
    *,
    intent: int,
    compressing: Callable[[BinaryIO], BinaryIO] = gzip_stream.compressing,
) -> None:
    """Write an (i, j, k) array as it is."""
    if array.shape != grid.shape:
        raise ValueError(f"array of shape {array.shape} on a grid of shape {grid.shape}")
    _write_pieces(pieces_of(array), _new_header(array.dtype, grid, intent), grid, path, compressing)


def _write_pieces(
    pieces: Iterable[memoryview],
    header: bytes,
    grid: Grid,
    path: Path,
    compressing: Callable[[BinaryIO], BinaryIO] = gzip_stream.compressing,
) -> None:
    """Write header and voxels in file order, gzipped when the name ends in .gz."""
    refuse_shear(grid, path)
    with whole_file(path) as file:
        if path.name.lower().endswith(".gz"):
            with compressing(file) as packed:
                _write_to(packed, header, pieces)
        else:
            _write_to(file, header, pieces)


def _write_to(file: BinaryIO, header: bytes, pieces: Iterable[memoryview]) -> None:
    file.write(header)
    for piece in pieces:
        file.write(piece)


def _new_header(dtype: np.dtype[Any], grid: Grid, intent: int) -> bytes:
    """Return a header whose sform, qform and pixdim agree, without a word about the patient, and no extensions."""
    kind, offset = header_kind(1), 352
    if max(grid.shape) > _NIFTI1_AT_MOST:
        kind, offset = header_kind(2), 544
    header = kind(endianness="<")
    header["magic"] = kind.single_magic  # the default is that of a header/image pair
    header.set_data_shape(grid.shape)
    header.set_data_dtype(dtype)
    header.set_qform(grid.affine, code=1)
    header.set_sform(grid.affine, code=1)
    header["pixdim"][1:4] = grid.spacing_mm
    header.set_xyzt_units("mm")
    header.set_slope_inter(1, 0)
    header["intent_code"] = intent
    header["vox_offset"] = offset
    block: bytes = header.binaryblock
    return block.ljust(offset, b"\0")
