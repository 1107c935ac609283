"""Case folders made by hand through the records: a small oblique anisotropic grid, masks that are boxes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ctatlas.anatomy import label_set
from ctatlas.atlas import Atlas, AtlasConfig
from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.records import CaseRecord, GridRecord, MaskRecord, OriginalRecord, write_record
from ctatlas.execution import result_folder
from ctatlas.hashing import sha256_file
from ctatlas.volume import Grid, Volume, write_array_uint8, write_labels, write_mask, write_volume
from tests.volume.strategies import oblique_grid

GRID = oblique_grid("LPS", shape=(13, 11, 9))
Ends = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


def box(*ends: tuple[int, int], grid: Grid = GRID) -> np.ndarray:
    """Return the voxels of a box, (i, j, k) bool; axes that are left out are whole."""
    mask = np.zeros(grid.shape, bool, order="F")
    mask[tuple(slice(*pair) for pair in ends)] = True
    return mask


def new_atlas(folder: Path, **config: object) -> Atlas:
    """Make an empty atlas."""
    return Atlas.create(folder, AtlasConfig.model_validate({"name": "test", **config}))


def new_case(atlas: Atlas, case: str = "one", grid: Grid = GRID) -> CasePlace:
    """Add a scan of noise."""
    place = atlas.place.case(case)
    place.folder.mkdir(parents=True)
    noise = np.random.default_rng(len(case)).integers(-100, 200, grid.shape, np.int16)
    write_volume(Volume(np.asfortranarray(noise), grid), place.ct)
    record = CaseRecord(
        case=case,
        dataset="made",
        dataset_case=case,
        grid=GridRecord.of(grid),
        ct_sha256=sha256_file(place.ct),
        voxels_sha256=sha256_file(place.ct),
    )
    write_record(record, place.record)
    return place


def add_original(
    place: CasePlace,
    masks: Mapping[str, np.ndarray],
    annotated: Sequence[str] = (),
    *,
    grid: Grid = GRID,
    set_name: str | None = "btcv",
) -> None:
    """Let masks come with the scan; what is annotated and has none is empty, and known to be absent."""
    all_masks = {name: masks.get(name, np.zeros(grid.shape, bool)) for name in dict.fromkeys([*masks, *annotated])}
    place.original.mkdir()
    for name, mask in all_masks.items():
        write_mask(mask, grid, place.original / f"{name}.nii.gz")
    records = {name: record_of(mask, place.original / f"{name}.nii.gz", grid) for name, mask in all_masks.items()}
    native = {name: number for number, name in enumerate(all_masks, start=1)}
    original = OriginalRecord(label_set=set_name, native_ids=native, annotated=tuple(all_masks), masks=records)
    write_record(original, place.original / "labels.json")


def add_prediction(
    place: CasePlace,
    member: str,
    masks: Mapping[str, np.ndarray],
    probabilities: Mapping[str, np.ndarray] | None = None,
    *,
    grid: Grid = GRID,
    coarse: Grid | None = None,
    set_name: str = "abdomenatlas-1.1",
) -> None:
    """Let a member predict: ids on the scan's grid, later ones winning, and uint8 probabilities on a grid of its own.

    Without `coarse` that grid is the scan's.
    """
    ids = {name: number for number, name in sorted(label_set(set_name).labels.items()) if name in masks}
    labels = np.zeros(grid.shape, np.uint8, order="F")
    for name, number in ids.items():
        labels[masks[name]] = number
    record: dict[str, object] = {"case": place.case, "key": f"key of {member}", "step": "predict", "step_version": 1}
    with result_folder(place.prediction(member), record) as folder:
        write_labels(labels, grid, folder / "labels.nii.gz")
        (folder / "labels.json").write_text(json.dumps({str(number): name for name, number in ids.items()}))
        if probabilities is not None:
            (folder / "probabilities").mkdir()
            for name, values in probabilities.items():
                write_array_uint8(values, coarse or grid, folder / "probabilities" / f"{name}.nii.gz")
        counts = {name: int((labels == number).sum()) for name, number in ids.items()}
        record["summary"] = {
            "masks": {
                name: {"sha256": f"{number}", "volume_ml": counts[name] * grid.voxel_ml, "n_voxels": counts[name]}
                for name, number in ids.items()
            }
        }


def record_of(mask: np.ndarray, path: Path, grid: Grid = GRID) -> MaskRecord:
    """Describe a mask's file."""
    n_voxels = int(np.count_nonzero(mask))
    return MaskRecord(sha256=sha256_file(path), volume_ml=n_voxels * grid.voxel_ml, n_voxels=n_voxels)


def everything_in(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder and its bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
