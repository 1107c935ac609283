"""NRRD: `.nrrd`, and `.nhdr` with its voxels in other files beside it; in and out.

pynrrd takes the header apart; the voxels are read here, within the limits, straight into the array that is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ctatlas.errors import ScanError
from ctatlas.volume.choices import AS_IT_IS, Choices
from ctatlas.volume.formats import gzip_stream
from ctatlas.volume.formats.detached import beside, data_file, whole_files
from ctatlas.volume.formats.nrrd_header import NrrdHeader, read_nrrd_header
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
    import numpy as np

    from ctatlas.volume.grid import Grid
    from ctatlas.volume.scan import Volume

_TYPES = {"i2": "int16", "f4": "float", "u1": "uint8", "u2": "uint16"}


def read(path: Path, choices: Choices = AS_IT_IS) -> Volume:
    """Read a CT in HU from an `.nrrd` or `.nhdr` file.

    Parameters
    ----------
    path : Path
    choices : Choices, optional
        Which phase of a 4-D image. A series is refused: an NRRD file has none.

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
        raise ScanError(f"{path.name}: is an NRRD file and holds no series; leave out --series.")
    with opened_nrrd(path, choices) as (header, stream):
        if header.numbers.image.is_labels:
            raise ScanError(f"{path.name}: holds a segmentation, not a CT scan.")
        scan = read_volume(stream, header.numbers.image, path.name, "nrrd")
        check_end(stream, path.name, 0)
    return scan


def read_labels(path: Path) -> LabelMap:
    """Read a mask or label map: whole numbers within 0..65535, of any stored type.

    Raises
    ------
    ScanError
        As for `read`, and when a value is not such a number.
    """
    with opened_nrrd(path) as (header, stream):
        if header.numbers.image.phases.n > 1:
            raise ScanError(f"{path.name}: holds several layers of labels; expected one.")
        found = read_label_map(stream, header.numbers.image, path.name)
        check_end(stream, path.name, 0)
    return found


def read_header(path: Path) -> StoredImage:
    """Read and check the header alone."""
    with said_in_a_line(path), path.open("rb") as file:
        return read_nrrd_header(file, path.name).numbers.image


def is_segmentation(path: Path) -> bool:
    """Tell whether a file is one of 3D Slicer's segmentations; what is broken is none."""
    try:
        return read_header(path).is_labels
    except ScanError:
        return False


def data_files(path: Path) -> list[Path]:
    """Return the files that a detached header names; none when the numbers follow it."""
    with said_in_a_line(path), path.open("rb") as file:
        return [
            beside(path, name)
            for name in read_nrrd_header(file, path.name, Choices(phase=1, repair=True)).numbers.files
        ]


@contextmanager
def opened_nrrd(path: Path, choices: Choices = AS_IT_IS) -> Iterator[tuple[NrrdHeader, BinaryIO]]:
    """Give the header and a stream of the bytes of its numbers.

    Raises
    ------
    ScanError
        Whatever goes wrong inside while reading.
    """
    with said_in_a_line(path), path.open("rb") as file:
        header = read_nrrd_header(file, path.name, choices)
        yield header, stream_of(header.numbers, file, path)


def write_volume(volume: Volume, path: Path) -> None:
    """Write a scan's HU as they are, int16 or float32, gzipped behind their header, or beside it for `.nhdr`."""
    refuse_shear(volume.grid, path)
    data = data_file(path)
    with whole_files(path) as (header, voxels):
        fields = f"data file: {data.name}\n" if data else ""
        header.write(header_text(volume.grid, volume.array.dtype.str[1:], fields=fields).encode())
        with gzip_stream.compressing_scan(voxels) as packed:
            for piece in pieces_of(volume.array):
                packed.write(piece)


def header_text(grid: Grid, kind: str, n_layers: int = 1, fields: str = "") -> str:
    """Return a header in LPS, with the blank line that ends it.

    Parameters
    ----------
    grid : Grid
    kind : str
        Type of the numbers: i2, f4, u1 or u2, little endian.
    n_layers : int, optional
        Numbers a voxel, side by side; more than 1 make a first axis of their own.
    fields : str, optional
        Lines of further keys, each with its line end.
    """
    lps = grid.affine[:3] * [[-1], [-1], [1]] + 0.0  # no -0.0
    directions = [_vector(lps[:, axis]) for axis in range(3)]
    layers = n_layers > 1
    return (
        "NRRD0004\n"
        f"type: {_TYPES[kind]}\n"
        f"dimension: {3 + layers}\n"
        "space: left-posterior-superior\n"
        f"sizes: {f'{n_layers} ' * layers}{' '.join(map(str, grid.shape))}\n"
        f"space directions: {'none ' * layers}{' '.join(directions)}\n"
        f"kinds: {'list ' * layers}domain domain domain\n"
        "endian: little\n"
        "encoding: gzip\n"
        f"space origin: {_vector(lps[:, 3])}\n"
        f"{fields}\n"
    )


def _vector(numbers: np.ndarray) -> str:
    """Write a vector with as many digits as bring each number back."""
    return f"({','.join(repr(float(number)) for number in numbers)})"
