"""Keep corrected masks as a revision: numbered, immutable, with author, minutes and reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import ctatlas
from ctatlas.anatomy import canonical_name
from ctatlas.atlas.layout import MASK, CasePlace
from ctatlas.atlas.records import CaseRecord, RevisedMask, RevisionRecord, read_record, write_record
from ctatlas.errors import AtlasError
from ctatlas.execution import RECORD, result_folder, whole_record
from ctatlas.hashing import sha256_file, sha256_json
from ctatlas.volume import write_mask

if TYPE_CHECKING:
    from ctatlas.volume import Grid

REVISION = "revision.json"
RULES = "rules"  # the author of what a check corrected
STEP_VERSION = 1


def store_revision(
    place: CasePlace,
    masks: Mapping[str, np.ndarray],
    *,
    author: str,
    minutes: float | None,
    tool: str,
    reason: str,
    before: Mapping[str, np.ndarray],
    created: str,
) -> RevisionRecord:
    """Store what one person, or a rule, changed in one go as the case's next revision.

    Parameters
    ----------
    place : CasePlace
    masks : mapping of str to (i, j, k) bool
        Structure looked at -> its mask now, on the case's grid. Those that equal `before` are recorded as reviewed and
        not stored.
    author : str
        Who; "rules" for what a check corrected.
    minutes : float or None
        How long it took, where it was measured.
    tool, reason : str
    before : mapping of str to (i, j, k) bool
        What was shown; a structure that is not in it had no mask.
    created : str
        UTC, ISO 8601.

    Returns
    -------
    RevisionRecord

    Raises
    ------
    AtlasError
        When there is nothing to store, a mask is not on the case's grid, or minutes are none.
    OutputError
        When the folder can't be written to.
    """
    grid = read_record(CaseRecord, place.record).grid.grid()
    _refuse_what_cannot_be(place, masks, before, grid, minutes)
    changed = [name for name in sorted(masks) if name not in before or not np.array_equal(masks[name], before[name])]
    if not masks:
        raise AtlasError(f"{place.case}: nothing was revised or reviewed; there is no revision to store")
    number = _next_number(place)
    run = _run(place)
    with result_folder(place.revision(number), run) as folder:
        record = RevisionRecord(
            number=number,
            author=author,
            minutes=minutes,
            tool=tool,
            reason=reason,
            created=created,
            reviewed=tuple(sorted(masks)),
            masks={name: _written(masks[name], before.get(name), grid, folder / f"{name}{MASK}") for name in changed},
        )
        write_record(record, folder / REVISION)
        run |= {"key": sha256_json(record.model_dump()), "ctatlas": ctatlas.__version__}
    return record


def take_over(place: CasePlace, staged: Path) -> RevisionRecord | None:
    """Make a whole revision that lies elsewhere the case's next one, unless it has the same by the same author.

    Raises
    ------
    AtlasError
        When either is damaged.
    OutputError
        When the folder can't be written to.
    """
    new = read_record(RevisionRecord, staged / REVISION)
    if any(_is_same(old, new) for old in revision_records(place).values()):
        return None
    record = new.model_copy(update={"number": _next_number(place)})
    run = _run(place)
    with result_folder(place.revision(record.number), run) as folder:
        for name in record.masks:
            shutil.copyfile(staged / f"{name}{MASK}", folder / f"{name}{MASK}")
        write_record(record, folder / REVISION)
        run |= {"key": sha256_json(record.model_dump()), "ctatlas": ctatlas.__version__}
    return record


def revision_records(place: CasePlace) -> dict[int, RevisionRecord]:
    """Read what was revised of a case, by number, the oldest first; what an interrupted process left does not count.

    Raises
    ------
    AtlasError
        When a revision is damaged: masks of it that are lost must not pass for never drawn.
    """
    records = {}
    for folder in place.revisions():
        if _is_unfinished(folder):
            continue
        if whole_record(folder) is None:
            raise AtlasError(f"{folder}: is damaged: not all its files are there; 'ctatlas doctor ATLAS' says which")
        record = read_record(RevisionRecord, folder / REVISION)
        records[record.number] = record
    return records


def _run(place: CasePlace) -> dict[str, object]:
    return {"case": place.case, "key": "", "step": "revise", "step_version": STEP_VERSION}


def _is_same(old: RevisionRecord, new: RevisionRecord) -> bool:
    masks = [{name: mask.sha256 for name, mask in record.masks.items()} for record in (old, new)]
    return (old.author, old.tool, masks[0]) == (new.author, new.tool, masks[1])


def _refuse_what_cannot_be(
    place: CasePlace,
    masks: Mapping[str, np.ndarray],
    before: Mapping[str, np.ndarray],
    grid: Grid,
    minutes: float | None,
) -> None:
    if minutes is not None and not 0 <= minutes < np.inf:
        raise AtlasError(f"{place.case}: {minutes} minutes of work can't be; expected a number from 0 on")
    for name, mask in chain(masks.items(), before.items()):
        if canonical_name(name) != name:
            raise ValueError(f"{name!r} is not the canonical name; that is {canonical_name(name)!r}")
        if mask.dtype != np.bool_:
            raise ValueError(f"mask of {name} is {mask.dtype}; expected bool")
        if mask.shape != grid.shape:
            found, expected = (" x ".join(map(str, shape)) for shape in (mask.shape, grid.shape))
            raise AtlasError(f"{place.case}: the mask of {name} has {found} voxels, the scan {expected}")


def _written(mask: np.ndarray, before: np.ndarray | None, grid: Grid, path: Path) -> RevisedMask:
    write_mask(mask, grid, path)
    n_voxels = int(np.count_nonzero(mask))
    n_common = 0 if before is None else int(np.count_nonzero(mask & before))
    n_before = 0 if before is None else int(np.count_nonzero(before))
    return RevisedMask(
        sha256=sha256_file(path),
        volume_ml=n_voxels * grid.voxel_ml,
        n_voxels=n_voxels,
        added_ml=(n_voxels - n_common) * grid.voxel_ml,
        removed_ml=(n_before - n_common) * grid.voxel_ml,
    )


def _next_number(place: CasePlace) -> int:
    """Return the number after the last; a folder that an interrupted process left is taken again, no other."""
    folder = place.revision(1).parent
    taken = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []
    last = max(taken, default=0)
    return last if last and _is_unfinished(place.revision(last)) else last + 1


def _is_unfinished(folder: Path) -> bool:
    """Tell what was never a whole revision from one that was and is damaged, which stays for `doctor` to judge."""
    if not any(not path.name.startswith(".") for path in folder.iterdir()):
        return True
    with suppress(OSError, ValueError, AttributeError):
        return json.loads((folder / RECORD).read_text(encoding="utf-8")).get("whole") is False
    return False
