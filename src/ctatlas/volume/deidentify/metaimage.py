"""MetaImage headers: keys of numbers and known words stay, comments and all other keys do not.

Source: the MetaIO documentation (itk.org/Wiki/MetaIO/Documentation); §5 of reference/volumes.md.
"""

from __future__ import annotations

import re
import zlib
from typing import BinaryIO, cast

from ctatlas.errors import ScanError
from ctatlas.volume.deidentify.voxels import Beside, Stripped, check_size

_AT_MOST_LINES = 1000
_AT_MOST_BYTES = 2**20
_PIECE_BYTES = 2**20
_NUMBERS = r"[-+0-9.eE ]*"
_YES_NO = "True|False|true|false|1|0"
_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}
_KEYS = {
    "ObjectType": "Image",
    "NDims": r"\d",
    "BinaryData": "True|true|1",
    "BinaryDataByteOrderMSB": _YES_NO,
    "ElementByteOrderMSB": _YES_NO,
    "TransformMatrix": _NUMBERS,
    "Rotation": _NUMBERS,
    "Orientation": _NUMBERS,
    "Offset": _NUMBERS,
    "Position": _NUMBERS,
    "Origin": _NUMBERS,
    "CenterOfRotation": _NUMBERS,
    "AnatomicalOrientation": r"[RLAPIS?]{2,4}",
    "ElementSpacing": _NUMBERS,
    "ElementSize": _NUMBERS,
    "ElementNumberOfChannels": r"\d",
    "ElementMin": _NUMBERS,
    "ElementMax": _NUMBERS,
    "DimSize": _NUMBERS,
    "ElementType": "MET_U?(?:CHAR|SHORT|INT|LONG_LONG)|MET_FLOAT|MET_DOUBLE",
}
_OURS_TO_SAY = {"CompressedData", "CompressedDataSize", "ElementDataFile"}


def stripped(file: BinaryIO, beside: Beside) -> Stripped:
    """Return a MetaImage file's header without text; a data file beside it becomes part of the new file.

    Raises
    ------
    ScanError
        When the header can't be understood, or its data lie elsewhere.
    """
    keys = _keys(file)
    kept = {name: value for name, value in keys.items() if name in _KEYS and re.fullmatch(_KEYS[name], value)}
    removed = sorted({"Comment" if name == "Comment" else "keys" for name in keys.keys() - kept.keys() - _OURS_TO_SAY})
    sizes = [int(text) for text in kept.get("DimSize", "").split() if text.isdecimal()]
    itemsize = _BYTES.get(kept.get("ElementType", "").removeprefix("MET_").removeprefix("U"))
    if keys.keys() & _KEYS.keys() != kept.keys():  # without one of them voxels would lie elsewhere, or mean other HU
        raise ScanError("has no MetaImage header that can be understood")
    if itemsize is None or str(len(sizes)) != kept.get("NDims") or "BinaryData" not in kept:
        raise ScanError("has no MetaImage header that can be understood")
    n_bytes = check_size(sizes, itemsize * int(kept.get("ElementNumberOfChannels", "1")))
    name = keys["ElementDataFile"]
    data = file if name.upper() == "LOCAL" else beside(name)
    if keys.get("CompressedData", "False").lower() in ("true", "1"):
        data = cast("BinaryIO", _Inflated(data))
    text = [f"{name} = {value}" for name, value in kept.items()]
    header = "\n".join([*text, "CompressedData = False", "ElementDataFile = LOCAL", ""]).encode("ascii")
    return Stripped(header, data, n_bytes, removed=removed)


def _keys(file: BinaryIO) -> dict[str, str]:
    keys: dict[str, str] = {}
    while len(keys) < _AT_MOST_LINES:
        line = file.readline(_AT_MOST_BYTES)
        name, equals, value = line.decode("latin-1").partition("=")
        if not equals:
            break
        keys[name.strip()] = value.strip()
        if name.strip() == "ElementDataFile":
            return keys
    raise ScanError("has no MetaImage header that can be understood")


class _Inflated:
    """Read a zlib or gzip stream piece by piece, never more than asked for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._inflate, self._held = file, zlib.decompressobj(wbits=47), b""

    def read(self, n: int) -> bytes:
        """Return up to n bytes; none at the end."""
        while not self._inflate.eof:
            packed = self._held or self._file.read(_PIECE_BYTES)
            try:
                piece = self._inflate.decompress(packed, n)
            except zlib.error:
                raise ScanError("has compressed data that are cut off or damaged") from None
            self._held = self._inflate.unconsumed_tail
            if piece or not packed:
                return piece
        return b""
