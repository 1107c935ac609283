"""Labels that came with a scan → one mask a structure that their dataset annotates, absent ones too."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctatlas.anatomy import LabelSet, label_set, structure_called
from ctatlas.atlas.add.body import coarse_body, repeated
from ctatlas.atlas.records import MaskRecord, OriginalRecord, write_record
from ctatlas.errors import ScanError
from ctatlas.hashing import sha256_file
from ctatlas.volume import Grid, Segmentation, Volume, read_segmentation, segmentation_kind, write_mask
from ctatlas.volume.formats.label_map import read_label_map
from ctatlas.volume.reading_masks import on_grid

_NAMED = 5  # values that a refusal names


def originals_of(
    labels: Path, scan: Volume, set_name: str, *, left_out: tuple[int, ...] = (), ignore_unknown: bool = False
) -> tuple[Segmentation, dict[str, int], tuple[str, ...]]:
    """Read the labels of a scan.

    Parameters
    ----------
    labels : Path
        A label map, a folder of masks, or any segmentation that names its structures.
    scan : Volume
        Labels that lie elsewhere are refused; what holds both sides is parted at the middle of its body.
    set_name : str
        Whose numbers or spellings.
    left_out : tuple of int
        Numbers that may occur and are passed over without a word.
    ignore_unknown : bool
        Whether other numbers that the set does not have are passed over with a remark, instead of refused.

    Returns
    -------
    masks : Segmentation
        All that is annotated, by canonical name, empty where absent.
    native_ids : dict of str to int
        The dataset's names and numbers.
    remarks : tuple of str

    Raises
    ------
    ScanError
        When they can't be read, lie on another grid, or hold a number that nobody can tell the meaning of.
    """
    if segmentation_kind(labels) == "labels":
        return _of_numbers(labels, scan, label_set(set_name), left_out, ignore_unknown=ignore_unknown)
    return _of_names(labels, scan.grid, label_set(set_name))


def write_originals(
    masks: Segmentation, folder: Path, *, label_set_name: str | None, native_ids: dict[str, int]
) -> OriginalRecord:
    """Write `<structure>.nii.gz` for each mask, and `labels.json`."""
    folder.mkdir()
    records = {}
    for name, mask in masks.items():
        path = folder / f"{name}.nii.gz"
        write_mask(mask, masks.grid, path)
        n_voxels = int(np.count_nonzero(mask))
        volume_ml = round(n_voxels * masks.grid.voxel_ml, 6)
        records[name] = MaskRecord(sha256=sha256_file(path), volume_ml=volume_ml, n_voxels=n_voxels)
    record = OriginalRecord(label_set=label_set_name, native_ids=native_ids, annotated=masks.names, masks=records)
    write_record(record, folder / "labels.json")
    return record


def _of_numbers(
    path: Path, scan: Volume, chosen: LabelSet, left_out: tuple[int, ...], *, ignore_unknown: bool
) -> tuple[Segmentation, dict[str, int], tuple[str, ...]]:
    from ctatlas.anatomy_rules import annotated_structures  # heavy, and of no use to who finds nothing new

    found = read_label_map(path)
    on_grid(Segmentation(found.grid), scan.grid, path.name)  # refuses another grid before anything is made
    unknown = sorted(_values(found.labels) - {0, *chosen.labels, *left_out})
    remarks: tuple[str, ...] = ()
    if unknown:
        what = f"holds number {', '.join(map(str, unknown[:_NAMED]))}, which label set {chosen.name} does not have"
        if not ignore_unknown:
            raise ScanError(f"{path.name}: {what}; name the right --label-set, or --ignore-unknown-labels")
        remarks = (f"its labels' {what}: passed over",)
    body = _body(scan).reoriented(found.grid.orientation) if chosen.split else None
    masks = annotated_structures(found.labels, found.grid, chosen, landmarks=body)
    native = {chosen.native_names[number]: number for number in chosen.labels}
    return on_grid(masks, scan.grid, path.name), native, remarks


def _of_names(path: Path, grid: Grid, chosen: LabelSet) -> tuple[Segmentation, dict[str, int], tuple[str, ...]]:
    found = read_segmentation(path, grid)
    canonical = {chosen.native_names[number]: name for number, name in chosen.labels.items()}
    meant = {name: canonical.get(name) or structure_called(name) for name in found.names}
    known = {name: structure for name, structure in meant.items() if structure}
    if not known:
        raise ScanError(f"{path.name}: none of its {len(meant)} masks is called like a structure")
    if len(set(known.values())) < len(known):
        raise ScanError(f"{path.name}: two of its masks are of one structure, under different spellings")
    lost = [name for name, structure in meant.items() if not structure]
    more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
    remarks = (f"masks that no structure is called after are passed over: {', '.join(lost[:_NAMED])}{more}",)
    numbers = {native: number for number, native in chosen.native_names.items()}
    native_ids = {name: numbers[name] for name in known if name in numbers}
    return found.select(known).rename(known), native_ids, remarks if lost else ()


def _body(scan: Volume) -> Segmentation:
    """Return the body inside its skin: its middle tells left from right."""
    upright = scan.reoriented("RAS")
    coarse, steps = coarse_body(upright)
    body = np.asfortranarray(repeated(coarse, steps, upright.grid.shape))
    return Segmentation.from_masks(upright.grid, {"body": body})


def _values(labels: np.ndarray) -> set[int]:
    """Return the numbers that occur, slab by slab: indexing widens what it looks up."""
    occurs = np.zeros(2**16, bool)
    for k in range(labels.shape[2]):
        occurs[labels[:, :, k]] = True
    return {int(number) for number in np.flatnonzero(occurs)}
