"""What an annotator gives back: masks from files of any tool, under the atlas's names, on the scan's grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ctatlas.anatomy import LabelSet, canonical_name, label_set, read_label_set, structure_called
from ctatlas.atlas.revise import package
from ctatlas.errors import ModelError, ScanError
from ctatlas.volume import Grid, Segmentation, read_segmentation, segmentation_kind
from ctatlas.volume.formats.label_map import ids_in, read_label_map
from ctatlas.volume.reading_masks import on_grid

REVISED = "_revised"  # Source: the published pipeline's name of what annotators put beside a mask
_ENDINGS = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")
_MASKS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
_LABEL_MAPS = ("labels", "combined_labels", "pseudo_label", "segmentation")
_NO_MASKS = ("ct",)
_FOLDERS = (".", package.SEGMENTATIONS)


@dataclass(frozen=True, slots=True)
class Returned:
    """The masks of one file.

    Attributes
    ----------
    path : Path
    masks : Segmentation
        Canonical names, on the scan's grid.
    is_label_map : bool
        Whether the file has room for one structure a voxel alone.
    """

    path: Path
    masks: Segmentation
    is_label_map: bool = False


def files_with_masks(path: Path) -> list[Path]:
    """List the files of a folder that may hold masks, or a file alone.

    Of a folder with files `<structure>_revised.*` only those count beside files that hold many structures: the others
    are what the annotator was shown.

    Raises
    ------
    ScanError
        When nothing lies there, or no masks.
    """
    try:
        if path.is_file():
            return [path]
        folders = [path / name for name in _FOLDERS if (path / name).is_dir()]
        found = sorted(file for folder in folders for file in folder.iterdir() if file.is_file() and _may_hold(file))
        nothing_there = not path.exists()
    except OSError as error:
        raise ScanError(f"{path}: can't be read ({error.strerror})") from None
    if nothing_there:
        raise ScanError(f"{path}: there is no such file or folder")
    if not found:
        raise ScanError(
            f"{path}: holds no masks; expected <structure>.nii.gz, <structure>{REVISED}.nii.gz, .seg.nrrd or DICOM SEG"
        )
    revised = [file for file in found if stem(file).endswith(REVISED)]
    return [file for file in found if not revised or file in revised or not _is_of_one_structure(file)]


def read_returned(path: Path, grid: Grid, set_name: str) -> Returned:
    """Read the masks of one file.

    Parameters
    ----------
    path : Path
    grid : Grid
        Of the scan; the masks must have its voxels, in any order of the axes.
    set_name : str
        The atlas's label set: its spellings are understood, and structures that it lacks are refused.

    Raises
    ------
    ScanError
        In one line: what cannot be read, lies on another grid, holds other values than a mask's, or a name that is no
        structure of the atlas.
    """
    names = label_set(set_name)
    kind = segmentation_kind(path) or ("labels" if path.name.lower().endswith(_MASKS) else "")
    if kind != "labels":
        masks = read_segmentation(path, grid)
        return Returned(path, _named(masks, names, path))
    structure = structure_called(_plain_name(path))
    if structure is None and stem(path).casefold() not in _LABEL_MAPS and not path.with_name(package.NAMES).is_file():
        raise ScanError(f"{path.name}: {_unknown(_plain_name(path))}; rename the file to <structure>.nii.gz")
    if structure is not None:
        return Returned(path, _named(one_mask(path, structure, grid), names, path))
    found = read_label_map(path)
    beside = path.with_name(package.NAMES)
    by_id = (read_label_set(beside) if beside.is_file() else names).labels
    if strangers := [number for number in ids_in(found.labels) if number not in by_id]:
        raise ScanError(f"{path.name}: holds label {strangers[0]}, which has no name in labels.json or {set_name}")
    masks = on_grid(Segmentation.from_labels(found.grid, found.labels, by_id), grid, path.name)
    return Returned(path, _named(masks, names, path), is_label_map=True)


def stem(path: Path) -> str:
    """Return a file's name without the ending of its format."""
    ending = next((end for end in _ENDINGS if path.name.lower().endswith(end)), path.suffix)
    return path.name[: len(path.name) - len(ending)]


def _plain_name(path: Path) -> str:
    return stem(path).removesuffix(REVISED)


def _may_hold(file: Path) -> bool:
    hidden = file.name.startswith(".")
    return not hidden and file.name.lower().endswith(_ENDINGS) and stem(file).casefold() not in _NO_MASKS


def _is_of_one_structure(file: Path) -> bool:
    if file.name.lower().endswith(".seg.nrrd") or not file.name.lower().endswith(_MASKS):
        return False
    return stem(file).casefold() not in _LABEL_MAPS


def one_mask(path: Path, structure: str, grid: Grid) -> Segmentation:
    """Read the mask of one structure, on a scan's grid.

    Raises
    ------
    ScanError
        When it can't be read, lies on another grid, or holds several numbers.
    """
    found = read_label_map(path)
    values = ids_in(found.labels)
    if len(values) > 1:
        said = ", ".join(map(str, values[:4]))
        raise ScanError(f"{path.name}: holds labels {said}; expected a mask of {structure}: 0 and one other value")
    masks = Segmentation.from_labels(found.grid, found.labels, {values[0] if values else 1: structure})
    return on_grid(masks, grid, path.name)


def _named(masks: Segmentation, names: LabelSet, path: Path) -> Segmentation:
    """Return masks under canonical names; refuse what the atlas does not have."""
    spelled = {native: names.labels[number] for number, native in names.native_names.items() if number in names.labels}
    renamed: dict[str, str] = {}
    for name in masks.names:
        structure = spelled.get(name) or structure_called(name)
        if structure is None:
            raise ScanError(f"{path.name}: {_unknown(name)}; rename or delete it")
        if structure not in names.labels.values():
            raise ScanError(f"{path.name}: holds {structure}, which the atlas's {names.name} does not have; delete it")
        if structure in renamed.values():
            raise ScanError(f"{path.name}: holds {structure} twice; keep one")
        renamed[name] = structure
    return masks.rename(renamed)


def _unknown(name: str) -> str:
    """Say that a name is no structure's, and which are near."""
    try:
        return canonical_name(name)
    except ModelError as error:
        return str(error)
