"""A phantom case as a folder: scan, truth, record."""

from __future__ import annotations

import json
from pathlib import Path

from ctatlas.synthesis.cases import PhantomCase, structure_ids
from ctatlas.synthesis.numbered import numbered_bones
from ctatlas.volume import Segmentation, write_labels, write_volume

FILES = (
    "ct.nii.gz",
    "combined_labels.nii.gz",
    "labels.json",
    "numbered_bones.nii.gz",
    "numbered_bones.json",
    "phantom.json",
)


def write_case(case: PhantomCase, folder: Path) -> None:
    """Write `FILES` into an existing folder.

    `combined_labels.nii.gz` holds the spine and the rib cage as one structure each, as `labels.json` says;
    `numbered_bones.nii.gz` holds the same voxels as single vertebrae and ribs.
    """
    write_volume(case.volume, folder / "ct.nii.gz")
    names = {name: n for n, name in structure_ids()[1].items()}
    _write_labels(case.truth, names, folder / "combined_labels.nii.gz", folder / "labels.json")
    bones = Segmentation.from_masks(case.truth.grid, numbered_bones(case))
    numbers = {name: n for n, name in enumerate(bones.names, start=1)}
    _write_labels(bones, numbers, folder / "numbered_bones.nii.gz", folder / "numbered_bones.json")
    (folder / "phantom.json").write_text(json.dumps(case.plan.record()) + "\n")


def _write_labels(found: Segmentation, ids: dict[str, int], file: Path, names: Path) -> None:
    write_labels(found.combined(ids), found.grid, file)
    names.write_text(json.dumps({str(n): name for name, n in ids.items()}, indent=1) + "\n")
