"""What an NRRD header says, checked before a voxel is read or memory taken for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np

from ctatlas.errors import ScanError
from ctatlas.volume.choices import AS_IT_IS, Choices
from ctatlas.volume.formats.detached import numbered
from ctatlas.volume.formats.encodings import BZIP2, GZIP, HEX, RAW, TEXT, Encoding
from ctatlas.volume.formats.text_header import Numbers
from ctatlas.volume.formats.voxels import Phases, StoredImage, choose_phase
from ctatlas.volume.grid import Grid
from ctatlas.volume.limits import AT_MOST_TEXT_HEADER_BYTES, AT_MOST_TEXT_HEADER_LINES, check_grid, check_shape

# Source of all tables: the NRRD format, teem.sourceforge.net/nrrd/format.html
_ENCODINGS = {
    "raw": RAW,
    **dict.fromkeys(("txt", "text", "ascii"), TEXT),
    "hex": HEX,
    **dict.fromkeys(("gz", "gzip"), GZIP),
    **dict.fromkeys(("bz2", "bzip2"), BZIP2),
}
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_TYPE_OF = {name: code for code, names in _TYPES.items() for name in names}
_RAS_FROM_SPACE = {
    **dict.fromkeys(("left-posterior-superior", "lps"), (-1, -1, 1)),
    **dict.fromkeys(("left-anterior-superior", "las"), (-1, 1, 1)),
    **dict.fromkeys(("right-anterior-superior", "ras"), (1, 1, 1)),
}
_MM_PER_UNIT = {"mm": 1.0, "millimeter": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "\u00b5m": 0.001, "": 1.0}
_PHASE_KINDS = {"list", "time", "domain", "none", "???", "space"}
_LAYERS = Choices(phase=1)  # a segmentation's further axis is no time; its reader takes all of it
_READ_ERRORS = (ValueError, KeyError, IndexError, TypeError, OverflowError, StopIteration)


@dataclass(frozen=True, slots=True)
class NrrdHeader:
    """The checked header of an NRRD file with three axes in space; `fields` is all it says, as pynrrd reads it."""

    numbers: Numbers
    fields: Mapping[str, Any]


@np.errstate(invalid="ignore", over="ignore")  # sizes that are no numbers are refused
def read_nrrd_header(stream: BinaryIO, where: str, choices: Choices = AS_IT_IS) -> NrrdHeader:
    """Read a header and leave the stream behind it.

    Raises
    ------
    ScanError
        When it is broken, or the image is not one of real numbers with three axes in a known place in the patient.
    """
    from nrrd.errors import NRRDError

    lines, files = _lines(stream, where)
    try:
        fields = _parsed(lines)
        return _checked(fields, files or _files(fields, where), choices, where)
    except ScanError:
        raise
    except (NRRDError, *_READ_ERRORS) as error:
        raise ScanError(f"{where}: its NRRD header is broken ({error}); write the scan anew.") from error


def _lines(stream: BinaryIO, where: str) -> tuple[list[str], list[str]]:
    """Read the lines up to the blank one, and the file names of a LIST, which stand at the end."""
    lines: list[str] = []
    n_left = AT_MOST_TEXT_HEADER_BYTES
    while line := stream.readline(n_left + 1):
        n_left -= len(line)
        if n_left < 0 or len(lines) > AT_MOST_TEXT_HEADER_LINES:
            raise ScanError(f"{where}: its header is longer than headers are; it is broken.")
        text = line.decode("utf-8", "replace").rstrip()
        if not text:
            break
        lines.append(text)
    at = next(
        (n for n, line in enumerate(lines) if line.replace(" ", "").lower().startswith("datafile:LIST".lower())), -1
    )
    return (lines, []) if at < 0 else (lines[:at], lines[at + 1 :])


def _parsed(lines: Sequence[str]) -> dict[str, Any]:
    """Have pynrrd take the fields apart; both spellings of a field, with blanks and without, become one."""
    from nrrd.reader import read_header

    fields = cast("dict[str, Any]", read_header(list(lines)))
    spellings = {"data file": "datafile", "line skip": "lineskip", "byte skip": "byteskip"}
    return {spellings.get(name, name): value for name, value in fields.items()}


def _files(fields: Mapping[str, Any], where: str) -> list[str]:
    """Return the names of detached data files; a pattern stands with first, last and step."""
    words = str(fields.get("datafile", "")).split()
    if len(words) in (4, 5) and "%" in words[0]:
        first, last, step = (int(word) for word in words[1:4])
        return numbered(words[0], first, last, step, where)
    return [str(fields["datafile"])] if words else []


def _checked(fields: Mapping[str, Any], files: Sequence[str], choices: Choices, where: str) -> NrrdHeader:
    sizes = [int(n) for n in fields["sizes"]]
    if len(sizes) != int(fields["dimension"]):
        raise ScanError(f"{where}: claims {fields['dimension']} axes and gives {len(sizes)} sizes; it is broken.")
    encoding = _ENCODINGS.get(str(fields["encoding"]).lower())
    if encoding is None:
        raise ScanError(f"{where}: its encoding {fields['encoding']} is not read; write it raw or with gzip.")
    stored = _stored_type(fields, encoding, where)
    directions = _directions(fields, sizes, where)
    is_labels = "Segment0_ID" in fields or "Segment0_LabelValue" in fields
    shape, phases = _axes(fields, sizes, directions, _LAYERS if is_labels else choices, where)
    check_shape(shape, stored.itemsize * phases.n, where)
    affine, notes = _affine(fields, directions, where)
    try:
        grid = Grid(shape, affine)
    except ValueError as error:
        raise ScanError(f"{where}: {error}. The header is broken: convert the scan anew.") from error
    check_grid(grid, where, allow_shear=choices.repair)
    byte_skip, line_skip = int(fields.get("byteskip", 0)), int(fields.get("lineskip", 0))
    if byte_skip < -1 or line_skip < 0:
        raise ScanError(
            f"{where}: passes over {min(byte_skip, line_skip)} bytes or lines; expected 0 or more. Mend it."
        )
    image = StoredImage(grid, stored, is_labels=is_labels, notes=notes, phases=phases)
    return NrrdHeader(Numbers(image, encoding, files, line_skip, byte_skip), fields)


def _stored_type(fields: Mapping[str, Any], encoding: Encoding, where: str) -> np.dtype[Any]:
    code = _TYPE_OF.get(str(fields["type"]).lower())
    if code is None:
        raise ScanError(f"{where}: voxels are {fields['type']}; expected whole or real numbers in HU.")
    if "old min" in fields or "oldmin" in fields or "old max" in fields or "oldmax" in fields:
        raise ScanError(f"{where}: its numbers are quantised (old min, old max), so no HU; write the scan anew.")
    endian = str(fields.get("endian", "")).lower()
    if encoding is TEXT or code in ("i1", "u1"):
        return np.dtype(code)
    if endian not in ("little", "big"):
        raise ScanError(
            f"{where}: does not say the order of its bytes (endian); add 'endian: little' where that is so."
        )
    return np.dtype(code).newbyteorder("<" if endian == "little" else ">")


def _directions(fields: Mapping[str, Any], sizes: Sequence[int], where: str) -> np.ndarray:
    """Return one vector an axis, NaN for an axis that is none of space."""
    directions = fields.get("space directions")
    if directions is None or str(fields.get("space", "")).lower() not in _RAS_FROM_SPACE:
        raise ScanError(
            f"{where}: does not say how it lies in the patient (space and space directions; space is "
            f"{fields.get('space', 'not given')}), so left and right are unknown; convert the scan anew from its DICOM."
        )
    directions = np.asarray(directions, np.float64)
    if directions.shape != (len(sizes), 3):
        raise ScanError(f"{where}: its space directions are not one vector of 3 numbers an axis; it is broken.")
    return directions


def _axes(
    fields: Mapping[str, Any], sizes: Sequence[int], directions: np.ndarray, choices: Choices, where: str
) -> tuple[tuple[int, int, int], Phases]:
    """Return the three axes in space, and which point of a further one is read."""
    in_space = [axis for axis in range(len(sizes)) if not np.isnan(directions[axis]).any()]
    kinds = [str(kind) for kind in fields.get("kinds", ["???"] * len(sizes))]
    names = ", ".join(f"{kind} {n}" for kind, n in zip(kinds, sizes, strict=True))
    if len(in_space) != 3 or in_space != list(range(in_space[0], in_space[0] + 3)):
        raise ScanError(f"{where}: has {len(in_space)} axes in space ({names}); expected a 3-D CT scan.")
    i, j, k = (sizes[axis] for axis in in_space)
    further = [axis for axis in range(len(sizes)) if axis not in in_space and sizes[axis] != 1]
    if not further:
        return (i, j, k), Phases(1, choose_phase(names, 1, choices, where))
    axis = further[0]
    if len(further) > 1 or sizes[axis] < 1:
        raise ScanError(f"{where}: is a {len(sizes)}-D image ({names}); expected one 3-D CT scan.")
    if kinds[axis].lower() not in _PHASE_KINDS:
        raise ScanError(f"{where}: its voxels are colours or vectors ({names}); expected one number in HU.")
    return (i, j, k), Phases(sizes[axis], choose_phase(names, sizes[axis], choices, where), axis < in_space[0])


def _affine(fields: Mapping[str, Any], directions: np.ndarray, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return voxel -> RAS+ mm."""
    if "space origin" not in fields:
        raise ScanError(f"{where}: does not say where it lies (space origin); convert the scan anew from its DICOM.")
    units = {str(unit) for unit in fields.get("space units", [""])}
    mm = _MM_PER_UNIT.get(units.pop().lower(), math.nan) if len(units) == 1 else math.nan
    if math.isnan(mm):
        raise ScanError(f"{where}: gives lengths in {fields['space units']}; expected mm.")
    affine = np.eye(4)
    affine[:3, :3] = directions[~np.isnan(directions).any(axis=1)].T * mm
    affine[:3, 3] = np.asarray(fields["space origin"], np.float64) * mm
    affine[:3] *= np.array(_RAS_FROM_SPACE[str(fields["space"]).lower()])[:, None]
    return affine, () if mm == 1 else (f"lengths were converted to mm (times {mm:g})",)
