"""What an RTSTRUCT file says: which structures were drawn with which lines, in mm, and on which series."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom.codes import StructureCode, first_code, structure_of
from ctatlas.volume.formats.dicom.files import parser_errors, quietly
from ctatlas.volume.limits import AT_MOST_COORDINATE_MM, AT_MOST_FILE_BYTES
from ctatlas.volume.names import unique_names

if TYPE_CHECKING:
    from pydicom import Dataset

_DEFLATED = "1.2.840.10008.1.2.1.99"
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_CONTOUR_DATA = 0x30060050


@dataclass(frozen=True, slots=True)
class Line:
    """A closed line: points (n, 3) in LPS mm, and the image that it names, if any."""

    points_mm: np.ndarray
    instance_uid: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A structure as drawn; `n_other` counts what is no closed line (points, open lines)."""

    name: str
    lines: tuple[Line, ...]
    n_other: int


@dataclass(frozen=True, slots=True)
class Drawings:
    """A file's structures, and the series it says they lie on."""

    where: str
    drawings: tuple[Drawing, ...]
    series_uids: frozenset[str]


def drawings(path: Path) -> Drawings:
    """Read an RTSTRUCT file.

    Raises
    ------
    ScanError
        When it is damaged, or no RTSTRUCT.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_file_meta_info

    where = path.name
    try:
        with quietly():
            if path.stat().st_size > AT_MOST_FILE_BYTES:
                raise ScanError(f"{where}: is larger than {AT_MOST_FILE_BYTES / 2**30:.0f} GiB, the most that is read.")
            try:
                if read_file_meta_info(path).get("TransferSyntaxUID") == _DEFLATED:
                    raise ScanError(f"{where}: is stored deflated, which is not read; export it uncompressed.")
            except InvalidDicomError:  # without preamble; then nothing says that it is deflated
                pass
            return _understood(dcmread(path, force=True), where)
    except ScanError:
        raise
    except parser_errors() as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ScanError(f"{where}: is damaged or no valid RTSTRUCT ({reason}); copy it anew.") from error


def _understood(dataset: Dataset, where: str) -> Drawings:
    if "StructureSetROISequence" not in dataset or "ROIContourSequence" not in dataset:
        raise ScanError(f"{where}: lists no structures (StructureSetROISequence); it is damaged or no RTSTRUCT.")
    contours: dict[int, Dataset] = {int(one.ReferencedROINumber): one for one in dataset.ROIContourSequence}
    codes = {
        int(one.ReferencedROINumber): first_code(one, "RTROIIdentificationCodeSequence")[0]
        for one in dataset.get("RTROIObservationsSequence") or []
    }
    rois = {int(roi.ROINumber): str(roi.get("ROIName") or "") for roi in dataset.StructureSetROISequence}
    known = {number: _structure(label, codes.get(number)) or label or f"roi {number}" for number, label in rois.items()}
    named = dict(zip(known, unique_names(known.values()), strict=True))
    found = tuple(_drawing(name, contours.get(number), where) for number, name in named.items())
    return Drawings(where, found, frozenset(_series_uids(dataset)))


def _structure(label: str, code: Any) -> str | None:
    """Return the structure that a label or a code means; here the label comes first, because codes name no side."""
    return structure_of(None, label) or (structure_of(StructureCode(code, code), "") if code else None)


def _drawing(name: str, contour: Dataset | None, where: str) -> Drawing:
    items = (contour.get("ContourSequence") if contour is not None else None) or []
    closed = [one for one in items if str(one.get("ContourGeometricType", "")) in _CLOSED]
    return Drawing(name, tuple(_line(one, where) for one in closed), len(items) - len(closed))


def _line(contour: Dataset, where: str) -> Line:
    numbers = np.array(_texts(contour), dtype=np.float64)
    if len(numbers) % 3 or not len(numbers) or not (np.abs(numbers) <= AT_MOST_COORDINATE_MM).all():
        raise ScanError(
            f"{where}: has a contour whose {len(numbers)} numbers are no points within 10 m; it is damaged."
        )
    images = contour.get("ContourImageSequence") or []
    return Line(numbers.reshape(-1, 3), str(images[0].get("ReferencedSOPInstanceUID", "")) if images else "")


def _texts(contour: Dataset) -> Any:
    """Return the numbers of a contour, as they stand in the file where that is still at hand, which is much faster."""
    element = contour.get_item(_CONTOUR_DATA)
    value = getattr(element, "value", None)
    if isinstance(value, bytes):
        return value.strip(b"\0 ").split(b"\\")
    return [] if value is None else value


def _series_uids(dataset: Dataset) -> list[str]:
    return [
        str(series.SeriesInstanceUID)
        for space in dataset.get("ReferencedFrameOfReferenceSequence") or []
        for study in space.get("RTReferencedStudySequence") or []
        for series in study.get("RTReferencedSeriesSequence") or []
    ]
