"""Which cases a place holds, and where each one's masks lie. Looks at names and headers only, never at a voxel."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from ctatlas.anatomy import structure_called
from ctatlas.errors import ScanError
from ctatlas.volume import segmentation_kind
from ctatlas.volume.formats.mask_folder import mask_files
from ctatlas.volume.listing import CASE_FILES, stem

ASSEMBLED, ORIGINAL = "assembled", "original"
_LABEL_FOLDERS = ("labelsTr", "labelsTs")
_DESCRIPTION = "dataset.json"
_COMBINED = ("combined_labels.nii.gz", "labels.nii.gz", "segmentation.nii.gz", "label.nii.gz", "mask.nii.gz")
_IMAGES = (*CASE_FILES, "imaging.nii.gz", "image.nii.gz")  # scans that lie beside masks. Source: KiTS for "imaging"
_IMAGE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
_NAMED_ONCE = (".seg.nrrd", ".seg.dcm", ".rtstruct.dcm")  # our own names for segmentation objects
_NO_IMAGES = (".csv", ".html", ".json", ".log", ".md", ".parquet", ".pdf", ".png", ".svg", ".toml", ".txt", ".yaml")
_COUNTED = re.compile(r"[a-z]\d{1,2}")  # how people number cases
_AT_MOST_DICOM = 5000  # files of a case that are looked at
_AT_MOST_JSON = 2**26


@dataclass(frozen=True, slots=True)
class CaseMasks:
    """Where the masks of one case lie.

    Attributes
    ----------
    case : str
        Its id: the name of its folder, or of its file without the ending.
    path : Path
        A file or a folder of masks.
    label_set : str or None
        Whose names or numbers they have, a label set's name or a JSON file, as far as the layout tells.
    annotated : tuple of str or None
        The structures that somebody looked for, where a record tells; None when the masks themselves tell. Of a
        prediction it has no say.
    ct : Path or None
        The scan, where it lies beside them.
    fault : str
        Why there are no masks after all; empty when there are.
    """

    case: str
    path: Path
    label_set: str | None = None
    annotated: tuple[str, ...] | None = None
    ct: Path | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """The cases of a place in the order of their ids; `is_one` when the place itself is a case."""

    cases: tuple[CaseMasks, ...]
    layout: str
    is_one: bool = False

    def case(self, name: str) -> CaseMasks | None:
        """Return a case by its id."""
        return next((each for each in self.cases if each.case == name), None)


def masks_in(place: Path, of: str = "") -> Listing:
    """List the cases of a file or folder.

    Parameters
    ----------
    place : Path
        A segmentation's file; a folder with one case's masks; or a folder of many: case folders, label maps named after
        their cases, nnU-Net's data or predictions, an atlas.
    of : str, optional
        In an atlas whose masks: "assembled" (the default), "original", or a model's name.

    Raises
    ------
    ScanError
        When nothing lies there that could hold masks.
    """
    if of and not _is_atlas(place):
        raise ScanError(f"{place}: is no atlas, so that it has no choice of masks; leave out {of!r}.")
    try:
        if found := _listed(place, of):
            return found
        inside = [below for folder in _visible(place)[1] if (below := _listed(folder, of))]
    except OSError as error:
        raise ScanError(f"{error.filename or place}: cannot be read: {error.strerror or error}.") from error
    if len(inside) == 1:  # a folder around all, as downloads and releases have it
        return inside[0]
    raise ScanError(
        f"{place}: holds no masks; expected case folders with segmentations/<structure>.nii.gz, label maps named after "
        "their cases, DICOM SEG or .seg.nrrd files, nnU-Net's labels, or an atlas."
    )


def _listed(place: Path, of: str) -> Listing | None:
    for layout, find in _LAYOUTS.items():
        if (found := find(place, of)) is not None:
            return Listing(_each_once(found), layout, is_one=layout in ("file", "masks of one case"))
    return None


def _each_once(found: list[CaseMasks]) -> tuple[CaseMasks, ...]:
    """Return the cases by name; one that several files are of is none that could be read without guessing."""
    of_case: dict[str, list[CaseMasks]] = {}
    for each in found:
        of_case.setdefault(each.case, []).append(each)
    return tuple(several[0] if len(several) == 1 else _ambiguous(several) for _, several in sorted(of_case.items()))


def _ambiguous(several: list[CaseMasks]) -> CaseMasks:
    names = ", ".join(each.path.name for each in several)
    return replace(several[0], fault=f"several files are of it: {names}")


def _file(place: Path, of: str) -> list[CaseMasks] | None:  # noqa: ARG001 - every layout's
    if not place.is_file():
        return None
    if not segmentation_kind(place):
        raise ScanError(f"{place.name}: holds no segmentation.")
    return [CaseMasks(_name_of(place), place, _names_beside(place.parent))]


def _atlas(place: Path, of: str) -> list[CaseMasks] | None:
    """List an atlas's cases; what only a model says is no reference, so that `annotated` leaves it out."""
    if not _is_atlas(place):
        return None
    folders = sorted(record.parent for record in (place / "cases").glob("*/case.json"))
    return [_of_atlas(folder, of or ASSEMBLED) for folder in folders]


