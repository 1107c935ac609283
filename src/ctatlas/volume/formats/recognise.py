"""Tell a file's format from its first bytes; names and endings are ignored, because in hospitals they mean nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctatlas.volume.formats import compressed
from ctatlas.volume.formats.nifti_header import HEADER_BYTES, is_nifti

if TYPE_CHECKING:
    from pathlib import Path

_PREFIXES = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"NRRD000": "nrrd",
    b"ObjectType": "metaimage",
    b"NDims": "metaimage",
    b"7z\xbc\xaf": "7z",
    b"Rar!": "rar",
    b"\x89PNG": "picture",
    b"\xff\xd8\xff": "picture",
    b"%PDF": "document",
}
_VALUE_REPRESENTATIONS = {b"UL", b"OB", b"UI", b"CS", b"SH", b"LO", b"DA", b"TM", b"UN"}  # of first elements


def kind_of(path: Path) -> str:
    """Return what a file holds: ``"nifti"``, ``"dicom"``, the name of a format not read here, or ``"unknown"``.

    Compression is looked through: a gzipped NIfTI is ``"nifti"``, a compressed tar ``"tar"``, anything else compressed
    ``"gzip"``, ``"bzip2"`` or ``"xz"``, and what cannot be decompressed ``"damaged gzip"`` and so on.

    Raises
    ------
    OSError
        When the file cannot be read.
    """
    with path.open("rb") as file:
        block = file.read(HEADER_BYTES)
    if compression := compressed.compression_of(block):
        return _kind_within(path, compression)
    if block[128:132] == b"DICM":
        return "dicom"
    for prefix, kind in _PREFIXES.items():
        if block.startswith(prefix):
            return kind
    if is_nifti(block):
        return "nifti"
    if _is_tar(block):
        return "tar"
    return "dicom" if _starts_like_dicom(block) else "unknown"


def _kind_within(path: Path, compression: str) -> str:
    """Return what the first decompressed bytes are; a NIfTI only in gzip, which is how everybody writes it."""
    try:
        with path.open("rb") as file:
            block = compressed.decompressed(file).read(HEADER_BYTES)
    except compressed.damage():
        return f"damaged {compression}"
    except OSError as error:
        if error.errno is not None:
            raise
        return f"damaged {compression}"
    if _is_tar(block):
        return "tar"
    return "nifti" if compression == "gzip" and is_nifti(block) else compression


def _is_tar(block: bytes) -> bool:
    return block[257:262] == b"ustar"


def _starts_like_dicom(block: bytes) -> bool:
    """Tell whether the first element could be that of a data set without preamble: group 0002 or 0008, short value."""
    if len(block) < 16:
        return False
    group, length = (int.from_bytes(block[start:stop], "little") for start, stop in ((0, 2), (4, 8)))
    if block[:2] in (b"\0\x02", b"\0\x08"):  # big endian, which only exists with explicit value representations
        return block[4:6] in _VALUE_REPRESENTATIONS
    return group in (2, 8) and (block[4:6] in _VALUE_REPRESENTATIONS or length < 128)
