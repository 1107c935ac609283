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

from ctatlas.anatomy import LabelSet, label_set, structure_called
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
            "labels": sha256_file(given.labels),
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
    spelled = _spelled(label_set(found.revised[0].label_set))
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
    names = label_set(given.label_set)
    found = read_label_map(given.labels)
    present = ids_in(found.labels)
    if strangers := [number for number in present if number not in names.labels]:
        raise ScanError(f"{given.labels.name}: holds label {strangers[0]}, which {names.name} does not have")
    spelled = _spelled(names)
    known = {spelled[name] for name in given.looked_for if name in spelled} or set(names.labels.values())
    known |= {names.labels[number] for number in present}
    ids = {name: number for number, name in sorted(names.labels.items()) if name in known}
    masks = Segmentation.from_labels(found.grid, found.labels, {number: name for name, number in ids.items()})
    labels = on_grid(masks, grid, given.labels.name).combined(ids)
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


def _probability_files(given: GivenPrediction) -> dict[str, Path]:
    if given.probabilities is None:
        return {}
    spelled = _spelled(label_set(given.label_set))
    paths = sorted(given.probabilities.glob(f"*{MASK}"))
    named = {path.name.removesuffix(MASK): path for path in paths if not path.name.startswith(".")}
    return {spelled[name]: path for name, path in named.items() if name in spelled}


def _spelled(names: LabelSet) -> dict[str, str]:
    """Return canonical names by how a label set spells them; its canonical names, too."""
    return {name: name for name in names.labels.values()} | {
        names.native_names[number]: name for number, name in names.labels.items()
    }


def _latest(paths: Iterator[Path] | Sequence[Path]) -> str:
    """Return when the last of some files was written, which is all that they say about when people worked."""
    latest = max(path.stat().st_mtime for path in paths)
    return datetime.fromtimestamp(latest, UTC).isoformat(timespec="seconds")