def _is_atlas(place: Path) -> bool:
    return (place / "atlas.toml").is_file()


def _of_atlas(folder: Path, of: str) -> CaseMasks:
    ct = folder / "ct.nii.gz"
    if of == ASSEMBLED:
        masks = _json(folder / of / "provenance.json").get("masks")
        known = cast("dict[str, dict[str, str]]", masks if isinstance(masks, dict) else {})
        annotated = tuple(name for name, mask in known.items() if mask.get("source") != "pseudo")
        found = CaseMasks(folder.name, folder / of / "segmentations", annotated=annotated, ct=ct)
    elif of == ORIGINAL:
        told = _json(folder / of / "labels.json").get("annotated")
        found = CaseMasks(folder.name, folder / of, annotated=tuple(told) if isinstance(told, list) else (), ct=ct)
    else:
        found = CaseMasks(folder.name, folder / "predictions" / of.replace("/", "__") / "labels.nii.gz", ct=ct)
    return found if found.path.exists() else replace(found, fault=f"has no masks of {of!r}")


def _nnunet_data(place: Path, of: str) -> list[CaseMasks] | None:
    """List the labelled cases of nnU-Net's raw data or of the Decathlon. Source: nnU-Net v2, dataset format."""
    folders = [place / name for name in _LABEL_FOLDERS if (place / name).is_dir()]
    if not folders:
        return None
    found = [each for folder in folders for each in _files_of(folder, of) or ()]
    return [replace(each, ct=_channel(place, each.path)) for each in found] or None


def _channel(place: Path, labels: Path) -> Path | None:
    ending = labels.name[len(stem(labels.name)) :]
    images = place / labels.parent.name.replace("labels", "images")
    names = (f"{stem(labels.name)}_0000{ending}", labels.name)
    return next((images / name for name in names if (images / name).is_file()), None)


def _one_case(place: Path, of: str) -> list[CaseMasks] | None:  # noqa: ARG001 - every layout's
    if not place.is_dir() or not _is_one_case(place):
        return None
    masks = masks_of_case(place)
    return None if masks is None else [_with_scan(place, masks)]


def _is_one_case(folder: Path) -> bool:
    """Tell a case's own folder from one with a label map or a folder for each of many cases."""
    if (folder / "segmentations").is_dir() or any((folder / name).is_file() for name in _COMBINED[:1]):
        return True
    if any((folder / name).is_file() for name in _IMAGES):
        return True
    files, folders = _visible(folder)
    images = [file for file in files if file.name.lower().endswith(_IMAGE_ENDINGS)]
    structures = [file for file in images if _names_a_structure(stem(file.name))]
    if structures:
        return 2 * len(structures) >= len(images)
    objects = [file for file in files if segmentation_kind(file) in ("dicom-seg", "rtstruct")]
    is_series = not images and len(objects) == 1 < len(files)  # a DICOM folder with the scan's images, too
    return not folders and is_series


def _names_a_structure(name: str) -> bool:
    """Tell masks from cases by their names: "C1" is a vertebra, "c1" rather the first case."""
    return structure_called(name) is not None and not _COUNTED.fullmatch(name)


def _files_of(place: Path, of: str) -> list[CaseMasks] | None:  # noqa: ARG001 - every layout's
    """List a folder of one file a case."""
    if not place.is_dir():
        return None
    files, _ = _visible(place)
    named = [file for file in files if file.name.lower().endswith((*_IMAGE_ENDINGS, ".dcm"))]
    names = _names_beside(place)
    return [_of_file(file, names) for file in named] or None


