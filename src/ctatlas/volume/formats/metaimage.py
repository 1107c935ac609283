"""MetaImage: `.mha`, and `.mhd` with its voxels in other files beside it; in and out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ctatlas.errors import ScanError
from ctatlas.volume.choices import AS_IT_IS, Choices
from ctatlas.volume.formats import gzip_stream
from ctatlas.volume.formats.detached import beside, data_file, whole_files
from ctatlas.volume.formats.metaimage_header import RAS_FROM_LPS, TYPES, read_meta_header
from ctatlas.volume.formats.text_header import said_in_a_line, stream_of
from ctatlas.volume.formats.voxels import (
    LabelMap,
    StoredImage,
    check_end,
    pieces_of,
    read_label_map,
    read_volume,
    refuse_shear,
)

if TYPE_CHECKING:
    from ctatlas.volume.grid import Grid
    from ctatlas.volume.scan import Volume

_NAME_OF = {code: name for name, code in TYPES.items() if "LONG" not in name}
_SIZE_DIGITS = 12  # room for the number of compressed bytes, which is known last


def read(path: Path, choices: Choices = AS_IT_IS) -> Volume:
    """Read a CT in HU from an `.mha` or `.mhd` file.

    Parameters
    ----------
    path : Path
    choices : Choices, optional
        Which phase of a 4-D image. A series is refused: a MetaImage file has none.

    Returns
    -------
    Volume
        int16 where every value is a whole number that fits, else float32.

    Raises
    ------
    ScanError
        When the file is damaged, is no single 3-D image of real numbers, does not say where it lies, or takes its
        voxels from another folder.
    """
    if choices.series is not None:
        raise ScanError(f"{path.name}: is a MetaImage file and holds no series; leave out --series.")
    with _opened(path, choices) as (image, stream):
        scan = read_volume(stream, image, path.name, "metaimage")
        check_end(stream, path.name, 0)
    return scan


def read_labels(path: Path) -> LabelMap:
    """Read a mask or label map: whole numbers within 0..65535, of any stored type.

    Raises
    ------
    ScanError
        As for `read`, and when a value is not such a number.
    """
    with _opened(path) as (image, stream):
        found = read_label_map(stream, image, path.name)
        check_end(stream, path.name, 0)
    return found


def read_header(path: Path) -> StoredImage:
    """Read and check the header alone."""
    with said_in_a_line(path), path.open("rb") as file:
        return read_meta_header(file, path.name).image


def data_files(path: Path) -> list[Path]:
    """Return the files that a detached header names; none when the numbers follow it."""
    with said_in_a_line(path), path.open("rb") as file:
        return [beside(path, name) for name in read_meta_header(file, path.name, Choices(phase=1, repair=True)).files]


def write_volume(volume: Volume, path: Path) -> None:
    """Write a scan's HU as they are, int16 or float32, compressed behind their header, or beside it for `.mhd`."""
    refuse_shear(volume.grid, path)
    data = data_file(path)
    told = {"kind": volume.array.dtype.str[1:], "data": data.name if data else "LOCAL"}
    with whole_files(path) as (header, voxels):
        header.write(_header_text(volume.grid, n_bytes=0, **told))
        start = voxels.tell()
        deflate = gzip_stream.deflating()
        for piece in pieces_of(volume.array):
            voxels.write(deflate.compress(piece))
        voxels.write(deflate.flush())
        n_bytes = voxels.tell() - start
        header.seek(0)
        header.write(_header_text(volume.grid, n_bytes=n_bytes, **told))
        header.seek(0, 2)


@contextmanager
def _opened(path: Path, choices: Choices = AS_IT_IS) -> Iterator[tuple[StoredImage, BinaryIO]]:
    with said_in_a_line(path), path.open("rb") as file:
        numbers = read_meta_header(file, path.name, choices)
        yield numbers.image, stream_of(numbers, file, path)


def _header_text(grid: Grid, *, kind: str, n_bytes: int, data: str) -> bytes:
    lps = grid.affine[:3] * RAS_FROM_LPS[:, None] + 0.0  # no -0.0
    directions = lps[:, :3] / np.asarray(grid.spacing_mm)
    return (
        "ObjectType = Image\n"
        "NDims = 3\n"
        "BinaryData = True\n"
        "BinaryDataByteOrderMSB = False\n"
        "CompressedData = True\n"
        f"CompressedDataSize = {n_bytes:0{_SIZE_DIGITS}d}\n"
        f"TransformMatrix = {_words(directions.T.ravel())}\n"
        f"Offset = {_words(lps[:, 3])}\n"
        "CenterOfRotation = 0 0 0\n"
        f"ElementSpacing = {_words(np.asarray(grid.spacing_mm))}\n"
        f"DimSize = {' '.join(map(str, grid.shape))}\n"
        f"ElementType = {_NAME_OF[kind]}\n"
        f"ElementDataFile = {data}\n"
    ).encode()


def _words(numbers: np.ndarray) -> str:
    return " ".join(repr(float(number)) for number in numbers)
