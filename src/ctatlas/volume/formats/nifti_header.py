"""What a NIfTI header says, checked before a voxel is read or memory taken for it."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import numpy as np

from ctatlas.errors import ScanError
from ctatlas.volume.choices import AS_IT_IS, Choices
from ctatlas.volume.formats.voxels import Phases, StoredImage, choose_phase
from ctatlas.volume.grid import Grid
from ctatlas.volume.limits import AT_MOST_BEFORE_VOXELS_BYTES, check_grid, check_shape

HEADER_BYTES = 540  # of NIfTI-2, the longer of the two
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # xyzt_units & 7; 0 is unknown, which everybody writes for mm
_REAL_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_OTHER_TYPES = {
    1: "1-bit",
    32: "complex",
    128: "RGB colour",
    1536: "128-bit float",
    1792: "complex",
    2048: "complex",
    2304: "RGBA colour",
}
_CODES_APART_MM = 0.1  # sform and qform this far apart are worth a note. Source: reference/volumes.md §4


@np.errstate(invalid="ignore", over="ignore")  # NaN of any kind is refused
def parse_header(block: bytes, where: str, choices: Choices = AS_IT_IS) -> StoredImage:
    """Check a header and return what reading the voxels needs.

    Parameters
    ----------
    block : bytes
        The first bytes of the (decompressed) file, up to `HEADER_BYTES`.
    where : str
        Name of the file, for messages.
    choices : Choices, optional
        Which phase of a 4-D image.

    Raises
    ------
    ScanError
        When it is no single-file NIfTI image of real numbers with three axes and a known place in the patient.

    Notes
    -----
    Source: the NIfTI-1 and NIfTI-2 headers (nifti.nimh.nih.gov); where readers differ: reference/volumes.md §4.
    """
    raw = _raw_header(block, where)
    shape, n_phases = _shape(raw, where)
    phase = choose_phase(_named(raw), n_phases, choices, where)
    stored = _stored_type(raw, where)
    check_shape(shape, stored.itemsize, where)
    affine, notes = _affine(raw, where)
    try:
        grid = Grid(shape, affine)
    except ValueError as error:
        raise ScanError(f"{where}: {error}. The header is broken: convert the scan anew from its DICOM.") from error
    check_grid(grid, where, allow_shear=choices.repair)
    slope, intercept, scaling_notes = _scaling(raw, where)
    return StoredImage(
        grid=grid,
        stored=stored,
        offset=_offset(raw, where),
        slope=slope,
        intercept=intercept,
        is_labels=int(raw["intent_code"]) == 1002,
        notes=(*notes, *scaling_notes),
        phases=Phases(n_phases, phase),
    )


def is_nifti(block: bytes) -> bool:
    """Tell whether a file's first bytes are a NIfTI (or Analyze) header in either byte order."""
    sizes = {int.from_bytes(block[:4], "little"), int.from_bytes(block[:4], "big")}
    return len(block) >= 348 and bool(sizes & {348, 540})


def header_kind(version: int) -> Any:
    """Return nibabel's header class of NIfTI-1 or -2; nibabel is untyped."""
    return getattr(import_module("nibabel"), f"Nifti{version}Header")


def _raw_header(block: bytes, where: str) -> Any:
    """Return nibabel's header of the right version and byte order, unchecked."""
    size = {int.from_bytes(block[:4], "little"): "<", int.from_bytes(block[:4], "big"): ">"}
    version = 540 if 540 in size else 348
    if len(block) < version or version not in size:
        raise ScanError(f"{where}: is no NIfTI file, or ends inside its header of {version} bytes; copy it anew.")
    magic = block[4:8] if version == 540 else block[344:348]
    if magic[:3] not in (b"n+1", b"n+2"):
        if magic[:3] in (b"ni1", b"ni2"):
            raise ScanError(f"{where}: is a header without its voxels (.hdr/.img); convert the pair to one .nii.gz.")
        raise ScanError(f"{where}: is an Analyze 7.5 header, which tells not left from right; use the DICOM or NIfTI.")
    return header_kind(2 if version == 540 else 1)(block[:version], endianness=size[version], check=False)


def _shape(raw: Any, where: str) -> tuple[tuple[int, int, int], int]:
    """Return three axes and how many phases there are; at most one further axis may be longer than 1."""
    dim = [int(n) for n in raw["dim"]]
    if not 1 <= dim[0] <= 7:
        raise ScanError(f"{where}: claims {dim[0]} axes; expected 3. The header is broken.")
    shape = dim[1 : dim[0] + 1]
    if any(n < 1 for n in shape):
        raise ScanError(
            f"{where}: claims {' x '.join(map(str, shape))} voxels; expected at least 1 along each axis. "
            "The header is broken."
        )
    if len(shape) < 3:
        raise ScanError(f"{where}: is a {len(shape)}-D image of {' x '.join(map(str, shape))}; expected a 3-D CT scan.")
    further = [n for n in shape[3:] if n != 1]
    if len(further) > 1:
        raise ScanError(f"{where}: is a {len(shape)}-D image ({_named(raw)}); expected one 3-D CT scan.")
    i, j, k = shape[:3]
    return (i, j, k), further[0] if further else 1


