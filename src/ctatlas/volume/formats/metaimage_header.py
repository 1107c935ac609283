"""What a MetaImage header says, checked before a voxel is read or memory taken for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from ctatlas.errors import ScanError
from ctatlas.volume.choices import AS_IT_IS, Choices
from ctatlas.volume.formats.detached import numbered
from ctatlas.volume.formats.encodings import RAW, TEXT, ZLIB
from ctatlas.volume.formats.text_header import Numbers
from ctatlas.volume.formats.voxels import Phases, StoredImage, choose_phase
from ctatlas.volume.grid import Grid
from ctatlas.volume.limits import AT_MOST_TEXT_HEADER_BYTES, AT_MOST_TEXT_HEADER_LINES, check_grid, check_shape

# Source of the names: MetaIO's documentation and metaTypes.h; a "long" has 4 bytes there
TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
RAS_FROM_LPS = np.array((-1.0, -1.0, 1.0))
_ORIGINS = ("Offset", "Position", "Origin")
_MATRICES = ("TransformMatrix", "Rotation", "Orientation")
_HERE = "LOCAL"


@np.errstate(invalid="ignore", over="ignore")  # sizes that are no numbers are refused
def read_meta_header(stream: BinaryIO, where: str, choices: Choices = AS_IT_IS) -> Numbers:
    """Read a header and leave the stream behind it.

    Raises
    ------
    ScanError
        When it is broken, or the image is not one of real numbers with three axes in a known place in the patient.
    """
    fields = _fields(stream, where)
    try:
        return _checked(fields, _files(fields, stream, where), choices, where)
    except ScanError:
        raise
    except KeyError as error:
        raise ScanError(f"{where}: its MetaImage header lacks {error.args[0]}; write the scan anew.") from error
    except (ValueError, IndexError, OverflowError) as error:
        raise ScanError(f"{where}: its MetaImage header is broken ({error}); write the scan anew.") from error


def _fields(stream: BinaryIO, where: str) -> dict[str, str]:
    """Read `key = value` lines up to the one that says where the numbers are."""
    fields: dict[str, str] = {}
    n_left = AT_MOST_TEXT_HEADER_BYTES
    while "ElementDataFile" not in fields and (line := stream.readline(n_left + 1)):
        n_left -= len(line)
        if n_left < 0 or len(fields) > AT_MOST_TEXT_HEADER_LINES:
            raise ScanError(f"{where}: its header is longer than headers are; it is broken.")
        key, equals, value = line.decode("utf-8", "replace").partition("=")
        if equals:
            fields[key.strip()] = value.strip()
    return fields


def _files(fields: Mapping[str, str], stream: BinaryIO, where: str) -> list[str]:
    """Return the names of detached data files."""
    words = fields["ElementDataFile"].split()
    if not words or words[0].upper() == _HERE:
        return []
    if words[0].upper() == "LIST":
        names = stream.read(AT_MOST_TEXT_HEADER_BYTES).decode("utf-8", "replace").splitlines()
        return [name.strip() for name in names if name.strip()]
    if "%" in words[0] and len(words) == 4:
        first, last, step = (int(word) for word in words[1:])
        return numbered(words[0], first, last, step, where)
    return [fields["ElementDataFile"]]


def _checked(fields: Mapping[str, str], files: Sequence[str], choices: Choices, where: str) -> Numbers:
    n_axes = int(fields["NDims"])
    sizes = [int(n) for n in fields["DimSize"].split()]
    if len(sizes) != n_axes or not 2 <= n_axes <= 7:
        raise ScanError(f"{where}: claims {n_axes} axes and gives {len(sizes)} sizes; it is broken.")
    shape, phases = _axes(sizes, choices, where)
    stored = _stored_type(fields, where)
    check_shape(shape, stored.itemsize * phases.n, where)
    try:
        grid = Grid(shape, _affine(fields, n_axes, where))
    except ValueError as error:
        raise ScanError(f"{where}: {error}. The header is broken: convert the scan anew.") from error
    check_grid(grid, where, allow_shear=choices.repair)
    byte_skip = int(fields.get("HeaderSize", 0))
    if byte_skip < -1:
        raise ScanError(f"{where}: passes over {byte_skip} bytes (HeaderSize); expected 0 or more. Mend it.")
    is_text = not _is_true(fields.get("BinaryData", "True"))
    encoding = TEXT if is_text else ZLIB if _is_true(fields.get("CompressedData", "False")) else RAW
    return Numbers(StoredImage(grid, stored, phases=phases), encoding, files, byte_skip=byte_skip)


def _axes(sizes: Sequence[int], choices: Choices, where: str) -> tuple[tuple[int, int, int], Phases]:
    """Return the three axes in space, and which point of a further one is read."""
    names = ", ".join(
        f"{name} {n}" for name, n in zip(("i", "j", "k", "time", "5th", "6th", "7th"), sizes, strict=False)
    )
    if len(sizes) < 3 or any(n < 1 for n in sizes):
        raise ScanError(f"{where}: is a {len(sizes)}-D image ({names}); expected a 3-D CT scan.")
    further = [n for n in sizes[3:] if n != 1]
    if len(further) > 1:
        raise ScanError(f"{where}: is a {len(sizes)}-D image ({names}); expected one 3-D CT scan.")
    n = further[0] if further else 1
    i, j, k = sizes[:3]
    return (i, j, k), Phases(n, choose_phase(names, n, choices, where))


def _stored_type(fields: Mapping[str, str], where: str) -> np.dtype[Any]:
    kind = fields["ElementType"]
    if kind not in TYPES or int(fields.get("ElementNumberOfChannels", 1)) != 1:
        n = fields.get("ElementNumberOfChannels", "1")
        raise ScanError(f"{where}: voxels are {n} x {kind}; expected one whole or real number in HU.")
    slope, intercept = (fields.get(f"ElementToIntensityFunction{name}") for name in ("Slope", "Offset"))
    if float(slope or 1) != 1 or float(intercept or 0) != 0:
        raise ScanError(f"{where}: its numbers must be rescaled, which readers disagree on; write the scan anew in HU.")
    is_big = _is_true(fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")))
    return np.dtype(TYPES[kind]).newbyteorder(">" if is_big else "<")


def _affine(fields: Mapping[str, str], n_axes: int, where: str) -> np.ndarray:
    """Return voxel -> RAS+ mm; a row of the matrix is the direction of an axis, in LPS."""
    origin = next((fields[name] for name in _ORIGINS if name in fields), None)
    matrix = next((fields[name] for name in _MATRICES if name in fields), None)
    if origin is None or matrix is None:
        raise ScanError(
            f"{where}: does not say how it lies in the patient (Offset and TransformMatrix), so left and right are "
            "unknown; convert the scan anew from its DICOM."
        )
    spacing = np.array([float(mm) for mm in fields["ElementSpacing"].split()])
    if not len(spacing) == len(origin.split()) == n_axes:
        raise ScanError(
            f"{where}: gives {len(spacing)} voxel sizes and an offset of {len(origin.split())} numbers for {n_axes} "
            "axes; the header is broken."
        )
    if not (np.isfinite(spacing) & (spacing > 0)).all():
        raise ScanError(
            f"{where}: voxel size is {fields['ElementSpacing']} mm; expected above 0. The header is broken."
        )
    directions = np.array([float(number) for number in matrix.split()]).reshape(n_axes, n_axes)
    if directions[:3, 3:].any() or directions[3:, :3].any():
        raise ScanError(f"{where}: its fourth axis leads through space; expected a 3-D CT scan.")
    affine = np.eye(4)
    affine[:3, :3] = directions[:3, :3].T * spacing[:3]
    affine[:3, 3] = [float(mm) for mm in origin.split()][:3]
    affine[:3] *= RAS_FROM_LPS[:, None]
    return affine


def _is_true(word: str) -> bool:
    return word.strip().lower() in ("true", "1", "t", "yes")