def _of_file(file: Path, names: str | None) -> CaseMasks:
    try:
        fault = "" if segmentation_kind(file) else "holds no segmentation"
    except ScanError as error:
        fault = str(error)
    return CaseMasks(_name_of(file), file, names, fault=fault)


def _case_folders(place: Path, of: str) -> list[CaseMasks] | None:  # noqa: ARG001 - every layout's
    if not place.is_dir():
        return None
    _, folders = _visible(place)
    found = []
    for folder in folders:
        if _is_beside(folder):
            continue
        masks = masks_of_case(folder)
        missing = CaseMasks(folder.name, folder, fault="its folder holds no masks")
        found.append(missing if masks is None else _with_scan(folder, masks))
    return found if any(not each.fault for each in found) else None


def _is_beside(folder: Path) -> bool:
    """Tell a folder of tables or texts, which no case would be."""
    files, folders = _visible(folder)
    return bool(files) and not folders and all(file.suffix.lower() in _NO_IMAGES for file in files)


def masks_of_case(folder: Path) -> Path | None:
    """Return what of a case's folder holds its masks: a folder of masks before a file of labels before DICOM."""
    if mask_files_in(folder / "segmentations"):
        return folder / "segmentations"
    files, folders = _visible(folder)
    by_name = {file.name.lower(): file for file in files}
    if combined := next((by_name[name] for name in _COMBINED if name in by_name), None):
        return combined
    objects = [file for file in files if file.name.lower().endswith(_NAMED_ONCE)]
    if len(objects) == 1:
        return objects[0]
    masks = [file for file in mask_files_in(folder).values() if file.name.lower() not in _IMAGES]
    if masks:
        return masks[0] if len(masks) == 1 and not structure_called(stem(masks[0].name)) else folder
    if len(folders) == 1 and not files:
        return masks_of_case(folders[0])
    return next(_objects(folder), None)


def mask_files_in(folder: Path) -> dict[str, Path]:
    """Return name -> file of a folder's own masks."""
    files = mask_files(folder) if folder.is_dir() else {}
    return {name: file for name, file in files.items() if file.parent == folder}


def _objects(folder: Path) -> Iterator[Path]:
    """Yield the DICOM SEG and RTSTRUCT files of a case, SEG first."""
    files = [file for file in sorted(folder.rglob("*"))[:_AT_MOST_DICOM] if file.is_file() and file.name[0] != "."]
    kinds = [(segmentation_kind(file), file) for file in files if file.suffix.lower() in ("", ".dcm", ".ima")]
    for wanted in ("dicom-seg", "rtstruct"):
        yield from (file for kind, file in kinds if kind == wanted)


def _with_scan(folder: Path, masks: Path) -> CaseMasks:
    ct = next((folder / name for name in _IMAGES if (folder / name).is_file()), None)
    if ct is None and masks.is_file() and segmentation_kind(masks) in ("dicom-seg", "rtstruct"):
        others = [file for file in masks.parent.iterdir() if file.is_file() and file != masks]
        ct = masks.parent if others else None
    return CaseMasks(folder.resolve().name, masks, ct=ct)


def _names_beside(folder: Path) -> str | None:
    """Return the file that names the numbers of a folder's label maps."""
    places = [folder / _DESCRIPTION, folder / "labels.json"]
    if folder.name.startswith("labels"):  # nnU-Net's labelsTr
        places.append(folder.parent / _DESCRIPTION)
    return next((str(file) for file in places if file.is_file()), None)


def _name_of(file: Path) -> str:
    return stem(file.name) or file.name


def _visible(folder: Path) -> tuple[list[Path], list[Path]]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return [entry for entry in entries if entry.is_file()], [entry for entry in entries if entry.is_dir()]


def _json(path: Path) -> dict[str, Any]:
    """Read a record of an atlas; one that is missing or broken says nothing."""
    try:
        if path.stat().st_size > _AT_MOST_JSON:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


# In this order: the first that finds something tells what a place is
_LAYOUTS: dict[str, Callable[[Path, str], list[CaseMasks] | None]] = {
    "file": _file,
    "atlas": _atlas,
    "nnU-Net data": _nnunet_data,
    "masks of one case": _one_case,
    "a file for each case": _files_of,
    "a folder for each case": _case_folders,
}
