"""How the stored numbers of a slice are packed, and the rule by which they become HU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom import elements
from ctatlas.volume.limits import AT_MOST_SLICE_PIXELS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom import Dataset

    from ctatlas.volume.formats.dicom.elements import Header

NEEDED = (
    *("BitsAllocated", "BitsStored", "Columns", "HighBit", "LossyImageCompression", "ModalityLUTSequence"),
    *("PhotometricInterpretation", "PixelPaddingRangeLimit", "PixelPaddingValue", "PixelRepresentation"),
    *("RescaleIntercept", "RescaleSlope", "RescaleType", "Rows"),
)
# Source: DICOM PS3.5 annex A.
_LOSSY = {
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.203",
}
_TWELVE_BIT_JPEG = "1.2.840.10008.1.2.4.51"  # values differed by up to 1037. Source: reference/volumes.md §1


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How the stored numbers of an image are packed."""

    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    photometric: str
    padding: int | None
    padding_limit: int | None
    transfer_syntax: str
    is_lossy: bool


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A modality lookup table: values for the stored numbers from `first` on, the ends for all beyond."""

    first: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rescale:
    """What the stored numbers of a slice mean; None where the file does not say."""

    slope: float | None
    intercept: float | None
    kind: str
    table: LookupTable | None


def pixel_format(dataset: Header, transfer_syntax: str) -> PixelFormat:
    """Take over how the stored numbers are packed."""
    allocated = elements.integer(dataset, "BitsAllocated") or 0
    stored = elements.integer(dataset, "BitsStored") or allocated
    high_bit = elements.integer(dataset, "HighBit")
    return PixelFormat(
        rows=elements.integer(dataset, "Rows") or 0,
        columns=elements.integer(dataset, "Columns") or 0,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=stored - 1 if high_bit is None else high_bit,
        is_signed=elements.integer(dataset, "PixelRepresentation") == 1,
        photometric=elements.text(dataset, "PhotometricInterpretation"),
        padding=elements.integer(dataset, "PixelPaddingValue"),
        padding_limit=elements.integer(dataset, "PixelPaddingRangeLimit"),
        transfer_syntax=transfer_syntax,
        is_lossy=elements.text(dataset, "LossyImageCompression") == "01" or transfer_syntax in _LOSSY,
    )


def rescale(holder: Header, image: Header) -> Rescale:
    """Take over what stored numbers mean, from where the frame's slope stands and from the image's lookup table.

    Source of the table's shape: DICOM PS3.3 C.11.1: number of entries (0 is 65,536), first stored value, bits of each.
    """
    tables = elements.items(image, "ModalityLUTSequence")
    kind = elements.text(tables[0], "ModalityLUTType") if tables else elements.text(holder, "RescaleType")
    return Rescale(
        slope=elements.number(holder, "RescaleSlope"),
        intercept=elements.number(holder, "RescaleIntercept"),
        kind=kind.upper(),
        table=_table(tables[0], is_signed=elements.integer(image, "PixelRepresentation") == 1) if tables else None,
    )


def check_format(pixels: PixelFormat, where: str) -> None:
    """Refuse an image whose numbers cannot be understood."""
    faults = {
        f"photometric interpretation {pixels.photometric}, expected MONOCHROME2": pixels.photometric != "MONOCHROME2",
        f"{pixels.bits_allocated} bits a pixel, expected 8, 16 or 32": pixels.bits_allocated not in (8, 16, 32),
        f"{pixels.bits_stored} bits up to bit {pixels.high_bit} of {pixels.bits_allocated}": not 1
        <= pixels.bits_stored
        == pixels.high_bit + 1
        <= pixels.bits_allocated,
        f"{pixels.columns} x {pixels.rows} pixels": not 1 <= pixels.rows * pixels.columns <= AT_MOST_SLICE_PIXELS,
        "12-bit lossy JPEG, which is not read because its values are unreliable": pixels.transfer_syntax
        == _TWELVE_BIT_JPEG,
    }
    _refuse(faults, where)


def check_rescale(rule: Rescale, where: str) -> None:
    """Refuse a rule that does not lead to HU."""
    kinds = ("HU",) if rule.table else ("", "HU", "US")  # scanners write US beside a slope that gives HU
    faults = {
        f"a modality lookup table of type {rule.kind or 'unknown'}, expected HU": bool(rule.table)
        and rule.kind not in kinds,
        f"rescale type {rule.kind}, expected HU": rule.table is None and rule.kind not in kinds,
        "rescale slope 0": rule.slope == 0 and rule.table is None,
    }
    _refuse(faults, where)


def format_notes(formats: Iterable[PixelFormat], rules: Iterable[Rescale]) -> list[str]:
    """Say what is worth knowing about the values of a series."""
    notes = []
    if any(rule.table is None and (rule.slope is None or rule.intercept is None) for rule in rules):
        notes.append("no rescale slope and intercept in some images; stored values were taken for HU")
    if any(one.is_lossy for one in formats):
        notes.append("images were compressed with loss")
    return notes


def _refuse(faults: dict[str, bool], where: str) -> None:
    for fault, is_so in faults.items():
        if is_so:
            raise ScanError(f"{where}: has {fault}. Export the series anew, uncompressed and in HU.")


def _table(item: Dataset, *, is_signed: bool) -> LookupTable:
    """Read a lookup table; its descriptor's first value has the sign of the pixels."""
    descriptor, data = item.get("LUTDescriptor"), item.get("LUTData")
    n, first, bits = (int(value) for value in descriptor)
    first = (first + 2**15) % 2**16 - 2**15 if is_signed else first % 2**16
    if isinstance(data, bytes):
        values = tuple(data[at] + 256 * data[at + 1] for at in range(0, len(data) - 1, 2)) if bits > 8 else tuple(data)
    else:
        values = tuple(int(value) for value in data)
    if len(values) < (n or 2**16):
        raise ValueError(f"the modality lookup table has {len(values)} entries; expected {n or 2**16}")
    return LookupTable(first, values[: n or 2**16])
