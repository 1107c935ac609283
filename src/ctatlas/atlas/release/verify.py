"""Prove a copy of a release without the atlas that it was made from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from ctatlas.atlas.release.copies import ReleaseCopy
from ctatlas.atlas.release.croissant import CROISSANT
from ctatlas.atlas.release.manifest import CaseRow, MaskRow
from ctatlas.atlas.release.rules import case_faults, mask_faults
from ctatlas.atlas.release.soundness import CaseFiles, image_faults
from ctatlas.atlas.release.spool import Hashes
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
        sums = read_sums(folder)
        yield from _sum_faults(copy, sums, progress)
        yield from _listed_faults(copy, sums)
        yield from case_faults(copy.cases)
        yield from copy.masks.repeated()
        yield from _mask_faults(copy)
        yield from _croissant_faults(copy, sums)
        if deep:
            yield from _image_faults(copy, progress)


def _sum_faults(copy: ReleaseCopy, sums: Hashes, progress: Progress) -> Iterator[str]:
    """Compare every file with its hash, in the order of their paths."""
    progress.stage("hashes", len(sums))
    there = ((name, "") for name in files_in(copy.folder) if name != SUMS)
    for name, found in groupby(merge(sums.items(), there), key=itemgetter(0)):
        known = [sha256 for _, sha256 in found]
        if len(known) == 2:
            if not _is(copy.folder / name, max(known)):
                yield f"{name}: is not the file that was released (another SHA-256)"
        else:
            yield f"{name}: is missing" if known[0] else f"{name}: is not listed in {SUMS}"
        if any(known):
            progress.advance()


def _is(path: Path, sha256: str) -> bool:
    """Tell whether a file has a hash; one that can't be read has none."""
    try:
        return sha256_file(path) == sha256
    except OSError:
        return False


def _listed_faults(copy: ReleaseCopy, sums: Hashes) -> Iterator[str]:
    """Compare the manifest with the list of hashes."""
    told = Hashes()
    for case in copy.cases:
        if not case.shard:
            for name, sha256 in copy.hashes_of(case).items():
                told[name] = sha256
        elif sums.get(case.shard) is None:
            yield f"{case.id}: its {case.shard} is not listed in {SUMS}"
    for name, sha256 in told.items():
        if sums.get(name) != sha256:
            yield f"{name}: manifest and {SUMS} say different things of it"
    for name in sums:
        if name.endswith(".nii.gz") and told.get(name) is None:
            yield f"{name}: is in no row of the manifest"


def _mask_faults(copy: ReleaseCopy) -> Iterator[str]:
    """Look at every row of a mask, and compare the counts of `release.json` with the tables."""
    sources = Counter[str]()
    others: list[str] = []
    yield from mask_faults(copy.cases, _counted(copy, sources, others))
    for what, n in {"cases": len(copy.cases), "masks": len(copy.masks)}.items():
        if (said := getattr(copy.record, what)) != n:
            yield f"release.json: says {said} {what}, the manifest has {n}"
    if copy.record.sources != {kind: sources[kind] for kind in copy.record.sources}:
        yield "release.json: counts other sources of masks than the manifest has"
    yield from others


def _counted(copy: ReleaseCopy, sources: Counter[str], others: list[str]) -> Iterator[MaskRow]:
    """Pass the rows on; count their sources, and note the first whose number or structure is another one."""
    record = copy.record
    for mask in copy.masks:
        sources[mask.source] += 1
        is_known = record.labels.get(mask.name) == mask.label and record.structures.get(mask.name) == mask.structure
        if not is_known and not others:
            others.append(f"{mask.id}: {mask.name}: has another number or structure than in release.json")
        yield mask


def _croissant_faults(copy: ReleaseCopy, sums: Hashes) -> Iterator[str]:
    try:
        content = json.loads((copy.folder / CROISSANT).read_text(encoding="utf-8"))
        told = {one["contentUrl"]: one["sha256"] for one in content["distribution"] if "sha256" in one}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        yield f"{CROISSANT}: can't be read"
        return
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
    rows = copy.masks.of(case)
    missing = [name for name in copy.hashes_of(case) if not (root / name).is_file()]
    if missing:
        yield from (f"{name}: is missing" for name in missing)
        return
    if case.shard:  # the sums know the shard alone
        for name, sha256 in copy.hashes_of(case).items():
            if not _is(root / name, sha256):
                yield f"{name}: is not the file that was released (another SHA-256)"
    yield from image_faults(
        CaseFiles(
            ids={name: row.label for name, row in rows.items()},
            ct=root / case.ct_file if case.ct_file else None,
            combined=root / case.combined_file if case.combined_file else None,
            earlier=[root / name for name in copy.earlier_of(case)],
            masks={name: root / row.file for name, row in rows.items() if row.file},
            n_voxels={name: row.n_voxels for name, row in rows.items()},
        )
    )
