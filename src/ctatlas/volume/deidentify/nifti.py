"""NIfTI-1 and -2 headers: text, and numbers that say nothing of place or HU, are emptied, extensions left out.

Source: the NIfTI-1 and NIfTI-2 headers (nifti.nimh.nih.gov); which fields hold text: reference/volumes.md §8.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from ctatlas.errors import ScanError
from ctatlas.volume.deidentify.voxels import Beside, Stripped, check_size
from ctatlas.volume.formats import gzip_stream
from ctatlas.volume.limits import AT_MOST_BEFORE_VOXELS_BYTES

_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 32: 8, 64: 8, 128: 3, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8, 1536: 16, 1792: 16}
_BYTES |= {2048: 32, 2304: 4}


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the fields of a version lie: (first byte, format of struct)."""

    size: int
    magic: tuple[int, bytes]
    dim: tuple[int, str]
    datatype: int
    offset: tuple[int, str]
    emptied: dict[str, tuple[int, int]]  # field -> first byte, end


_VERSIONS = {
    348: _Layout(
        size=348,
        magic=(344, b"n+1\0"),
        dim=(40, "8h"),
        datatype=70,
        offset=(108, "f"),
        emptied={
            "data_type": (4, 14),
            "db_name": (14, 32),
            "extents": (32, 36),
            "session_error": (36, 38),
            "regular": (38, 39),
            "intent_p": (56, 68),
            "slice_start": (74, 76),
            "slice_end": (120, 122),
            "cal_max": (124, 128),
            "cal_min": (128, 132),
            "slice_duration": (132, 136),
            "toffset": (136, 140),
            "glmax": (140, 144),
            "glmin": (144, 148),
            "descrip": (148, 228),
            "aux_file": (228, 252),
            "intent_name": (328, 344),
        },
    ),
    540: _Layout(
        size=540,
        magic=(4, b"n+2\0\r\n\x1a\n"),
        dim=(16, "8q"),
        datatype=12,
        offset=(168, "q"),
        emptied={
            "intent_p": (80, 104),
            "cal_max": (192, 200),
            "cal_min": (200, 208),
            "slice_duration": (208, 216),
            "toffset": (216, 224),
            "slice_start": (224, 232),
            "slice_end": (232, 240),
            "descrip": (240, 320),
            "aux_file": (320, 344),
            "intent_name": (508, 524),
            "unused_str": (525, 540),
        },
    ),
}


def stripped(file: BinaryIO, _: Beside) -> Stripped:
    """Return a NIfTI file's header without text, its extensions skipped.

    Raises
    ------
    ScanError
        When it is no single-file NIfTI image.
    """
    is_packed = file.read(2) == gzip_stream.MAGIC
    file.seek(0)
    stream = gzip_stream.decompressing(file) if is_packed else file
    first = stream.read(4)
    versions = {int.from_bytes(first, "little"): "<", int.from_bytes(first, "big"): ">"}
    layout = next((_VERSIONS[size] for size in _VERSIONS if size in versions), None)
    block = first + (stream.read(layout.size - 4) if layout else b"")
    if layout is None or len(block) < layout.size or not block.startswith(layout.magic[1], layout.magic[0]):
        raise ScanError("is no NIfTI image in one file; give one (.nii or .nii.gz)")
    order = versions[layout.size]
    n_bytes = _voxel_bytes(block, layout, order)
    start = struct.unpack_from(order + layout.offset[1], block, layout.offset[0])[0]
    if not layout.size <= start <= AT_MOST_BEFORE_VOXELS_BYTES:
        raise ScanError("has a header that says its voxels begin where none can")
    between = stream.read(int(start) - layout.size)
    header, emptied = _without_text(block, layout, order)
    removed = ["extensions"] if between.strip(b"\0") else []
    return Stripped(header, stream, n_bytes, whole_is_packed=is_packed, emptied=emptied, removed=removed)


def _voxel_bytes(block: bytes, layout: _Layout, order: str) -> int:
    n_axes, *sizes = struct.unpack_from(order + layout.dim[1], block, layout.dim[0])
    itemsize = _BYTES.get(struct.unpack_from(order + "h", block, layout.datatype)[0])
    if not 1 <= n_axes <= 7 or itemsize is None:
        raise ScanError("has a header with an unknown number of axes or type of voxels")
    return check_size(sizes[:n_axes], itemsize)


def _without_text(block: bytes, layout: _Layout, order: str) -> tuple[bytes, list[str]]:
    header = bytearray(block)
    emptied = []
    for field, (start, end) in layout.emptied.items():
        if any(header[start:end]):
            emptied.append(field)
            header[start:end] = bytes(end - start)
    struct.pack_into(order + layout.offset[1], header, layout.offset[0], layout.size + 4)
    return bytes(header) + bytes(4), emptied  # four zeros: no extension follows
