"""Where a damaged file's own header says its voxels lie, worked out without ctatlas, in a few lines a format."""

from __future__ import annotations

import gzip
import io
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping

import nibabel as nib
import numpy as np
import pydicom
from pydicom.errors import BytesLengthException

from ctatlas.volume import Grid, Volume
from tests.volume.mutations.mutate import SECRET, Mutation

LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
GROUPS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
}
UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # NIfTI: unknown, metre, mm, µm


def wrong(mutation: Mutation, scan: Volume) -> str:
    """Say what is wrong with a scan that was read from a damaged input; nothing where it is what the header says."""
    if (scan.array == SECRET).mean() > 0.9:
        return "holds voxels of a file outside of the input"
    if not np.isfinite(scan.grid.affine).all() or np.linalg.det(scan.grid.affine[:3, :3]) == 0:
        return f"has no geometry: {scan.grid.affine.tolist()}"
    if scan.array.shape != scan.grid.shape or not np.isfinite(scan.array).all():
        return "has voxels that are no numbers, or not as many as its grid"
    files = contents(mutation)
    if scan.facts.kind == "dicom":
        return _dicom(files, scan)
    entries = [files[mutation.seed.entry]] if mutation.seed.entry in files else list(files.values())
    expected = [told for content in entries if (told := HEADERS[scan.facts.kind](content))]
    problems = [compare(told, scan.grid) for told in expected]
    return "" if "" in problems else " or ".join(problems)


def contents(mutation: Mutation) -> Mapping[str, bytes]:
    """Return the files of an input, or of the archive that it is; nothing where nobody else can open that."""
    if mutation.seed.kind not in ("zip", "tar"):
        return mutation.files
    data = io.BytesIO(mutation.files.get(mutation.seed.entry, b""))
    try:
        if mutation.seed.kind == "zip":
            with zipfile.ZipFile(data) as archive:
                return {name: archive.read(name) for name in archive.namelist()}
        with tarfile.open(fileobj=data) as ball:
            return {entry.name: file.read() for entry in ball.getmembers() if (file := ball.extractfile(entry))}
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, ValueError, NotImplementedError,
            LookupError, OSError, EOFError, RuntimeError, struct.error):  # fmt: skip
        return {}


def compare(expected: tuple[tuple[int, ...], np.ndarray], grid: Grid) -> str:
    """Say where a grid is not what a header says."""
    shape, theirs = expected
    if grid.shape != tuple(shape[:3]) or any(n != 1 for n in shape[3:]):
        return f"has {grid.shape} voxels, the header says {shape}"
    # float32 headers, and directions of a few digits that are made orthogonal again
    slack = 2e-4 * max(1.0, float(np.abs(theirs).max()))
    if not np.allclose(grid.affine, theirs, rtol=0, atol=slack):
        return f"lies at {grid.affine.tolist()}, the header says {theirs.tolist()}"
    return ""


def nifti(content: bytes) -> tuple[tuple[int, ...], np.ndarray] | None:
    """Parse with nibabel, which prefers the sform, too; None for what is no NIfTI."""
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error):
            content = zlib.decompressobj(31).decompress(content)
    size = int.from_bytes(content[:4], "little"), int.from_bytes(content[:4], "big")
    if not {348, 540} & set(size) or len(content) < 348:
        return None
    kind, n_bytes = (nib.Nifti2Header, 540) if 540 in size else (nib.Nifti1Header, 348)
    header = kind(content[:n_bytes], "<" if size[0] == n_bytes else ">", check=False)  # extensions say nothing of it
    scale = UNITS.get(int(header["xyzt_units"]) & 7)
    if int(header["sform_code"]) < 0:  # which nibabel takes for a code
        return None
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
    vectors = re.findall(r"none|\([^)]*\)", fields["space directions"].lower())
    theirs = np.eye(4)
    theirs[:3, :3] = np.array([[float(x) for x in v.strip("() ").split(",")] for v in vectors if v != "none"][:3]).T
    if "space origin" in fields:
        theirs[:3, 3] = [float(x) for x in fields["space origin"].strip("() ").split(",")]
    theirs[:3] *= np.broadcast_to(turn, 3)[:, None]
    sizes = [int(float(n)) for n in fields["sizes"].split()]
    axes = sorted(zip(sizes, vectors, strict=False), key=lambda axis: axis[1] == "none")
    return tuple(n for n, _ in axes), theirs  # those in space first


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


