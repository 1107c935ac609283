"""What changed between two releases: which cases, and of each structure how many masks, how many mL, how far (Dice)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import mean

import numpy as np

from ctatlas.anatomy import structures
from ctatlas.atlas.release.copies import ReleaseCopy
from ctatlas.atlas.release.manifest import CaseRow, MaskRow
from ctatlas.atlas.release.soundness import grid_of, read_on
from ctatlas.measure.overlap import dice
from ctatlas.progress import SILENT, Progress


@dataclass(frozen=True, slots=True)
class MaskChange:
    """What became of one mask.

    Attributes
    ----------
    case : str
        Its id in the second release; in the first where it is gone.
    what : str
        "added", "removed", "changed" voxels, or the same voxels with another "source".
    before, after : str
        Where the mask was from, and is; "" for not there.
    added_ml, removed_ml : float
    dice : float or None
        Of the two masks; None where one is not there, and where both are empty.
    """

    case: str
    structure: str
    what: str
    before: str
    after: str
    added_ml: float = 0.0
    removed_ml: float = 0.0
    dice: float | None = None


@dataclass(frozen=True, slots=True)
class StructureChange:
    """What became of one structure in all cases; Dice is that of the masks that changed."""

    structure: str
    same: int
    changed: int
    added: int
    removed: int
    added_ml: float
    removed_ml: float
    mean_dice: float | None
    lowest_dice: float | None
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReleaseDiff:
    """What changed from one release to another.

    Attributes
    ----------
    before, after : str
        Name and version.
    new_cases, gone_cases : tuple of str
    other_scans : tuple of str
        Cases whose scan is another one, so that masks can't be compared.
    structures : tuple of StructureChange
    masks : tuple of MaskChange
        Of cases in both.
    """

    before: str
    after: str
    new_cases: tuple[str, ...]
    gone_cases: tuple[str, ...]
    other_scans: tuple[str, ...]
    structures: tuple[StructureChange, ...]
    masks: tuple[MaskChange, ...]


def diff_releases(before: Path, after: Path, progress: Progress = SILENT) -> ReleaseDiff:
    """Compare two releases; masks whose hash is the same are not read.

    A case is the same when its id is and it comes from the same place, whatever the layouts and label sets.

    Raises
    ------
    AtlasError
        When a folder holds no release.
    ScanError
        When a mask that changed can't be read.
    """
    with ReleaseCopy.opened(before) as old, ReleaseCopy.opened(after) as new:
        old_cases, new_cases = ({_key(case): case for case in copy.cases} for copy in (old, new))
        both = [key for key in new_cases if key in old_cases]
        others = {key: None for key in both if old_cases[key].ct_sha256 != new_cases[key].ct_sha256}
        changes: list[MaskChange] = []
        same = Counter[str]()
        progress.stage("compare", len(both))
        for key in both:
            if key not in others:
                found = list(_changes(old, new, old_cases[key], new_cases[key]))
                told = old.masks.of(old_cases[key]).keys() & new.masks.of(new_cases[key]).keys()
                same.update(told - {change.structure for change in found})
                changes += found
            progress.advance()
        return ReleaseDiff(
            before=f"{old.record.name} {old.record.version}",
            after=f"{new.record.name} {new.record.version}",
            new_cases=tuple(new_cases[key].id for key in new_cases if key not in old_cases),
            gone_cases=tuple(old_cases[key].id for key in old_cases if key not in new_cases),
            other_scans=tuple(new_cases[key].id for key in others),
            structures=tuple(_by_structure(changes, same)),
            masks=tuple(changes),
        )


def _key(case: CaseRow) -> tuple[str, str, str]:
    return case.id, case.dataset, case.source_case


def _changes(old: ReleaseCopy, new: ReleaseCopy, before: CaseRow, after: CaseRow) -> Iterator[MaskChange]:
    """Yield what became of each mask of a case that did not stay as it was."""
    gone, come = old.masks.of(before), new.masks.of(after)
    for name in dict.fromkeys(chain(gone, come)):
        if name not in gone:
            yield MaskChange(after.id, name, "added", "", come[name].source, added_ml=come[name].volume_ml)
        elif name not in come:
            yield MaskChange(after.id, name, "removed", gone[name].source, "", removed_ml=gone[name].volume_ml)
        else:
            was, now = gone[name], come[name]
            voxels = None if was.sha256 and was.sha256 == now.sha256 else _voxels(old, new, (before, was), (after, now))
            if voxels is not None:
                added_ml, removed_ml, shared = voxels
                yield MaskChange(after.id, name, "changed", was.source, now.source, added_ml, removed_ml, shared)
            elif (was.source, was.detail) != (now.source, now.detail):
                yield MaskChange(after.id, name, "source", was.source, now.source)


def _voxels(
    old: ReleaseCopy, new: ReleaseCopy, before: tuple[CaseRow, MaskRow], after: tuple[CaseRow, MaskRow]
) -> tuple[float, float, float] | None:
    """Return the mL that a mask won and lost and the Dice of both; None when the voxels are the same."""
    path = _file(old, *before)
    grid = grid_of(path)
    was = read_on(path, grid).labels == _value(before[1])
    now = read_on(_file(new, *after), grid).labels == _value(after[1])
    added, removed = (int(np.count_nonzero(one & ~other)) for one, other in ((now, was), (was, now)))
    return (added * grid.voxel_ml, removed * grid.voxel_ml, dice(was, now)) if added or removed else None


def _file(copy: ReleaseCopy, case: CaseRow, row: MaskRow) -> Path:
    """Return the file of a mask; without one of its own, that of the combined labels."""
    return copy.root_of(case) / (row.file or case.combined_file)


def _value(row: MaskRow) -> int:
    return 1 if row.file else row.label


def _by_structure(changes: Sequence[MaskChange], same: Counter[str]) -> Iterator[StructureChange]:
    """Yield a row a structure, in the order of the table of structures."""
    order = {name: number for number, name in enumerate(structures())}
    names = {change.structure for change in changes} | same.keys()
    for name in sorted(names, key=lambda one: (order.get(one, len(order)), one)):
        mine = [change for change in changes if change.structure == name]
        counts = Counter(change.what for change in mine)
        dices = [change.dice for change in mine if change.dice is not None]
        moved = Counter(
            f"{one.before} → {one.after}" for one in mine if one.before and one.after and one.before != one.after
        )
        yield StructureChange(
            structure=name,
            same=same[name] + counts["source"],
            changed=counts["changed"],
            added=counts["added"],
            removed=counts["removed"],
            added_ml=sum(change.added_ml for change in mine),
            removed_ml=sum(change.removed_ml for change in mine),
            mean_dice=mean(dices) if dices else None,
            lowest_dice=min(dices, default=None),
            sources=tuple(f"{way}: {n}" for way, n in sorted(moved.items())),
        )
