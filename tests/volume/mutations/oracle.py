"""Where a damaged file's own header says its voxels lie, worked out without ctatlas, in a few lines a format."""

from __future__ import annotations

import gzip
import io
import warnings
import zlib
from collections.abc import Mapping

import nibabel as nib
import numpy as np
import pydicom

from ctatlas.volume import Volume
from tests.volume.mutations.mutate import SECRET, Mutation
from tests.volume.mutations.seeds import SHAPE, affine

LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # NIfTI: unknown, metre, mm, µm


def wrong(mutation: Mutation, scan: Volume) -> str:
    """Say what is wrong with a scan that was read from a damaged input; nothing where it is what the header says."""
    if (scan.array == SECRET).mean() > 0.9:
        return "holds voxels of a file outside of the input"
    if not np.isfinite(scan.grid.affine).all() or np.linalg.det(scan.grid.affine[:3, :3]) == 0:
        return f"has no geometry: {scan.grid.affine.tolist()}"
    if scan.array.shape != scan.grid.shape or not np.isfinite(scan.array).all():
        return "has voxels that are no numbers, or not as many as its grid"
    kind = mutation.seed.kind
    if kind == "dicom":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's, of values that are none of the geometry
            return _dicom(mutation.files, scan)
    if kind == "zip":
        expected = (SHAPE, affine()) if mutation.seed.name.endswith("-1") else None
    else:
        expected = HEADERS[kind](mutation.files[mutation.seed.entry]) if kind in HEADERS else None
    return _compare(expected, scan) if expected else ""


def _compare(expected: tuple[tuple[int, ...], np.ndarray], scan: Volume) -> str:
    shape, theirs = expected
    if scan.grid.shape != tuple(shape[:3]) or any(n != 1 for n in shape[3:]):
        return f"has {scan.grid.shape} voxels, the header says {shape}"
    # float32 headers, and directions of a few digits that are made orthogonal again
    slack = 2e-4 * max(1.0, float(np.abs(theirs).max()))
    if not np.allclose(scan.grid.affine, theirs, rtol=0, atol=slack):
        return f"lies at {scan.grid.affine.tolist()}, the header says {theirs.tolist()}"
    return ""


def nifti(content: bytes) -> tuple[tuple[int, ...], np.ndarray] | None:
    """Parse with nibabel, which prefers the sform, too."""
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error):
            content = zlib.decompressobj(31).decompress(content)
    size = int.from_bytes(content[:4], "little"), int.from_bytes(content[:4], "big")
    header = (nib.Nifti2Header if 540 in size else nib.Nifti1Header).from_fileobj(io.BytesIO(content), check=False)
    scale = UNITS.get(int(header["xyzt_units"]) & 7)
    try:
        theirs = np.asarray(header.get_best_affine(), float)
    except (ValueError, ArithmeticError):
        return None
    if scale is None:
        return None
    theirs[:3] *= scale
    return tuple(int(n) for n in header["dim"][1 : 1 + int(header["dim"][0])]), theirs


def nrrd(content: bytes) -> tuple[tuple[int, ...], np.ndarray] | None:
    """Parse sizes, directions and origin."""
    lines = content.partition(b"\n\n")[0].decode("latin-1").replace("\r", "").split("\n")
    fields = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines[1:])}
    space = fields.get("space", "").lower().replace("-", " ")
    turn = {"lps": LPS_TO_RAS, "left posterior superior": LPS_TO_RAS, "ras": np.ones(3), "right anterior superior": 1.0,
            "las": np.array([-1.0, 1, 1]), "left anterior superior": np.array([-1.0, 1, 1])}.get(space)  # fmt: skip
    if turn is None or "space directions" not in fields:
        return None
    vectors = [v for v in fields["space directions"].replace(") (", ")|(").split("|") if v.strip().lower() != "none"]
    theirs = np.eye(4)
    theirs[:3, :3] = np.array([[float(x) for x in v.strip("() ").split(",")] for v in vectors[:3]]).T
    if "space origin" in fields:
        theirs[:3, 3] = [float(x) for x in fields["space origin"].strip("() ").split(",")]
    theirs[:3] *= np.broadcast_to(turn, 3)[:, None]
    return tuple(int(n) for n in fields["sizes"].split()), theirs