HEADERS = {"nifti": nifti, "nrrd": nrrd, "metaimage": metaimage}


def parsed(content: bytes, *, pixels: bool = False) -> pydicom.Dataset | None:
    """Parse with pydicom alone; None for what it cannot, such as a broken length of the meta group."""
    try:
        header = pydicom.dcmread(io.BytesIO(content), force=True, stop_before_pixels=not pixels)
    except (NotImplementedError, BytesLengthException):
        return None
    if any(tag.group == 0 for tag in header.keys()):  # noqa: SIM118 - the elements themselves may not be readable
        return None  # taken for a message of a network, and not read to its end
    return header


def _dicom(files: Mapping[str, bytes], scan: Volume) -> str:
    """Look for every slice of the scan at the place that its own file names."""
    headers = [header for content in files.values() if (header := parsed(content)) is not None]
    if not headers or len(headers) < len(files) or not scan.facts.slices:
        return ""
    if len(scan.facts.slices) != scan.grid.shape[2]:
        return f"has {scan.grid.shape[2]} slices, made of {len(scan.facts.slices)} images"
    for k, each in enumerate(scan.facts.slices):
        its = [one for one in headers if _plain(_text(one, "SOPInstanceUID")) == _plain(each.instance_uid)]
        if not any(_meets(scan, k, one, each.frame - 1) for one in its):
            said = [_corner(one, each.frame - 1)[0].tolist() for one in its]
            return f"slice {k} lies at {scan.grid.world((0, 0, k)).tolist()}, its file says {said}"
    return ""


def _plain(uid: str) -> str:
    return "".join(letter for letter in uid if letter.isalnum() or letter == ".")


def _corner(header: pydicom.Dataset, frame: int) -> np.ndarray:
    """Return where the first voxel, its neighbour in the row, and that in the column lie, RAS."""
    position, spacing, cosines = (
        np.array(numbers(header, name, frame))
        for name in ("ImagePositionPatient", "PixelSpacing", "ImageOrientationPatient")
    )
    places = (position, position + cosines[:3] * spacing[1], position + cosines[3:] * spacing[0])
    return np.array([place * LPS_TO_RAS for place in places])


def numbers(header: pydicom.Dataset, name: str, frame: int = 0) -> list[float]:
    """Return numbers of a frame, from 0, as their text has them, whatever representation the file claims for it."""
    return [float(number) for number in _text(_holder(header, GROUPS[name], frame), name).split("\\")]


def _text(holder: pydicom.Dataset, name: str) -> str:
    """Return an element as it stands in the file."""
    item = holder.get_item(name)
    value = item.value if item is not None else b""
    if isinstance(value, bytes):
        return value.decode("latin-1").replace("\0", " ")
    return value if isinstance(value, str) else "\\".join(map(str, value))


def _holder(header: pydicom.Dataset, group: str, frame: int) -> pydicom.Dataset:
    """Return what says something of a frame: its own group, that of all frames, or the header itself."""
    own = header.get("PerFrameFunctionalGroupsSequence")
    shared = header.get("SharedFunctionalGroupsSequence")
    for groups in (own[frame] if own else None, shared[0] if shared else None):
        if groups is not None and groups.get(group):
            return groups[group].value[0]
    return header


def _count(header: pydicom.Dataset, name: str) -> int:
    value = header.get_item(name).value
    order = "little" if header.original_encoding[1] else "big"
    return int.from_bytes(value, order) if isinstance(value, bytes) else int(value)


def _meets(scan: Volume, k: int, header: pydicom.Dataset, frame: int) -> bool:
    """Tell whether the grid has a frame there; half a pixel of lean is allowed by rule, and the far end counts, too."""
    corner = _corner(header, frame)
    ours = np.array([scan.grid.world(at) for at in ((0, 0, k), (1, 0, k), (0, 1, k))])
    slack = 0.5 * min(numbers(header, "PixelSpacing", frame)) + 1e-3
    steps = np.abs((ours[1:] - ours[:1]) - (corner[1:] - corner[:1])).max()
    return (_count(header, "Columns"), _count(header, "Rows")) == scan.grid.shape[:2] and (
        np.abs(ours[0] - corner[0]).max() <= slack and steps <= 1e-2
    )
