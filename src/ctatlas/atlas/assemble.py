"""Step `assemble`: the one mask of each structure, combined labels made from these, and where each mask is from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.atlas.assembly import Assembly, assembled
from ctatlas.atlas.layout import MASK, CasePlace
from ctatlas.atlas.nest import painting_order
from ctatlas.atlas.records import AssembledMask, Conflict, ProvenanceRecord, write_record
from ctatlas.atlas.sources import Sources, sources_of
from ctatlas.errors import CtatlasError
from ctatlas.execution import Task, refused_task
from ctatlas.hashing import sha256_file
from ctatlas.progress import Progress
from ctatlas.volume import Segmentation, whole_file, write_labels, write_structure

if TYPE_CHECKING:
    import numpy as np

    from ctatlas.atlas.atlas import Atlas

STEP = "assemble"
STEP_VERSION = 1
SEGMENTATIONS = "segmentations"
COMBINED = "combined_labels.nii.gz"
LABELS = "labels.json"
PROVENANCE = "provenance.json"


def assemble_tasks(atlas: Atlas, cases: Sequence[CasePlace]) -> list[Task]:
    """Turn cases into tasks; one whose records are broken becomes a task that fails with what is broken."""
    return [_task(atlas, place) for place in cases]


def combined(masks: Segmentation, ids: Mapping[str, int], sizes: Mapping[str, int] | None = None) -> np.ndarray:
    """Make one label map of single masks; what lies in another structure is painted over it.

    `sizes` are the masks' numbers of voxels, where they were counted before.
    """
    return masks.combined({name: ids[name] for name in painting_order(sizes or masks.n_voxels())})


def _task(atlas: Atlas, place: CasePlace) -> Task:
    try:
        sources = sources_of(place, atlas.config)
        sources.refuse_nothing()
    except CtatlasError as error:
        return refused_task(place.case, place.assembled, error, step=STEP, version=STEP_VERSION)
    claims = {name: [claim.kind, claim.rank, claim.number] for name, claim in sources.claims.items()}
    decides = {
        "label_set": sources.label_set,
        "ids": dict(sources.ids),
        "annotators": sources.annotators,
        "claims": claims,
        "upstream": dict(sources.upstream),
    }
    makes = (SEGMENTATIONS, COMBINED, LABELS, PROVENANCE)
    work = partial(_assemble, sources)
    return Task(place.case, place.assembled, work, STEP, STEP_VERSION, parameters=decides, makes=makes)


def _assemble(sources: Sources, folder: Path, progress: Progress) -> dict[str, object]:
    """Fill the folder."""
    progress.stage("resolve", 1)
    found = assembled(sources)
    progress.stage("write", len(found.masks.names) + 1)
    (folder / SEGMENTATIONS).mkdir()
    written: dict[str, tuple[str, int]] = {}
    for name in found.masks.names:
        path = folder / SEGMENTATIONS / f"{name}{MASK}"
        n_voxels = write_structure(found.masks, name, path)
        written[name] = sha256_file(path), n_voxels
        progress.advance()
    sizes = {name: n_voxels for name, (_, n_voxels) in written.items()}
    write_labels(combined(found.masks, sources.ids, sizes), sources.grid, folder / COMBINED)
    names = {str(sources.ids[name]): name for name in found.masks.names}
    with whole_file(folder / LABELS) as file:
        file.write((json.dumps(names, indent=1) + "\n").encode())
    record = _provenance(sources, found, written)
    write_record(record, folder / PROVENANCE)
    return _summary(record)


def _provenance(sources: Sources, found: Assembly, written: Mapping[str, tuple[str, int]]) -> ProvenanceRecord:
    ml = sources.grid.voxel_ml
    lost, won = Counter[str](), Counter[str]()
    for collision in found.collisions:
        lost[collision.loser] += collision.n_voxels
        won[collision.winner] += collision.n_voxels
    masks = {
        name: AssembledMask(
            sha256=sha256,
            volume_ml=n_voxels * ml,
            n_voxels=n_voxels,
            source="absent" if name in sources.absent else sources.claims[name].kind,
            detail=_detail(sources, name),
            lost_ml=lost[name] * ml,
            won_ml=won[name] * ml,
        )
        for name, (sha256, n_voxels) in written.items()
    }
    conflicts = tuple(
        Conflict(winner=c.winner, loser=c.loser, ml=c.n_voxels * ml, rule=c.rule) for c in found.collisions
    )
    return ProvenanceRecord(
        label_set=sources.label_set, masks=masks, conflicts=conflicts, agreement=dict(found.agreement)
    )


def _detail(sources: Sources, name: str) -> str:
    """Say where a mask comes from, closer than its kind."""
    kind = sources.claims[name].kind
    if kind == "original":
        return sources.origin
    if kind == "pseudo":
        return ", ".join(member.name for member in sources.members if name in member.known.values())
    used = sources.revised[name].used
    numbers = ", ".join(map(str, used))
    return f"{sources.annotators} of revisions {numbers}" if len(used) > 1 else f"revision {numbers}"


def _summary(record: ProvenanceRecord) -> dict[str, object]:
    """Say what was assembled, in words of JSON."""
    kinds = Counter(mask.source for mask in record.masks.values())
    return {
        "structures": len(record.masks),
        "from": {kind: kinds[kind] for kind in ("original", "absent", "revised", "pseudo") if kinds[kind]},
        "conflicts": len(record.conflicts),
        "conflicts_ml": sum(conflict.ml for conflict in record.conflicts),
        "several_annotators": len(record.agreement),
    }
