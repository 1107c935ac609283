"""One file of ids for many structures, with the names beside it in `<name>.labels.json` or `labels.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import cast

import numpy as np

from ctatlas.anatomy import label_set
from ctatlas.atomic import whole_file
from ctatlas.errors import OutputError, ScanError
from ctatlas.volume.choices import MaskChoices
from ctatlas.volume.formats import nifti
from ctatlas.volume.formats.recognise import kind_of
from ctatlas.volume.formats.voxels import LabelMap
from ctatlas.volume.limits import AT_MOST_TEXT_HEADER_BYTES
from ctatlas.volume.segmentation import Segmentation

LABEL_READERS = {
    "metaimage": "ctatlas.volume.formats.metaimage:read_labels",
    "nifti": "ctatlas.volume.formats.nifti:read_labels",
    "nrrd": "ctatlas.volume.formats.nrrd:read_labels",
}
_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
_NAMED = 5  # ids that a refusal names


def read(path: Path, choices: MaskChoices) -> Segmentation:
    """Read a label map; its names come from the file beside it, else from a label set, else are `label_<id>`.

    Raises
    ------
    ScanError
        When it is broken, holds something else than labels, or an id without a name.
    """
    found = read_label_map(path)
    present = ids_in(found.labels)
    names = _names(path, choices)
    if names is None:
        names = {identity: f"label_{identity}" for identity in present}
    if unknown := [identity for identity in present if identity not in names]:
        more = "" if len(unknown) <= _NAMED else f" and {len(unknown) - _NAMED} more"
        raise ScanError(
            f"{path.name}: holds label {', '.join(map(str, unknown[:_NAMED]))}{more}, which has no name in its "
            "labels.json or label set; add the name, or choose the right --label-set."
        )
    return Segmentation.from_labels(found.grid, found.labels, names)


def read_label_map(path: Path) -> LabelMap:
    """Read ids on a grid from a file of any format that can hold them.

    Raises
    ------
    ScanError
        When it is broken, of another format, or holds something else than whole numbers within 0..65535.
    """
    kind = kind_of(path)
    if kind not in LABEL_READERS:
        raise ScanError(f"{path.name}: is no label map; expected NIfTI, NRRD or MetaImage.")
    module, _, function = LABEL_READERS[kind].partition(":")
    return cast("LabelMap", getattr(import_module(module), function)(path))


def write(segmentation: Segmentation, path: Path, choices: MaskChoices) -> None:
    """Write one NIfTI label map, and the names of its ids to `<name>.labels.json`.

    Raises
    ------
    OutputError
        When structures overlap, the label set has no id for one, or the place cannot be written to.
    """
    ids, names = _numbered(segmentation, path, choices.label_set)
    if overlap := _overlapping(segmentation):
        raise OutputError(
            f"{path}: {overlap[0]} and {overlap[1]} overlap, and a label map holds one structure a voxel; write a "
            ".seg.nrrd or a folder of masks."
        )
    nifti.write_labels(segmentation.combined(ids), segmentation.grid, path)
    by_id = sorted((identity, names[name]) for name, identity in ids.items())
    with whole_file(names_file(path)) as file:
        file.write((json.dumps({str(identity): name for identity, name in by_id}, indent=1) + "\n").encode())


def ids_in(labels: np.ndarray) -> list[int]:
    """Return the ids that occur, looked for slab by slab because indexing widens what it looks up to int64."""
    if labels.dtype == np.uint8:
        return _bytes_in(labels)
    occurs = np.zeros(2**16, bool)
    for k in range(labels.shape[2]):
        occurs[labels[:, :, k]] = True
    return [int(identity) for identity in np.flatnonzero(occurs) if identity]


def _bytes_in(labels: np.ndarray) -> list[int]:
    """Return the ids of a uint8 map: in each slab, take away those known until nothing is left."""
    found: set[int] = set()
    for k in range(labels.shape[2]):
        left = labels[:, :, k].tobytes("A").translate(None, bytes(found))
        while left:
            found.add(left[0])
            left = left.translate(None, left[:1])
    return sorted(found - {0})


def names_file(path: Path) -> Path:
    """Return where the names of a label map's ids are written."""
    return path.with_name(f"{_stem(path.name)}.labels.json")


def has_names(path: Path) -> bool:
    """Tell whether the names of a label map's ids lie beside it."""
    return _beside(path) is not None


def _beside(path: Path) -> Path | None:
    return next((file for file in (names_file(path), path.with_name("labels.json")) if file.is_file()), None)


def _stem(name: str) -> str:
    ending = next((end for end in _ENDINGS if name.lower().endswith(end)), "")
    return name[: len(name) - len(ending)]


def _names(path: Path, choices: MaskChoices) -> Mapping[int, str] | None:
    """Return id -> name, if anything tells it."""
    beside = _beside(path)
    if beside is None:
        return None if choices.label_set is None else label_set(choices.label_set).labels
    if beside.stat().st_size > AT_MOST_TEXT_HEADER_BYTES:
        raise ScanError(f"{beside.name}: is longer than a table of names can be.")
    try:
        table = json.loads(beside.read_text(encoding="utf-8"))
        names = {int(identity): str(name) for identity, name in table.items()}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise ScanError(f'{beside.name}: is no table of names; expected {{"1": "liver", …}} as JSON.') from error
    names.pop(0, None)
    if choices.label_set is not None:
        chosen = label_set(choices.label_set)
        canonical = {chosen.native_names[identity]: name for identity, name in chosen.labels.items()}
        names = {identity: canonical.get(name, name) for identity, name in names.items()}
    if len(set(names.values())) < len(names) or not all(0 < identity < 2**16 for identity in names):
        raise ScanError(f"{beside.name}: gives one name twice, or an id outside 1..65535.")
    return names


def _numbered(segmentation: Segmentation, path: Path, set_name: str | None) -> tuple[dict[str, int], dict[str, str]]:
    """Return structure -> id and structure -> spelling: those of the label set, or 1, 2, … in order."""
    if set_name is None:
        return {name: number for number, name in enumerate(segmentation.names, 1)}, {n: n for n in segmentation.names}
    chosen = label_set(set_name)
    ids = {canonical: number for number, canonical in chosen.labels.items()}
    if lost := [name for name in segmentation.names if name not in ids]:
        raise OutputError(f"{path}: label set {set_name} has no {', '.join(lost)}; leave out --label-set.")
    return (
        {name: ids[name] for name in segmentation.names},
        {name: chosen.native_names[ids[name]] for name in segmentation.names},
    )


def _overlapping(segmentation: Segmentation) -> tuple[str, str] | None:
    """Return two structures that share a voxel, or None; those of one layer never do."""
    layers = [layer for layer in segmentation.layers if layer.any()]
    for number, one in enumerate(layers):
        for other in layers[number + 1 :]:
            shared = np.argwhere((one != 0) & (other != 0))
            if shared.size:
                voxel = tuple(shared[0])
                there = [name for name, mask in segmentation.items() if mask[voxel]]
                return there[0], there[1]
    return None
