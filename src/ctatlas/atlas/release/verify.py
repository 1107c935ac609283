"""Prove a copy of a release without the atlas that it was made from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ctatlas.atlas.release.copies import ReleaseCopy
from ctatlas.atlas.release.croissant import CROISSANT
from ctatlas.atlas.release.manifest import CaseRow
from ctatlas.atlas.release.rules import table_faults
from ctatlas.atlas.release.soundness import CaseFiles, case_faults
from ctatlas.atlas.release.sums import SUMS, files_in, read_sums
from ctatlas.errors import AtlasError
from ctatlas.hashing import sha256_file
from ctatlas.progress import SILENT, Progress


def release_faults(folder: Path, *, deep: bool = True, progress: Progress = SILENT) -> Iterator[str]:
    """Yield what is wrong with a release, a line each.

    Every file has its hash and none is there besides; no patient and no scan is in two splits; counts agree. Deep: the
    images of each case lie on one grid, hold the values they may, and combined labels are made of the single masks.

    Raises
    ------
    AtlasError
        When the folder holds no release.
    """
    with ReleaseCopy.opened(folder) as copy:
        yield from _sum_faults(copy, progress)
        yield from _listed_faults(copy)
        yield from table_faults(copy.cases, copy.masks)
        yield from _count_faults(copy)
        if deep:
            yield from _image_faults(copy, progress)


def _sum_faults(copy: ReleaseCopy, progress: Progress) -> Iterator[str]:
    """Compare every file with its hash."""
    sums, there = read_sums(copy.folder), files_in(copy.folder)
    yield from (f"{name}: is missing" for name in sorted(sums.keys() - there))
    yield from (f"{name}: is not listed in {SUMS}" for name in sorted(there - sums.keys() - {SUMS}))
    progress.stage("hashes", len(sums))
    for name in sorted(sums.keys() & there):
        if not _is(copy.folder / name, sums[name]):
            yield f"{name}: is not the file that was released (another SHA-256)"
        progress.advance()


def _is(path: Path, sha256: str) -> bool:
    """Tell whether a file has a hash; one that can't be read has none."""
    try:
        return sha256_file(path) == sha256
    except OSError:
        return False


def _listed_faults(copy: ReleaseCopy) -> Iterator[str]:
    """Compare the manifest with the list of hashes."""
    sums = read_sums(copy.folder)
    told: dict[str, str] = {}
    for case in copy.cases:
        if not case.shard:
            told |= copy.hashes_of(case)
        elif case.shard not in sums:
            yield f"{case.id}: its {case.shard} is not listed in {SUMS}"
    for name, sha256 in told.items():
        if sums.get(name) != sha256:
            yield f"{name}: manifest and {SUMS} say different things of it"
    images = {name for name in sums if name.endswith(".nii.gz")}
    yield from (f"{name}: is in no row of the manifest" for name in sorted(images - told.keys()))


def _count_faults(copy: ReleaseCopy) -> Iterator[str]:
    """Compare the counts of `release.json` and of `croissant.json` with the tables."""
    record = copy.record
    sources = Counter(mask.source for mask in copy.masks)
    counted = {"cases": len(copy.cases), "masks": len(copy.masks)}
    for what, n in counted.items():
        if (said := getattr(record, what)) != n:
            yield f"release.json: says {said} {what}, the manifest has {n}"
    if record.sources != {kind: sources[kind] for kind in record.sources}:
        yield "release.json: counts other sources of masks than the manifest has"
    for mask in copy.masks:
        if record.labels.get(mask.name) != mask.label or record.structures.get(mask.name) != mask.structure:
            yield f"{mask.id}: {mask.name}: has another number or structure than in release.json"
            break
    yield from _croissant_faults(copy)


def _croissant_faults(copy: ReleaseCopy) -> Iterator[str]:
    try:
        content = json.loads((copy.folder / CROISSANT).read_text(encoding="utf-8"))
        told = {one["contentUrl"]: one["sha256"] for one in content["distribution"] if "sha256" in one}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        yield f"{CROISSANT}: can't be read"
        return
    sums = read_sums(copy.folder)
    yield from (f"{CROISSANT}: has another hash of {name}" for name, sha256 in told.items() if sums.get(name) != sha256)


def _image_faults(copy: ReleaseCopy, progress: Progress) -> Iterator[str]:
    progress.stage("images", len(copy.cases))
    for case in copy.cases:
        yield from (f"{case.id}: {fault}" for fault in _case_faults(copy, case))
        progress.advance()
    yield from (f"{name}: is in no row of the manifest" for name in copy.unlisted)


def _case_faults(copy: ReleaseCopy, case: CaseRow) -> Iterator[str]:
    try:
        root = copy.root_of(case)
    except AtlasError as error:
        yield str(error)
        return
    rows = copy.masks_of.get(case.id, {})
    missing = [name for name in copy.hashes_of(case) if not (root / name).is_file()]
    if missing:
        yield from (f"{name}: is missing" for name in missing)
        return
    if case.shard:  # the sums know the shard alone
        for name, sha256 in copy.hashes_of(case).items():
            if not _is(root / name, sha256):
                yield f"{name}: is not the file that was released (another SHA-256)"
    yield from case_faults(
        CaseFiles(
            ids={name: row.label for name, row in rows.items()},
            ct=root / case.ct_file if case.ct_file else None,
            combined=root / case.combined_file if case.combined_file else None,
            earlier=[root / name for name in copy.earlier_of(case)],
            masks={name: root / row.file for name, row in rows.items() if row.file},
            n_voxels={name: row.n_voxels for name, row in rows.items()},
        )
    )
