"""Small real sources: a torso with noise of its own for each case, and labels of it as datasets number them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ctatlas.atlas import Atlas, AtlasConfig
from ctatlas.atlas.add import (
    Added,
    Ask,
    Listing,
    Wish,
    add_cases,
    clear_stages,
    known_to,
    listed,
    plan,
    write_datasets,
)
from ctatlas.atlas.shards import Shard
from ctatlas.volume import Grid, Volume, write_labels, write_mask, write_volume
from ctatlas.volume.deidentify import Key
from tests.support_scans import LIVER, SPLEEN, box_mask, torso

KEY = Key(bytes(range(32)))


def scan(number: int = 0) -> Volume:
    """Return a torso; no two numbers have the same voxels."""
    return torso(seed=number)


def write_scan(path: Path, number: int = 0, code: str = "RAS") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(scan(number).reoriented(code), path)
    return path


def write_numbers(path: Path, numbers: dict[str, int], grid: Grid | None = None) -> Path:
    """Write a label map: `numbers` of the liver and the spleen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = np.zeros(scan().grid.shape, np.uint8, order="F")
    for name, box in (("liver", LIVER), ("spleen", SPLEEN)):
        labels[box_mask(box)] = numbers.get(name, 0)
    write_labels(labels, grid or scan().grid, path)
    return path


def write_masks(folder: Path, **masks: tuple[tuple[int, int], ...] | None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, box in masks.items():
        mask = box_mask(box) if box else np.zeros(scan().grid.shape, bool)
        write_mask(mask, scan().grid, folder / f"{name}.nii.gz")
    return folder


def write_nnunet(folder: Path, cases: Sequence[str] = ("case_1", "case_2"), **description: object) -> Path:
    for number, name in enumerate(cases):
        write_scan(folder / "imagesTr" / f"{name}_0000.nii.gz", number)
        write_numbers(folder / "labelsTr" / f"{name}.nii.gz", {"liver": 1, "spleen": 2})
    write_scan(folder / "imagesTs" / "case_9_0000.nii.gz", 9)
    content = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1, "spleen": 2},
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content | description))
    return folder


def write_msd(folder: Path, **description: object) -> Path:
    """Write a task of the Decathlon with one training case, one test case, and what macOS leaves beside them."""
    write_scan(folder / "imagesTr" / "spleen_2.nii.gz", 2)
    write_scan(folder / "imagesTs" / "spleen_7.nii.gz", 7)
    write_numbers(folder / "labelsTr" / "spleen_2.nii.gz", {"spleen": 1})
    (folder / "imagesTr" / "._spleen_2.nii.gz").write_bytes(b"\0\5\x16\7")
    content = {
        "name": "Spleen",
        "reference": "A clinic",
        "licence": "CC-BY-SA 4.0",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "spleen"},
        "training": [{"image": "./imagesTr/spleen_2.nii.gz", "label": "./labelsTr/spleen_2.nii.gz"}],
        "test": ["./imagesTs/spleen_7.nii.gz"],
    }
    (folder / "dataset.json").write_text(json.dumps(content | description))
    return folder


def new_atlas(folder: Path) -> Atlas:
    return Atlas.create(folder, AtlasConfig(name="test"))


def added_to(
    atlas: Atlas,
    source: Path,
    layout: str | None = None,
    ask: Ask | None = None,
    wish: Wish | None = None,
    *,
    shard: str | None = None,
) -> list[Added]:
    """Add a source as the command does."""
    known = known_to(atlas, from_files=shard is not None)
    planned = plan(atlas, listed(source, ask or Ask(), layout), known, KEY, shard=Shard.of(shard) if shard else None)
    if shard is None:
        clear_stages(atlas)
    wish = wish or Wish()
    added = list(add_cases(atlas, planned, known, KEY, wish=wish))
    write_datasets(atlas, planned, added, wish)
    atlas.synchronise()
    return added


def names(listing: Listing) -> list[str]:
    return [one.name for one in listing.found]
