"""What must be true of the cases of a release together, asked of its tables alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from ctatlas.atlas.release.manifest import CaseRow, MaskRow

_SOURCES = {"original", "revised", "pseudo", "absent"}
_SPLITS = {"", "train", "validation", "test"}


def case_faults(cases: Sequence[CaseRow]) -> Iterator[str]:
    """Yield what is wrong with the table of cases, a line each."""
    yield from _twice("id", [case.id for case in cases])
    yield from _twice("name", [case.name for case in cases])
    yield from (f"{case.id}: split {case.split!r} is none" for case in cases if case.split not in _SPLITS)
    yield from _torn(cases, "patient", lambda case: [case.patient])
    yield from _torn(cases, "scan", lambda case: [case.voxels_sha256])
    yield from _torn_neighbours(cases)


def mask_faults(cases: Sequence[CaseRow], masks: Iterable[MaskRow]) -> Iterator[str]:
    """Yield what is wrong with the rows of masks, a line each; masks are asked for once."""
    ids = {case.id for case in cases}
    for mask in masks:
        if mask.id not in ids:
            yield f"{mask.id}: {mask.name}: belongs to no case"
        if mask.source not in _SOURCES:
            yield f"{mask.id}: {mask.name}: its source {mask.source!r} is none of {', '.join(sorted(_SOURCES))}"
        elif mask.source == "absent" and mask.n_voxels:
            yield f"{mask.id}: {mask.name}: is said to be absent and has {mask.n_voxels} voxels"


def _twice(what: str, values: Sequence[str]) -> Iterator[str]:
    yield from (f"{value}: {what} is there {n} times" for value, n in Counter(values).items() if n > 1)


def _torn(cases: Sequence[CaseRow], what: str, keys: Callable[[CaseRow], Sequence[str]]) -> Iterator[str]:
    """Yield what lies in two splits: a model would be tested on what it has seen."""
    splits: dict[str, dict[str, str]] = defaultdict(dict)
    for case in cases:
        for key in keys(case):
            if key and case.split:
                splits[key].setdefault(case.split, case.id)
    for found in splits.values():
        if len(found) > 1:
            where = ", ".join(f"{identity} ({split})" for split, identity in found.items())
            yield f"{where}: the same {what} is in {len(found)} splits; put it into one"


def _torn_neighbours(cases: Sequence[CaseRow]) -> Iterator[str]:
    split = {case.id: case.split for case in cases if case.split}
    pairs = {tuple(sorted((case.id, other))) for case in cases for other in case.near_duplicates.split(";")}
    for one, other in sorted(pairs):
        if one in split and other in split and split[one] != split[other]:
            yield f"{one} ({split[one]}), {other} ({split[other]}): look alike and are in two splits; put them into one"