def metaimage(content: bytes) -> tuple[tuple[int, ...], np.ndarray] | None:
    """Parse sizes, spacing, matrix and offset."""
    text = content.partition(b"ElementDataFile")[0].decode("latin-1")
    fields = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in text.split("\n"))}

    def numbers(*names: str) -> list[float] | None:
        return next(([float(x) for x in fields[name].split()] for name in names if name in fields), None)

    matrix = numbers("TransformMatrix", "Rotation", "Orientation")
    theirs = np.eye(4)
    if matrix is not None:
        theirs[:3, :3] = np.reshape(matrix, (3, 3)).T
    theirs[:3, :3] *= numbers("ElementSpacing", "ElementSize") or 1.0
    theirs[:3, 3] = numbers("Offset", "Position", "Origin") or 0.0
    theirs[:3] *= LPS_TO_RAS[:, None]
    return tuple(int(n) for n in fields["DimSize"].split()), theirs


HEADERS = {"nifti": nifti, "nifti2": nifti, "nrrd": nrrd, "metaimage": metaimage}


def _dicom(files: Mapping[str, bytes], scan: Volume) -> str:
    """Look for every slice of the scan at the place that its own file names."""
    try:
        headers = [pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=True) for data in files.values()]
    except NotImplementedError:  # it also wants the meta group's own length, which says nothing of the geometry
        return ""
    found = [one for one in headers if "ImagePositionPatient" in one and "PixelSpacing" in one]
    if any("PerFrameFunctionalGroupsSequence" in one for one in headers) or not scan.facts.slices:
        return ""
    if len(scan.facts.slices) != scan.grid.shape[2]:
        return f"has {scan.grid.shape[2]} slices, made of {len(scan.facts.slices)} files"
    for k, each in enumerate(scan.facts.slices):
        its = [one for one in found if _plain(str(one.get("SOPInstanceUID", ""))) == _plain(each.instance_uid)]
        corners = [_corner(one) for one in its]
        if not any(_meets(scan, k, corner, one) for corner, one in zip(corners, its, strict=True)):
            return f"slice {k} lies at {scan.grid.world((0, 0, k)).tolist()}, its file says {corners}"
    return ""


def _plain(uid: str) -> str:
    return "".join(letter for letter in uid if letter.isalnum() or letter == ".")


def _corner(header: pydicom.Dataset) -> np.ndarray:
    """Return where the first voxel, its neighbour in the row, and that in the column lie, RAS."""
    position, spacing, cosines = (
        np.array(_numbers(header, name)) for name in ("ImagePositionPatient", "PixelSpacing", "ImageOrientationPatient")
    )
    places = (position, position + cosines[:3] * spacing[1], position + cosines[3:] * spacing[0])
    return np.array([place * LPS_TO_RAS for place in places])


def _numbers(header: pydicom.Dataset, name: str) -> list[float]:
    """Return numbers as their text has them, whatever representation the file claims for it."""
    item = header.get_item(name)
    value = item.value if item is not None else b""
    text = value.decode("latin-1") if isinstance(value, bytes) else "\\".join(map(str, value))
    return [float(number) for number in text.replace("\0", " ").split("\\")]


def _count(header: pydicom.Dataset, name: str) -> int:
    value = header.get_item(name).value
    order = "little" if header.original_encoding[1] else "big"
    return int.from_bytes(value, order) if isinstance(value, bytes) else int(value)


def _meets(scan: Volume, k: int, corner: np.ndarray, header: pydicom.Dataset) -> bool:
    """Tell whether the grid has them there; half a pixel of lean is allowed by rule, and the far end counts, too."""
    ours = np.array([scan.grid.world(at) for at in ((0, 0, k), (1, 0, k), (0, 1, k))])
    slack = 0.5 * min(_numbers(header, "PixelSpacing")) + 1e-3
    steps = np.abs((ours[1:] - ours[:1]) - (corner[1:] - corner[:1])).max()
    return (_count(header, "Columns"), _count(header, "Rows")) == scan.grid.shape[:2] and (
        np.abs(ours[0] - corner[0]).max() <= slack and steps <= 1e-2
    )
