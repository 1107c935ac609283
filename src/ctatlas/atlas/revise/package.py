"""What an annotator gets for one case: which files, and the record of what they showed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ctatlas.atlas.records import GridRecord, Record, read_record

MANIFEST = "package.json"
CT = "ct.nii.gz"
MASKS = "masks.seg.nrrd"
SEGMENTATIONS = "segmentations"
LABELS = "labels.nii.gz"
NAMES = "labels.json"
SNAP = "itksnap_labels.txt"
ATTENTION = "attention"
SCENE = "scene.mrml"
POINTS = "hotspots.mrk.json"
HOT_SPOTS = "hotspots"  # .json, .csv, .txt
README = "README.txt"


class ShownMask(Record):
    """A mask as it was given out: the hash of its voxels, whatever file they come back in."""

    voxels_sha256: str
    n_voxels: int


class PackageRecord(Record):
    """`package.json`: what was given to an annotator.

    Attributes
    ----------
    ct_sha256 : str
        Of the atlas's scan, by which a package finds its case.
    state : str
        A hash of the masks that the atlas had then.
    masks : mapping of str to ShownMask
    labels : ShownMask
        The label map, of all structures at once.
    files : mapping of str to str
        Their hashes: a file that still has its own was not edited.
    """

    format: int = 1
    case: str
    atlas: str
    label_set: str
    ct_sha256: str
    grid: GridRecord
    state: str
    masks: dict[str, ShownMask]
    labels: ShownMask
    files: dict[str, str]


def package_in(folder: Path) -> PackageRecord | None:
    """Read the record of a package; None where the folder is none.

    Raises
    ------
    AtlasError
        When it is damaged.
    """
    path = folder / MANIFEST
    return read_record(PackageRecord, path) if path.is_file() else None


def shown(voxels: np.ndarray) -> ShownMask:
    """Describe an (i, j, k) bool mask or label map by its voxels, in Fortran order."""
    flat = voxels.reshape(-1, order="F")
    content = np.packbits(flat) if voxels.dtype == np.bool_ else flat
    return ShownMask(voxels_sha256=hashlib.sha256(content.data).hexdigest(), n_voxels=int(np.count_nonzero(voxels)))
