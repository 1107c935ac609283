"""What the frames of a DICOM SEG file are of, and where they lie; a file that cannot be placed in a patient is refused.

Source: reference/volumes.md §6, measured on the SEG files of dcmqi, highdicom and pydicom.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom.codes import StructureCode, first_code, structure_of
from ctatlas.volume.formats.dicom.files import parser_errors, quietly
from ctatlas.volume.limits import AT_MOST_FILE_BYTES, AT_MOST_SLICE_PIXELS, check_spacing
from ctatlas.volume.names import unique_names

if TYPE_CHECKING:
    from pydicom import Dataset

_SYNTAXES = {  # of which pydicom unpacks frames of 1 bit; the others only of 8 or 16
    "1.2.840.10008.1.2": True,
    "1.2.840.10008.1.2.1": True,
    "1.2.840.10008.1.2.2": True,
    "1.2.840.10008.1.2.4.70": False,
    "1.2.840.10008.1.2.4.80": False,
    "1.2.840.10008.1.2.4.90": True,
    "1.2.840.10008.1.2.4.201": False,
    "1.2.840.10008.1.2.5": False,
}
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
_BITS = {"BINARY": (1,), "FRACTIONAL": (8,), "LABELMAP": (8, 16)}
_BACKGROUND = ("DCM", "125040")
_AT_MOST_FRAMES = 1_000_000
_ONE_POSITION_MM = 0.01


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its number in the file from 0, its segment (0 in a label map), the centre of its first pixel, LPS."""

    index: int
    segment: int
    origin_mm: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SegFile:
    """A SEG file's header in our words.

    Attributes
    ----------
    kind : str
        ``"BINARY"``, ``"FRACTIONAL"`` or ``"LABELMAP"``.
    names : mapping of int to str
        Segment number -> structure, or the label as a safe name where it is none that we know.
    orientation : (6,) float
        Directions of growing column and growing row index, LPS.
    spacing_mm : (2,) float
        Distance between rows, distance between columns.
    gap_mm : float or None
        Between slices, as far as the file says.
    whole : float
        In fractional files the value that means 1.
    """

    where: str
    dataset: Dataset = field(repr=False)
    kind: str
    names: Mapping[int, str]
    frames: tuple[Frame, ...] = field(repr=False)
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, ...]
    gap_mm: float | None
    rows: int
    columns: int
    frame_of_reference_uid: str
    whole: float = 1.0
    padding: int | None = None

    def pixels(self, frames: Sequence[Frame]) -> Iterator[np.ndarray]:
        """Yield the pixels of frames, (rows, columns), one at a time: bool, or numbers in a label map."""
        try:
            with quietly():
                for pixels in self._decoded([one.index for one in frames]):
                    if pixels.shape != (self.rows, self.columns):
                        raise ValueError(f"a frame has the shape {pixels.shape}")
                    yield pixels if self.kind == "LABELMAP" else pixels >= self.whole / 2
        except parser_errors() as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
            raise ScanError(f"{self.where}: its frames cannot be unpacked ({reason}); copy the file anew.") from error

    def _decoded(self, indices: list[int]) -> Iterator[np.ndarray]:
        from pydicom.pixels.decoders.base import get_decoder

        syntax = self.dataset.file_meta.TransferSyntaxUID
        if self.kind == "BINARY" and str(syntax) in _NATIVE:  # pydicom 3.0.2 fails on small frames within a byte
            stored, n = np.frombuffer(self.dataset.PixelData, np.uint8), self.rows * self.columns
            for index in indices:
                first = index * n
                bits = np.unpackbits(stored[first // 8 : (first + n + 7) // 8], bitorder="little")
                yield bits[first % 8 : first % 8 + n].reshape(self.rows, self.columns)
        elif indices:  # pydicom takes an empty list of frames for all of them
            for pixels, _ in get_decoder(syntax).iter_array(self.dataset, indices=indices, raw=True):
                yield pixels


def seg_file(path: Path) -> SegFile:
    """Read what a SEG file says about its frames.

    Raises
    ------
    ScanError
        When the file is damaged, of another kind, stored in a way that cannot be unpacked, or of no patient's volume.
    """
    where = path.name
    try:
        if path.stat().st_size > AT_MOST_FILE_BYTES:
            raise ScanError(f"{where}: is larger than {AT_MOST_FILE_BYTES / 2**30:.0f} GiB, the most that is read.")
        with quietly():
            return _understood(_dataset(path, where), where)
    except ScanError:
        raise
    except parser_errors() as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ScanError(f"{where}: is damaged or no valid DICOM SEG ({reason}); copy it anew.") from error


def _dataset(path: Path, where: str) -> Dataset:
    from pydicom import dcmread
    from pydicom.filereader import read_file_meta_info

    syntax = str(read_file_meta_info(path).get("TransferSyntaxUID", ""))
    if syntax not in _SYNTAXES:
        raise ScanError(
            f"{where}: is stored in transfer syntax {syntax or 'unknown'}, which is not read for SEG; "
            "export it uncompressed (Explicit VR Little Endian)."
        )
    dataset = dcmread(path)
    if int(dataset.BitsAllocated) == 1 and not _SYNTAXES[syntax]:
        raise ScanError(
            f"{where}: holds frames of 1 bit in transfer syntax {syntax}, which no library unpacks; "
            "export it uncompressed (Explicit VR Little Endian)."
        )
    return dataset


def _understood(dataset: Dataset, where: str) -> SegFile:
    kind = str(dataset.get("SegmentationType", ""))
    rows, columns, bits = int(dataset.Rows), int(dataset.Columns), int(dataset.BitsAllocated)
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    if bits not in _BITS.get(kind, ()):
        raise ScanError(f"{where}: is a SEG of type {kind or 'unknown'} with {bits} bits; expected {', '.join(_BITS)}.")
    if len(groups) != int(dataset.get("NumberOfFrames", 0)) or not 0 < len(groups) <= _AT_MOST_FRAMES:
        raise ScanError(f"{where}: describes {len(groups)} frames and claims {dataset.get('NumberOfFrames')}.")
    _check_size(dataset, (len(groups), rows, columns, bits), where)
    if not all(_group(one, shared, "PlanePositionSequence") for one in groups):
        raise ScanError(
            f"{where}: its frames have no position in a patient (it was drawn on a radiograph or a slide); "
            "expected a segmentation of a CT."
        )
    measures = _same_for_all(groups, shared, "PixelMeasuresSequence", "PixelSpacing", where)
    spacing_mm = _floats(measures, "PixelSpacing", 2)
    check_spacing(spacing_mm, where)
    frames = tuple(
        Frame(n, 0 if kind == "LABELMAP" else _segment_of(one, shared), _origin(one, shared))
        for n, one in enumerate(groups)
    )
    padding = dataset.get("PixelPaddingValue")
    return SegFile(
        where=where,
        dataset=dataset,
        kind=kind,
        names=_names(dataset, where),
        frames=frames,
        orientation=_floats(
            _same_for_all(groups, shared, "PlaneOrientationSequence", "ImageOrientationPatient", where),
            "ImageOrientationPatient",
            6,
        ),
        spacing_mm=spacing_mm,
        gap_mm=_gap(measures),
        rows=rows,
        columns=columns,
        frame_of_reference_uid=str(dataset.get("FrameOfReferenceUID", "")),
        whole=float(dataset.MaximumFractionalValue) if kind == "FRACTIONAL" else 1.0,
        padding=None if padding is None or kind != "LABELMAP" else int(padding),
    )


def _check_size(dataset: Dataset, claimed: tuple[int, int, int, int], where: str) -> None:
    """Refuse frames whose size, (frames, rows, columns, bits a pixel), is not that of the pixels that are there."""
    n_frames, rows, columns, _ = claimed
    said = f"{where}: claims {n_frames} frames of {columns} x {rows} pixels"
    n_bytes = (prod(claimed) + 7) // 8
    if not 0 < rows * columns <= AT_MOST_SLICE_PIXELS:
        raise ScanError(f"{said}, which no CT has.")
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated or n_bytes <= len(dataset.PixelData) <= n_bytes + 1:
        return
    fewer_or_more = "fewer" if len(dataset.PixelData) < n_bytes else "more"
    raise ScanError(f"{said} and holds {fewer_or_more}; the header is broken.")


def _group(frame: Dataset, shared: Dataset | None, sequence: str) -> Any:
    """Return a functional group of a frame, its own or the one that all share; None where there is none."""
    items = frame.get(sequence) or (shared.get(sequence) if shared is not None else None)
    return items[0] if items else None


def _same_for_all(groups: Sequence[Dataset], shared: Dataset | None, sequence: str, keyword: str, where: str) -> Any:
    """Return a functional group that is the same for every frame."""
    first = _group(groups[0], shared, sequence)
    if first is None:
        raise ScanError(f"{where}: lacks {keyword}, which a segmentation of a CT has.")
    own = [one for one in groups if one.get(sequence)]
    if any(list(one[sequence].value[0].get(keyword, [])) != list(first.get(keyword, [])) for one in own):
        raise ScanError(f"{where}: its frames have several values of {keyword}; expected one for all. Split the file.")
    return first


def _origin(frame: Dataset, shared: Dataset | None) -> tuple[float, ...]:
    return _floats(_group(frame, shared, "PlanePositionSequence"), "ImagePositionPatient", 3)


def _segment_of(frame: Dataset, shared: Dataset | None) -> int:
    return int(_group(frame, shared, "SegmentIdentificationSequence").ReferencedSegmentNumber)


def _floats(item: Dataset, keyword: str, n: int) -> tuple[float, ...]:
    numbers = tuple(float(number) for number in item[keyword].value)
    if len(numbers) != n or not all(abs(number) < 1e9 for number in numbers):
        raise ValueError(f"{keyword} is no {n} numbers")
    if keyword == "PixelSpacing" and min(numbers) <= 0:
        raise ValueError("PixelSpacing is not above 0")
    return numbers


def _gap(measures: Dataset) -> float | None:
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        gap = abs(float(measures.get(keyword) or 0))
        if _ONE_POSITION_MM < gap < np.inf:
            return gap
    return None


def _names(dataset: Dataset, where: str) -> dict[int, str]:
    """Return structures by segment number, known ones by their code or else their label."""
    labels: dict[int, str] = {}
    for item in dataset.SegmentSequence:
        code = _code(item)
        number, label = int(item.SegmentNumber), str(item.get("SegmentLabel") or "")
        if number in labels:
            raise ScanError(f"{where}: describes segment {number} twice.")
        if number and not (code and code.type.key == _BACKGROUND):
            labels[number] = structure_of(code, label) or label or f"segment {number}"
    return dict(zip(labels, unique_names(labels.values()), strict=True))


def _code(item: Dataset) -> StructureCode | None:
    category, _ = first_code(item, "SegmentedPropertyCategoryCodeSequence")
    kind, kind_item = first_code(item, "SegmentedPropertyTypeCodeSequence")
    if category is None or kind is None or kind_item is None:
        return None
    region, region_item = first_code(item, "AnatomicRegionSequence")
    return StructureCode(
        category,
        kind,
        first_code(kind_item, "SegmentedPropertyTypeModifierCodeSequence")[0],
        region,
        first_code(region_item, "AnatomicRegionModifierSequence")[0] if region_item is not None else None,
    )
