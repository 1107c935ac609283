"""Predictions and corrections that came with a scan: kept as those of members and of people are, with their source.

A prediction becomes that of the member `given/<name>`, a corrected mask a revision by "source": whoever it was, the
source does not say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from ctatlas.anatomy import label_set, structure_called
from ctatlas.atlas.add.found import Found, GivenPrediction
from ctatlas.atlas.layout import MASK, CasePlace
from ctatlas.atlas.members import GIVEN
from ctatlas.atlas.predict import LABELS, NAMES, PROBABILITIES, STEP, mask_facts
from ctatlas.atlas.revise.returned import one_mask
from ctatlas.atlas.revise.store import store_revision
from ctatlas.errors import ScanError
from ctatlas.execution import Task, perform
from ctatlas.hashing import sha256_file
from ctatlas.progress import Progress
from ctatlas.volume import Grid, Segmentation, whole_file, write_array_uint8, write_labels
from ctatlas.volume.formats.label_map import ids_in, read_label_map
from ctatlas.volume.reading_masks import on_grid

AUTHOR = "source"
STEP_VERSION = 1


def keep_predictions(found: Found, place: CasePlace, grid: Grid) -> None:
    """Keep what models made of a scan before it came.

    Raises
    ------
    ScanError
        When a label map can't be read, lies on another grid than the scan, or holds a number without a meaning.
    OutputError
        When the place can't be written to.
    """
    for given in found.predictions:
        member = f"{GIVEN}{given.name}"
        maps = _probability_files(given)
        decides = {
            "member": member,
            "label_set": given.label_set,
            "labels": sha256_file(given.labels) if given.labels else None,
            **({"masks": {name: sha256_file(path) for name, path in given.masks.items()}} if given.masks else {}),
            "probabilities": {name: sha256_file(path) for name, path in maps.items()},
        }
        work = partial(_keep_prediction, given=given, maps=maps, grid=grid)
        perform(Task(place.case, place.prediction(member), work, STEP, STEP_VERSION, parameters=decides))


def keep_revision(found: Found, place: CasePlace, grid: Grid) -> tuple[str, ...]:
    """Keep the masks that people corrected before the scan came, as the first revision; return remarks.

    The case must have its record.

    Raises
    ------
    ScanError
        When a mask can't be read or lies on another grid than the scan, or two are of one structure.
    OutputError
        When the place can't be written to.
    """
    if not found.revised:
        return ()
    spelled = _spelled(found.revised[0].label_set)
    masks: dict[str, np.ndarray] = {}
    before: dict[str, np.ndarray] = {}
    unknown = []
    for one in found.revised:
        structure = spelled.get(one.name) or structure_called(one.name)
        if structure is None:
            unknown.append(one.name)
            continue
        if structure in masks:
            raise ScanError(f"{one.mask.name}: {structure} was corrected twice, under different spellings; keep one")
        masks[structure] = one_mask(one.mask, structure, grid).mask(structure)
        if one.shown is not None:
            shown = one_mask(one.shown, structure, grid).mask(structure)
            if not np.array_equal(shown, masks[structure]):  # what was found right is kept, too
                before[structure] = shown
    if masks:
        store_revision(
            place, masks, before=before, author=AUTHOR, minutes=None, tool=found.revised[0].tool,
            reason="came with the scan", created=_latest(one.mask for one in found.revised),
        )  # fmt: skip
    remark = f"corrected masks that no structure is called after are passed over: {', '.join(unknown)}"
    return (remark,) if unknown else ()


def _keep_prediction(
    folder: Path, progress: Progress, *, given: GivenPrediction, maps: Mapping[str, Path], grid: Grid
) -> dict[str, object]:
    """Fill the folder of a member as `predict` does."""
    progress.stage("predictions", len(maps) + 1)
    masks, ids = _of_masks(given, grid) if given.labels is None else _of_labels(given, given.labels, grid)
    labels = masks.combined(ids)
    write_labels(labels, grid, folder / LABELS)
    with whole_file(folder / NAMES) as file:
        file.write((json.dumps({str(number): name for name, number in ids.items()}, indent=1) + "\n").encode())
    progress.advance()
    (folder / PROBABILITIES).mkdir()
    for name, path in maps.items():
        values = read_label_map(path)  # bytes, as ids are
        if not values.grid.reoriented(grid.orientation).is_like(grid):
            raise ScanError(f"{path.name}: lies on another grid than the scan")
        write_array_uint8(values.labels.astype(np.uint8), values.grid, folder / PROBABILITIES / f"{name}{MASK}")
        progress.advance()
    return {"masks": mask_facts(labels, ids, grid), "why_nothing": "", "notes": []}


def _of_labels(given: GivenPrediction, path: Path, grid: Grid) -> tuple[Segmentation, dict[str, int]]:
    """Read a label map; return its masks, and the ids of all that was looked for."""
    spelled, labels_of = _spelled(given.label_set), label_set(given.label_set or "").labels
    found = read_label_map(path)
    present = ids_in(found.labels)
    if strangers := [number for number in present if number not in labels_of]:
        raise ScanError(f"{path.name}: holds label {strangers[0]}, which {given.label_set} does not have")
    known = {spelled[name] for name in given.looked_for if name in spelled} or set(labels_of.values())
    known |= {labels_of[number] for number in present}
    ids = {name: number for number, name in sorted(labels_of.items()) if name in known}
    masks = Segmentation.from_labels(found.grid, found.labels, {number: name for name, number in ids.items()})
    return on_grid(masks, grid, path.name), ids


def _of_masks(given: GivenPrediction, grid: Grid) -> tuple[Segmentation, dict[str, int]]:
    """Read masks; where they overlap the label set's higher number has the voxel: tumors lie in organs."""
    spelled = _spelled(given.label_set)
    meant = {name: spelled.get(name) or structure_called(name) for name in given.masks}
    paths = {structure: given.masks[name] for name, structure in meant.items() if structure}
    if not paths:
        raise ScanError(f"{given.name}: none of its {len(given.masks)} masks is called like a structure")
    numbers = (
        {name: number for number, name in sorted(label_set(given.label_set).labels.items())} if given.label_set else {}
    )
    names = [*(name for name in numbers if name in paths), *sorted(paths.keys() - numbers.keys())]
    masks = Segmentation(grid)
    for name in names:
        masks = masks.add(name, one_mask(paths[name], name, grid).mask(name))
    free = (number for number in range(1, 256) if number not in numbers.values())
    return masks, {name: numbers.get(name) or next(free) for name in names}


def _probability_files(given: GivenPrediction) -> dict[str, Path]:
    if given.probabilities is None:
        return {}
    spelled = _spelled(given.label_set)
    paths = sorted(given.probabilities.glob(f"*{MASK}"))
    named = {path.name.removesuffix(MASK): path for path in paths if not path.name.startswith(".")}
    return {spelled[name]: path for name, path in named.items() if name in spelled}


def _spelled(set_name: str | None) -> dict[str, str]:
    """Return canonical names by how a label set spells them; its canonical names, too."""
    if set_name is None:
        return {}
    names = label_set(set_name)
    return {name: name for name in names.labels.values()} | {
        names.native_names[number]: name for number, name in names.labels.items()
    }


def _latest(paths: Iterator[Path] | Sequence[Path]) -> str:
    """Return when the last of some files was written, which is all that they say about when people worked."""
    latest = max(path.stat().st_mtime for path in paths)
    return datetime.fromtimestamp(latest, UTC).isoformat(timespec="seconds")
