"""Step `attend`: where annotators should look in each case, as maps, hot spots, and places that can be asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.atlas.assembly import assembled, drawn_masks, labels_of, probability_maps
from ctatlas.atlas.attention import (
    Boxed,
    Member,
    Prior,
    attend,
    combined,
    ensemble_masks,
    hot_spots_record,
    published_attention,
    published_entropy,
    published_overlaps,
    published_rules,
    published_targets,
    untrusted,
)
from ctatlas.atlas.attention.boxed import around
from ctatlas.atlas.check import hash_of_tables, rules_broken
from ctatlas.atlas.layout import MASK, CasePlace
from ctatlas.atlas.queries import PLACES, places_record, tiles_of
from ctatlas.atlas.records import AttentionRecord, HotSpotsRecord, read_record, write_record
from ctatlas.atlas.revise.store import RULES, revision_records
from ctatlas.atlas.sources import Sources, sources_of, unheard
from ctatlas.errors import AtlasError, CtatlasError
from ctatlas.execution import Task, refused_task, whole_record
from ctatlas.kernels.boxes import Box, widened
from ctatlas.kernels.brick import dilated
from ctatlas.progress import Progress
from ctatlas.volume import Grid, write_array_uint8

if TYPE_CHECKING:
    from ctatlas.atlas.atlas import Atlas
    from ctatlas.volume import Segmentation

STEP = "attend"
STEP_VERSION = 4
HOT_SPOTS = "hotspots.json"


@dataclass(frozen=True, slots=True)
class Looked:
    """What of a case is looked at.

    Attributes
    ----------
    sources : Sources
    structures : tuple of str
        Those without a trusted label that a member knows.
    """

    sources: Sources
    structures: tuple[str, ...]

    @property
    def members(self) -> tuple[str, ...]:
        """Return the names of those who predicted."""
        return tuple(member.name for member in self.sources.members)

    def members_of(self, name: str) -> list[Member]:
        """Read what members hold for likely; where one left no probabilities its mask stands for them."""
        found = [Member(values, grid) for values, grid in probability_maps(self.sources.members, name)]
        if found:
            return found
        labels = [labels_of(member, self.sources) for member in self.sources.members if name in member.known.values()]
        number = self.sources.ids[name]
        return [Member((each == number) * np.uint8(255), self.sources.grid) for each in labels]


Work = Callable[[Looked, Path, Progress], HotSpotsRecord]


def attend_tasks(
    atlas: Atlas, cases: Sequence[CasePlace], *, preset: str = "default", annotated_too: bool = False
) -> list[Task]:
    """Turn cases into tasks; one without predictions becomes a task that fails and says so.

    Parameters
    ----------
    atlas : Atlas
    cases : sequence of CasePlace
    preset : str
        A key of `PRESETS`.
    annotated_too : bool
        Look at what the source dataset annotated, too: its labels are wrong sometimes. What was revised is trusted.

    Raises
    ------
    AtlasError
        When no preset is called that.
    """
    if preset not in PRESETS:
        raise AtlasError(f"no preset is called {preset!r}; there are {', '.join(sorted(PRESETS))}")
    return [_task(atlas, place, preset, annotated_too=annotated_too) for place in cases]


def _task(atlas: Atlas, place: CasePlace, preset: str, *, annotated_too: bool) -> Task:
    try:
        sources = sources_of(place, atlas.config)
        if not sources.members:
            raise AtlasError(f"{place.case}: has no predictions of the atlas's members; {unheard(place, atlas.config)}")
    except CtatlasError as error:
        return refused_task(place.case, place.attention, error, step=STEP, version=STEP_VERSION)
    known = {name for member in sources.members for name in member.known.values()}
    trusted = _seen_by_people(place) | (set() if annotated_too else set(sources.of_kind("original")))
    wanted = published_targets(trusted) if preset == "abdomenatlas" else untrusted(sources.ids, trusted)
    structures = tuple(name for name in wanted if name in known)
    members = {member.name: (whole_record(member.folder) or {}).get("key") for member in sources.members}
    rules = hash_of_tables() if preset == "default" else None
    claims = {name: [claim.kind, claim.rank, claim.number] for name, claim in sources.claims.items()}
    decides = {
        "preset": preset,
        "structures": list(structures),
        "upstream": {**sources.upstream, "members": members, "rules": rules, "claims": claims},
    }
    makes = (HOT_SPOTS, PLACES, *(f"{name}{MASK}" for name in structures))
    work = partial(_attend, Looked(sources, structures), PRESETS[preset])
    return Task(place.case, place.attention, work, STEP, STEP_VERSION, parameters=decides, makes=makes)


def _seen_by_people(place: CasePlace) -> set[str]:
    """Return what annotators looked at, found right or corrected; what rules corrected nobody has seen."""
    records = [record for record in revision_records(place).values() if record.author != RULES]
    return {name for record in records for name in (*record.reviewed, *record.masks)}


def _attend(looked: Looked, work: Work, folder: Path, progress: Progress) -> dict[str, object]:
    """Fill the folder."""
    progress.stage("attend", len(looked.structures))
    record = work(looked, folder, progress)
    write_record(record, folder / HOT_SPOTS)
    return {
        "preset": record.preset,
        "structures": len(record.structures),
        "hot_spots": len(record.hotspots),
        "ml": sum(each.ml for each in record.structures.values()),
        "minutes": sum(spot.minutes for spot in record.hotspots),
        "draw_minutes": sum(spot.minutes for spot in record.hotspots if spot.absent),
    }


def _by_default(looked: Looked, folder: Path, progress: Progress) -> HotSpotsRecord:
    grid, case = looked.sources.grid, looked.sources.place.case
    masks = {name: Boxed.of(mask) for name, mask in drawn_masks(looked.sources, {})}
    predicted = [name for name in looked.structures if name not in masks]
    masks |= ensemble_masks(predicted, looked.members_of, grid)
    assembly = assembled(looked.sources).masks
    kept = {name: Boxed.of(mask) for name, mask in assembly.items()}
    priors = _priors(looked.sources, assembly, kept)
    found, tiles = {}, []
    for seen in attend(looked.structures, looked.members_of, masks, grid, priors, kept=kept):
        write_array_uint8(seen.found.heat.whole(), grid, folder / f"{seen.structure}{MASK}")
        tiles.append(list(tiles_of(case, seen)))
        found[seen.structure] = seen.found
        progress.advance()
    write_record(places_record(chain.from_iterable(tiles)), folder / PLACES)
    return hot_spots_record(found, looked.members)


def _priors(sources: Sources, assembly: Segmentation, kept: Mapping[str, Boxed]) -> dict[str, tuple[Prior, ...]]:
    """Return the rules that each structure breaks; one that says not where means all of it."""
    priors: dict[str, tuple[Prior, ...]] = {}
    for finding in rules_broken(sources.place, assembly, sources.absent):
        mask = kept.get(finding.structure)
        everywhere = mask.box if mask is not None and mask.values.any() else None
        box = Box(finding.lo, finding.hi) if finding.lo and finding.hi else everywhere
        prior = Prior(finding.rule, finding.severity, box, finding.value if finding.unit == "mL" else None)
        priors[finding.structure] = (*priors.get(finding.structure, ()), prior)
    return priors


def _as_published(looked: Looked, folder: Path, progress: Progress) -> HotSpotsRecord:
    """Work as AbdomenAtlas-8K on the scan's grid; the record's score is its voxel count, and there are no hot spots."""
    grid = looked.sources.grid
    known = {name for member in looked.sources.members for name in member.known.values()}
    names = [name for name in dict.fromkeys([*looked.structures, *published_rules().rivals]) if name in known]
    hard = [labels_of(member, looked.sources) for member in looked.sources.members]
    masks = {name: _published_mask([near for _, near in _published_maps(looked, hard, name)], grid) for name in names}
    records = {}
    for name, overlap in published_overlaps(masks, looked.structures, grid.shape):
        soft = _published_maps(looked, hard, name)
        entropy = [Boxed(each.shape, each.box, published_entropy(each.values)) for each, _ in soft]
        found = published_attention([near for _, near in soft], entropy, overlap)
        write_array_uint8(found.attention.whole(), grid, folder / f"{name}{MASK}")
        records[name] = AttentionRecord(
            ml=found.size * grid.voxel_ml,
            score=found.size,
            entropy_ml=_ml(found.uncertainty, grid.voxel_ml),
            disagreement_ml=_ml(found.inconsistency, grid.voxel_ml),
            overlap_ml=_ml(found.overlap, grid.voxel_ml),
            heat=found.heat,
        )
        progress.advance()
    return HotSpotsRecord(preset="abdomenatlas", members=looked.members, structures=records, hotspots=())


def _published_maps(looked: Looked, hard: Sequence[np.ndarray], name: str) -> list[tuple[Boxed, Boxed]]:
    """Return each member's probabilities: all, and as its published files have them, 0 a voxel beyond its own mask."""
    grid, maps = looked.sources.grid, []
    for member, labels in zip(looked.sources.members, hard, strict=True):
        if name in member.known.values():
            alone = replace(looked, sources=replace(looked.sources, members=(member,)))
            every = combined(alone.members_of(name), grid).mean
            mask = Boxed.of(labels == looked.sources.ids[name])
            box = widened(mask.box, (1, 1, 1), grid.shape) if mask.values.size else mask.box
            near = every.within(box) * dilated(mask.within(box), (1, 1, 1))
            maps.append((every, Boxed(grid.shape, box, near)))
    return maps


def _published_mask(soft: Sequence[Boxed], grid: Grid) -> Boxed:
    """Return where the mean of the members' published files is above one half, bool."""
    box = around([each.box for each in soft])
    total = np.zeros(box.shape, np.uint16, order="F")
    for each in soft:
        total += each.within(box)
    return Boxed(grid.shape, box, 2 * total > 255 * len(soft)).tight()


def _ml(found: Boxed, voxel_ml: float) -> float:
    return int(np.count_nonzero(found.values)) * voxel_ml


PRESETS: dict[str, Work] = {"default": _by_default, "abdomenatlas": _as_published}


def attended(cases: Sequence[CasePlace]) -> Iterator[tuple[str, HotSpotsRecord]]:
    """Yield what the step found, of the cases for which it is whole."""
    for place in cases:
        if whole_record(place.attention) is not None:
            yield place.case, read_record(HotSpotsRecord, place.attention / HOT_SPOTS)
