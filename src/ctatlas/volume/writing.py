"""Write scans and masks, whole or not at all; the ending of the name chooses the format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctatlas.errors import OutputError
from ctatlas.volume.choices import NOTHING_KNOWN, MaskChoices
from ctatlas.volume.formats import nifti
from ctatlas.volume.scan import Volume

if TYPE_CHECKING:
    import numpy as np

    from ctatlas.volume.grid import Grid
    from ctatlas.volume.segmentation import Segmentation


@dataclass(frozen=True, slots=True)
class Writer:
    """One way to write.

    Attributes
    ----------
    function : str
        "module:function"; of a scan it takes `(volume, path)`, of a segmentation `(segmentation, path, mask_choices)`.
    endings : tuple of str
        Those that choose it; none for a folder, and where only its name does.
    """

    function: str
    endings: tuple[str, ...] = ()

    def __call__(self, *arguments: object) -> None:
        """Write."""
        module, _, function = self.function.partition(":")
        write_it: Any = getattr(import_module(module), function)
        write_it(*arguments)


VOLUME_WRITERS = {
    "metaimage": Writer("ctatlas.volume.formats.metaimage:write_volume", (".mha", ".mhd")),
    "nifti": Writer("ctatlas.volume.formats.nifti:write_volume", (".nii.gz", ".nii")),
    "nrrd": Writer("ctatlas.volume.formats.nrrd:write_volume", (".nrrd", ".nhdr")),
}
SEGMENTATION_WRITERS = {
    "masks": Writer("ctatlas.volume.formats.mask_folder:write"),
    "labels": Writer("ctatlas.volume.formats.label_map:write", (".nii.gz", ".nii")),
    "dicom-seg": Writer("ctatlas.volume.formats.dicom_seg.write:write", (".seg.dcm",)),
    "dicom-labelmap": Writer("ctatlas.volume.formats.dicom_seg.write:write_label_map"),
    "rtstruct": Writer("ctatlas.volume.formats.rtstruct.write:write", (".rtstruct.dcm",)),
    "seg-nrrd": Writer("ctatlas.volume.formats.seg_nrrd:write", (".seg.nrrd", ".nrrd")),
}


def write(
    scan_or_masks: Volume | Segmentation,
    path: Path | str,
    choices: MaskChoices = NOTHING_KNOWN,
    *,
    kind: str | None = None,
) -> None:
    """Write a scan to one file, or a segmentation to a file or a folder.

    Parameters
    ----------
    scan_or_masks : Volume or Segmentation
    path : Path or str
        For a scan a `.nii.gz`, `.nii`, `.nrrd` or `.mha` file, or a header `.nhdr` or `.mhd` that gets a file of voxels
        beside it; for a segmentation a `.seg.nrrd`, a label map `.nii.gz`, a DICOM object `.seg.dcm` or
        `.rtstruct.dcm`, or a folder of `<structure>.nii.gz`, made where missing.
    choices : MaskChoices, optional
        For a segmentation: the label set that gives names and ids; for DICOM objects the scan and its source.
    kind : str, optional
        A key of `VOLUME_WRITERS` or `SEGMENTATION_WRITERS`; by default the ending chooses.

    Raises
    ------
    OutputError
        When the place cannot be written to or the ending is unknown.
    """
    target = Path(path)
    if isinstance(scan_or_masks, Volume):
        VOLUME_WRITERS[kind or writer_kind(VOLUME_WRITERS, target)](scan_or_masks, target)
        return
    chosen = kind or (writer_kind(SEGMENTATION_WRITERS, target) if target.suffix else "masks")
    SEGMENTATION_WRITERS[chosen](scan_or_masks, target, choices)


def writer_kind(writers: Mapping[str, Writer], path: Path) -> str:
    """Return which writer the ending of a name chooses, the longest ending first.

    Raises
    ------
    OutputError
        When the ending is none of theirs.
    """
    endings = {ending: kind for kind, writer in writers.items() for ending in writer.endings}
    fitting = [ending for ending in endings if path.name.lower().endswith(ending)]
    if not fitting:
        raise OutputError(f"{path}: unknown ending; expected one of {', '.join(endings)}.")
    return endings[max(fitting, key=len)]


def write_volume(volume: Volume, path: Path | str) -> None:
    """Write a scan's HU as they are, int16 or float32; the ending chooses the format."""
    write(volume, path)


def write_mask(mask: np.ndarray, grid: Grid, path: Path | str) -> None:
    """Write an (i, j, k) bool mask as uint8 0 and 1, marked as labels."""
    nifti.write_mask(mask, grid, _target(path))


def write_structure(segmentation: Segmentation, name: str, path: Path | str) -> int:
    """Write one structure of a segmentation as `write_mask` does, and return its number of voxels.

    Its mask is made slice by slice and never held.
    """
    place = segmentation.places[name]
    return nifti.write_structure(segmentation.layers[place.layer], place.value, segmentation.grid, _target(path))


def write_labels(labels: np.ndarray, grid: Grid, path: Path | str) -> None:
    """Write an (i, j, k) uint8 or uint16 label map, marked as labels."""
    nifti.write_labels(labels, grid, _target(path))


def write_array_uint8(array: np.ndarray, grid: Grid, path: Path | str) -> None:
    """Write an (i, j, k) uint8 map that is no label map, such as probabilities times 255."""
    nifti.write_array_uint8(array, grid, _target(path))


def _target(path: Path | str) -> Path:
    """Return the path, or refuse an ending that is not of NIfTI."""
    target = Path(path)
    if not target.name.lower().endswith((".nii.gz", ".nii")):
        raise OutputError(f"{target}: unknown ending; expected .nii.gz or .nii.")
    return target
