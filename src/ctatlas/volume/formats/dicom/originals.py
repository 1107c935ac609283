"""The headers of the images that a scan was read from, found again where they lie.

A scan's facts keep no patient data; objects made of it need them, and take them from the files once more.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom.headers import parser_errors, quietly
from ctatlas.volume.formats.recognise import kind_of
from ctatlas.volume.limits import AT_MOST_SLICE_FILE_BYTES
from ctatlas.volume.opening import opened

if TYPE_CHECKING:
    from pydicom import Dataset

    from ctatlas.volume.scan import ScanFacts

_DEFLATED = "1.2.840.10008.1.2.1.99"


def original_images(source: Path, facts: ScanFacts) -> list[Dataset]:
    """Read the headers of a scan's images, without pixels.

    Parameters
    ----------
    source : Path
        The folder, file or archive that the scan was read from.
    facts : ScanFacts
        Of that scan; only the images it names are taken.

    Returns
    -------
    list of Dataset
        One for each of `facts.slices`, in their order; the frames of a multi-frame image share one.

    Raises
    ------
    ScanError
        When the scan was not read from DICOM, or images of it are no longer there.
    """
    where = source.name or str(source)
    if facts.plane is None or not facts.slices:
        raise ScanError(
            f"{where}: is no DICOM series, and DICOM objects (SEG, RTSTRUCT) refer to one; give the DICOM folder."
        )
    wanted = {one.instance_uid for one in facts.slices}
    found: dict[str, Dataset] = {}
    with opened(source) as place:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            dataset = _header(path)
            uid = str(dataset.get("SOPInstanceUID", "")) if dataset is not None else ""
            if dataset is not None and uid in wanted and str(dataset.get("SeriesInstanceUID", "")) == facts.series_uid:
                found.setdefault(uid, dataset)
    if len(found) < len(wanted):
        raise ScanError(
            f"{where}: holds {len(found)} of the {len(wanted)} images that the scan was read from; "
            "expected all of them. Do not change the folder while it is worked on."
        )
    return [found[one.instance_uid] for one in facts.slices]


def _header(path: Path) -> Dataset | None:
    """Return a DICOM file's header; None for what reading the scan passed over too."""
    from pydicom import dcmread

    try:
        if not path.is_file() or path.name.startswith(".") or path.stat().st_size > AT_MOST_SLICE_FILE_BYTES:
            return None
        if kind_of(path) != "dicom":
            return None
        with quietly():
            meta = dcmread(path, stop_before_pixels=True, force=True, specific_tags=["TransferSyntaxUID"]).file_meta
            if meta.get("TransferSyntaxUID") == _DEFLATED:
                return None
            return dcmread(path, stop_before_pixels=True, force=True)
    except parser_errors():
        return None
