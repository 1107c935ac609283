"""Read one segmentation, whatever its format: the content decides, never the name."""

from __future__ import annotations

from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from ctatlas.errors import ScanError
from ctatlas.volume.choices import MaskChoices
from ctatlas.volume.formats.label_map import LABEL_READERS, has_names
from ctatlas.volume.formats.mask_folder import mask_files, within
from ctatlas.volume.formats.nrrd import is_segmentation
from ctatlas.volume.formats.recognise import kind_of
from ctatlas.volume.listing import CASE_FILES, is_mask
from ctatlas.volume.opening import opened
from ctatlas.volume.segmentation import Segmentation

if TYPE_CHECKING:
    from ctatlas.volume.grid import Grid
    from ctatlas.volume.scan import Volume


class SegmentationReader(Protocol):
    """Turn a file or folder into named masks."""

    def __call__(self, path: Path, choices: MaskChoices) -> Segmentation:
        """Read the masks at `path`, or refuse them with `ScanError`."""
        ...


SEGMENTATION_READERS = {
    "masks": "ctatlas.volume.formats.mask_folder:read",
    "labels": "ctatlas.volume.formats.label_map:read",
    "seg-nrrd": "ctatlas.volume.formats.seg_nrrd:read",
    "dicom-seg": "ctatlas.volume.formats.dicom_seg.read:read",
    "rtstruct": "ctatlas.volume.formats.rtstruct.read:read",
}

# SOP classes of DICOM objects that hold masks. Source: PS3.6 table A-1
_DICOM_KINDS = {
    "1.2.840.10008.5.1.4.1.1.66.4": "dicom-seg",
    "1.2.840.10008.5.1.4.1.1.66.7": "dicom-seg",
    "1.2.840.10008.5.1.4.1.1.481.3": "rtstruct",
}


def read_segmentation(
    path: Path | str,
    grid: Grid | None = None,
    *,
    scan: Volume | None = None,
    source: Path | None = None,
    label_set: str | None = None,
) -> Segmentation:
    """Read named masks from a file, a folder or an archive.

    Parameters
    ----------
    path : Path or str
        A folder of `<structure>.nii.gz`, a label map with its `labels.json`, a `.seg.nrrd`, a DICOM SEG or RTSTRUCT, or
        a folder or archive with one of these files alone.
    grid : Grid, optional
        Where the masks must lie; by default the grid of the file.
    scan : Volume, optional
        The CT they were drawn on; contours need it. Its grid counts when `grid` is not given.
    source : Path, optional
        Where that CT was read from; DICOM objects find the images in it that they refer to.
    label_set : str, optional
        Whose names or ids the file has, where it does not say.

    Returns
    -------
    Segmentation
        On `grid` where that was given, in its order of axes.

    Raises
    ------
    ScanError
        In one line, when there are no masks, or they cannot be read without guessing, or lie on another grid.
    """
    place = Path(path)
    wanted = scan.grid if grid is None and scan is not None else grid
    with opened(place) as unpacked:
        inside = _object_in(unpacked) or unpacked
        kind = segmentation_kind(inside)
        if kind not in SEGMENTATION_READERS:
            raise ScanError(f"{place.name}: holds no segmentation; expected {', '.join(SEGMENTATION_READERS)}.")
        module, _, function = SEGMENTATION_READERS[kind].partition(":")
        reader = cast("SegmentationReader", getattr(import_module(module), function))
        found = reader(inside, MaskChoices(wanted, scan, source, label_set))
    return found if wanted is None else on_grid(found, wanted, place.name)


def segmentation_kind(path: Path, *, surely: bool = False) -> str:
    """Return as what the masks at a path are read: a key of `SEGMENTATION_READERS`, or nothing when there are none.

    With `surely`, what may as well be a scan is none: a file whose numbers have room for HU and no mark of labels, and
    a folder with such a file.

    Raises
    ------
    ScanError
        When nothing lies there or it cannot be read.
    """
    try:
        if path.is_dir() and not (path := _object_in(path) or path).is_file():
            return "masks" if _holds_masks(path, surely=surely) else ""
        kind = kind_of(path)
    except OSError as error:
        raise ScanError(f"{path.name}: cannot be read: {error.strerror or error}.") from error
    if kind == "dicom":
        return _dicom_kind(path)
    if kind == "nrrd" and is_segmentation(path):
        return "seg-nrrd"
    if kind in LABEL_READERS:
        return "labels" if not surely or is_mask(path) else ""
    return ""


def on_grid(segmentation: Segmentation, grid: Grid, where: str) -> Segmentation:
    """Return the same masks with the axes of a grid that has its voxels in the same places.

    Raises
    ------
    ScanError
        When voxels lie elsewhere.
    """
    turned = segmentation.reoriented(grid.orientation)
    if not turned.grid.is_like(grid):
        raise ScanError(
            f"{where}: its masks lie on another grid ({' x '.join(map(str, turned.grid.shape))} voxels) than the scan "
            f"({' x '.join(map(str, grid.shape))}), or elsewhere in the patient; give the scan they were drawn on."
        )
    return Segmentation(grid, turned.layers, turned.places, segmentation.notes)


def _object_in(place: Path) -> Path | None:
    """Return the file of a folder that holds a whole segmentation and is alone but for its names, as in an archive."""
    if not place.is_dir():
        return None
    files = list(islice((one for one in place.rglob("[!.]*") if one.is_file()), 3))
    images = [file for file in files if file.suffix != ".json"]
    if len(images) != 1 or not (kind := segmentation_kind(images[0])):
        return None
    is_label_map = has_names(images[0]) and len(files) == 2
    return images[0] if (is_label_map if kind == "labels" else len(files) == 1) else None


def _holds_masks(folder: Path, *, surely: bool) -> bool:
    files = mask_files(folder)
    if not surely:
        return bool(files)
    holds_scan = any(file.name.lower() in CASE_FILES for file in within(folder).iterdir())
    return bool(files) and not holds_scan and all(map(is_mask, files.values()))


def _dicom_kind(path: Path) -> str:
    """Return which DICOM object a file is, by the SOP class that its beginning names."""
    from ctatlas.volume.formats.dicom.files import parser_errors, quietly

    try:
        with quietly():
            return _DICOM_KINDS.get(str(_sop_class(path)), "")
    except parser_errors():
        return ""


def _sop_class(path: Path) -> object:
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_file_meta_info

    from ctatlas.volume.formats.dicom.files import open_dicom

    try:
        return read_file_meta_info(path).get("MediaStorageSOPClassUID", "")
    except InvalidDicomError:  # without preamble, as some planning systems export
        file = open_dicom(path, ("SOPClassUID",))
        return file.dataset.get("SOPClassUID", "") if file else ""