def _named(raw: Any) -> str:
    """Return the axes with their lengths, for a message."""
    names = ("i", "j", "k", "time", "5th", "6th", "7th")
    return ", ".join(f"{name} {n}" for name, n in zip(names, raw["dim"][1 : int(raw["dim"][0]) + 1], strict=False))


def _stored_type(raw: Any, where: str) -> np.dtype[Any]:
    """Return type and byte order of the voxels, real numbers only."""
    code = int(raw["datatype"])
    if code not in _REAL_TYPES:
        name = _OTHER_TYPES.get(code, f"of unknown type {code}")
        raise ScanError(f"{where}: voxels are {name}; expected whole or real numbers in HU.")
    return np.dtype(_REAL_TYPES[code]).newbyteorder(raw.endianness)


def _affine(raw: Any, where: str) -> tuple[np.ndarray, list[str]]:
    """Return voxel -> RAS+ mm; sform first, else qform, else refuse."""
    from nibabel.spatialimages import HeaderDataError

    pixdim = [float(mm) for mm in raw["pixdim"][1:4]]
    if not all(math.isfinite(mm) and mm > 0 for mm in pixdim):
        raise ScanError(
            f"{where}: voxel size (pixdim) is {' x '.join(f'{mm:.4g}' for mm in pixdim)}; expected above "
            "0. The header is broken: write the scan anew with the right voxel size."
        )
    if int(raw["sform_code"]) <= 0 and int(raw["qform_code"]) <= 0:
        raise ScanError(
            f"{where}: does not say how it lies in the patient (sform and qform code 0), so left and right "
            "are unknown; convert the scan anew from its DICOM."
        )
    sform = raw.get_sform(coded=False) if int(raw["sform_code"]) > 0 else None
    if sform is not None and not np.isfinite(sform).all():
        raise ScanError(f"{where}: its affine (sform) is no number somewhere; convert the scan anew from its DICOM.")
    try:
        qform = raw.get_qform(coded=False) if int(raw["qform_code"]) > 0 else None
    except (HeaderDataError, ValueError) as error:
        if sform is None:
            raise ScanError(f"{where}: its rotation (quaternion) is broken; convert the scan anew.") from error
        qform = None
    unit = _MM_PER_UNIT.get(int(raw["xyzt_units"]) & 7)
    if unit is None:
        raise ScanError(f"{where}: unit of length has the unknown code {int(raw['xyzt_units']) & 7}; expected mm.")
    affine = np.array(qform if sform is None else sform, np.float64)
    affine[:3] *= unit
    notes = [] if unit == 1 else [f"lengths were converted to mm (times {unit:g})"]
    if sform is not None and qform is not None:
        apart = _furthest_apart_mm(sform, qform, raw["dim"][1:4]) * unit
        if apart > _CODES_APART_MM:
            notes.append(f"sform and qform disagree by up to {apart:.3g} mm; sform was used")
    return affine, notes


def _furthest_apart_mm(one: np.ndarray, other: np.ndarray, shape: np.ndarray) -> float:
    """Return how far two affines put a corner voxel apart."""
    corners = np.array([(*corner, 1) for corner in np.ndindex(2, 2, 2)], float)
    corners[:, :3] *= np.asarray(shape, float) - 1
    return float(np.linalg.norm(corners @ (one - other).T, axis=1).max())


def _scaling(raw: Any, where: str) -> tuple[float, float, list[str]]:
    """Return slope and intercept; a slope of 0 means none, and then the intercept counts for nothing either."""
    slope, intercept = float(raw["scl_slope"]), float(raw["scl_inter"])
    if slope == 0:
        return 1.0, 0.0, []
    if not math.isfinite(slope):
        return 1.0, 0.0, [f"scl_slope is {slope}; stored values were taken as they are"]
    if not math.isfinite(intercept):
        raise ScanError(
            f"{where}: scl_inter is {intercept} beside scl_slope {slope:g}; expected a number. The header is broken."
        )
    return slope, intercept, []


def _offset(raw: Any, where: str) -> int:
    """Return where the voxels begin, behind the header."""
    at_least = 352 if int(raw["sizeof_hdr"]) == 348 else 544
    offset = float(raw["vox_offset"])
    if not (at_least <= offset <= AT_MOST_BEFORE_VOXELS_BYTES and offset.is_integer()):
        raise ScanError(
            f"{where}: voxels begin at byte {offset:g}; expected {at_least} or a little more. The header is broken."
        )
    return int(offset)
