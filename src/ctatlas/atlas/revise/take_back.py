"""Take masks back from an annotator: what differs from what was shown becomes a revision, the rest was reviewed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.atlas.assembly import assembled
from ctatlas.atlas.layout import MASK, CasePlace
from ctatlas.atlas.records import CaseRecord, read_record
from ctatlas.atlas.revise import package
from ctatlas.atlas.revise.compare import as_shown, compared
from ctatlas.atlas.revise.returned import stem
from ctatlas.atlas.revise.store import revision_records, store_revision
from ctatlas.atlas.sources import sources_of
from ctatlas.errors import AtlasError
from ctatlas.execution import Task
from ctatlas.progress import Progress
from ctatlas.volume import Segmentation, read_labels

if TYPE_CHECKING:
    from ctatlas.atlas.atlas import Atlas

STEP = "revise import"
STEP_VERSION = 1
_ABOVE = 3  # folders above a file whose names may be the case's


@dataclass(frozen=True, slots=True)
class Work:
    """Who revised, how long and with what."""

    author: str
    minutes: float | None = None
    tool: str = ""
    reason: str = ""


def import_tasks(atlas: Atlas, path: Path, work: Work, case: str | None = None, *, store: bool = True) -> list[Task]:
    """Turn what came back into tasks, one a case; do them with `perform_in_place`.

    Parameters
    ----------
    atlas : Atlas
    path : Path
        A package, a folder of packages, any folder of masks, or one file.
    work : Work
    case : str, optional
        Whose masks they are; by default the package says it, or the name of the file or of a folder above it.
    store : bool
        Whether to store the revision, or only to say what it would be.

    Raises
    ------
    ScanError, AtlasError
        When nothing lies there, or nothing says whose masks they are.
    """
    if not work.author.strip():
        raise AtlasError("--author is empty; say who revised the masks")
    places = _packages(path) or [path]
    if len(places) > 1 and (case is not None or work.minutes is not None):
        raise AtlasError(f"{path}: holds {len(places)} packages; --case and --minutes are of one, so import it alone")
    found = [(_case_of(atlas, place, case), place) for place in places]
    return [
        Task(
            into.case,
            into.folder,
            partial(_import, atlas=atlas, into=into, path=place, by=work, store=store),
            STEP,
            STEP_VERSION,
        )
        for into, place in found
    ]


@dataclass(frozen=True, slots=True)
class Changes:
    """What came back of one case.

    Attributes
    ----------
    masks : mapping of str to (i, j, k) bool
        All structures that were looked at, as they are to be.
    before : mapping of str to (i, j, k) bool
        As they were shown; a new structure is not in it.
    changed : tuple of str
        Those that differ.
    """

    masks: Mapping[str, np.ndarray]
    before: Mapping[str, np.ndarray]
    changed: tuple[str, ...]


def changes_in(atlas: Atlas, place: CasePlace, path: Path, author: str) -> Changes:
    """Find what an annotator changed in the masks of one package, folder or file.

    Raises
    ------
    ScanError
        When a file cannot be read, lies on another grid, or names what the atlas does not hold.
    AtlasError
        When the package is of another scan, or the author's same masks were imported before.
    """
    sources = sources_of(place, atlas.config)
    given_out = package.package_in(path) if path.is_dir() else None
    if given_out and given_out.ct_sha256 != sources.upstream["ct"]:
        raise AtlasError(f"{path}: is a package of another scan than {place.case} of this atlas")
    now = assembled(sources).masks
    shown = now if given_out is None else as_shown(path, given_out, now, sources)
    changed, seen = compared(path, given_out, shown, sources)
    _refuse_twice(place, author, changed)
    untouched = _View(now, [name for name in now.names if name in seen and name not in changed])
    before = _Either(_View(shown, [name for name in shown.names if name in changed]), untouched)
    return Changes(_Either(changed, untouched), before, tuple(sorted(changed)))


def _import(
    folder: Path,  # noqa: ARG001 - every task's
    progress: Progress,
    *,
    atlas: Atlas,
    into: CasePlace,
    path: Path,
    by: Work,
    store: bool,
) -> dict[str, object]:
    progress.stage("compare", 1)
    found = changes_in(atlas, into, path, by.author)
    progress.stage("store", 1)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    number = None
    if store:
        record = store_revision(
            into, found.masks, before=found.before, created=created,
            author=by.author, minutes=by.minutes, tool=by.tool, reason=by.reason,
        )  # fmt: skip
        number = record.number
    return {
        "revision": number,
        "changed": list(found.changed),
        "reviewed": sorted(found.masks),
        **_volumes(into, found),
    }


def _volumes(place: CasePlace, found: Changes) -> dict[str, float]:
    ml = read_record(CaseRecord, place.record).grid.grid().voxel_ml
    added = removed = 0
    for name in found.changed:
        mask, before = found.masks[name], found.before.get(name)
        added += int(np.count_nonzero(mask if before is None else mask & ~before))
        removed += 0 if before is None else int(np.count_nonzero(before & ~mask))
    return {"added_ml": added * ml, "removed_ml": removed * ml}


def _packages(path: Path) -> list[Path]:
    """Return the packages at a path: itself, or those in it."""
    if (path / package.MANIFEST).is_file() or not path.is_dir():
        return [path]
    return sorted(folder for folder in path.iterdir() if (folder / package.MANIFEST).is_file())


def _case_of(atlas: Atlas, path: Path, case: str | None) -> CasePlace:
    given_out = package.package_in(path) if path.is_dir() else None
    told = case or (given_out.case if given_out else None)
    if told is not None:
        return atlas.cases([told])[0]
    absolute = path.absolute()
    names = [stem(absolute), *(folder.name for folder in [absolute, *absolute.parents][: _ABOVE + 1])]
    there = {place.case: place for place in atlas.cases()}
    if not (found := [there[name] for name in names if name in there]):
        raise AtlasError(f"{path}: nothing says whose masks these are; add --case")
    return found[0]


def _refuse_twice(place: CasePlace, author: str, changed: Mapping[str, np.ndarray]) -> None:
    for number, record in revision_records(place).items():
        sizes = {name: mask.n_voxels for name, mask in record.masks.items()}
        if not changed or record.author != author or sizes != {n: np.count_nonzero(m) for n, m in changed.items()}:
            continue
        files = {name: place.revision(number) / f"{name}{MASK}" for name in changed}
        if all(np.array_equal(read_labels(files[name]).labels != 0, mask) for name, mask in changed.items()):
            raise AtlasError(f"{place.case}: these masks by {author} are there already, as revision {number}")


@dataclass(frozen=True, slots=True)
class _View(Mapping[str, np.ndarray]):
    """Some masks of a segmentation, made anew whenever asked for, so that not all exist at once."""

    masks: Segmentation
    names: Sequence[str]

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.names:
            raise KeyError(name)
        return self.masks.mask(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True)
class _Either(Mapping[str, np.ndarray]):
    """The masks of two mappings that share no name."""

    one: Mapping[str, np.ndarray]
    other: Mapping[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.one[name] if name in self.one else self.other[name]

    def __iter__(self) -> Iterator[str]:
        yield from self.one
        yield from self.other

    def __len__(self) -> int:
        return len(self.one) + len(self.other)
