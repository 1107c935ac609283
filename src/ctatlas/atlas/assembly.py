"""The one mask of each structure of a case, put together in memory.

`sources` decided from the records whose mask it is; here the masks are read, `ensemble` makes one prediction of several
models', `consensus` one mask of several annotators', `resolve` settles who keeps a voxel, `nest` lets organs include
their tumors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ctatlas.anatomy import holders
from ctatlas.atlas.consensus import CONSENSUS, Votes, agreement, staple
from ctatlas.atlas.ensemble import Collision, decided, differences, mean_probability
from ctatlas.atlas.layout import MASK
from ctatlas.atlas.nest import nested
from ctatlas.atlas.records import AgreementRecord
from ctatlas.atlas.resolve import resolved
from ctatlas.atlas.sources import Member, Sources
from ctatlas.errors import ScanError
from ctatlas.volume import Grid, LabelMap, Segmentation, read_labels
from ctatlas.volume.formats.label_map import ids_in


@dataclass(frozen=True, slots=True)
class Assembly:
    """The one mask of each structure of a case.

    Attributes
    ----------
    masks : Segmentation
        On the scan's grid, in the order of the label set.
    collisions : tuple of Collision
    agreement : mapping of str to AgreementRecord
    """

    masks: Segmentation
    collisions: tuple[Collision, ...]
    agreement: Mapping[str, AgreementRecord]


def assembled(sources: Sources) -> Assembly:
    """Put a case's masks together, in memory.

    Raises
    ------
    ScanError
        When a mask can't be read or lies on another grid.
    """
    pseudo, collisions = _predicted(sources)
    agreements: dict[str, AgreementRecord] = {}
    masks = pseudo.with_masks(drawn_masks(sources, agreements)).select(sources.claims)
    masks, more = resolved(masks, sources.claims, partial(_probability, sources.members, sources.grid))
    masks = nested(masks, {name: claim.rank for name, claim in sources.claims.items()})
    return Assembly(masks, (*collisions, *more), dict(sorted(agreements.items())))


def _predicted(sources: Sources) -> tuple[Segmentation, list[Collision]]:
    """Return the structures whose masks are predicted, and what the models' votes about them cost each."""
    wanted = set(sources.of_kind("pseudo"))
    if not wanted:
        return Segmentation(sources.grid), []
    known = [{sources.ids[name] for name in member.known.values() if name in sources.ids} for member in sources.members]
    names = {number: name for name, number in sources.ids.items() if any(number in one for one in known)}
    found = differences(labels_of(member, sources) for member in sources.members)
    maps = partial(probability_maps, sources.members)
    all_there = all(_has_probabilities(member, sources.ids) for member in sources.members)
    labels, collisions = decided(found, names, sources.grid, maps if all_there else None, known)
    hidden = [name for name in names.values() if name not in wanted and holders(name, wanted)]
    masks = Segmentation.from_labels(
        sources.grid, labels, {n: s for n, s in names.items() if s in wanted or s in hidden}
    )
    if hidden:  # a tumor whose mask comes from elsewhere has left a hole in the predicted organ
        masks = nested(masks, dict.fromkeys(masks.names, 0)).select(name for name in masks.names if name in wanted)
    return masks, [collision for collision in collisions if {collision.winner, collision.loser} <= wanted]


def drawn_masks(sources: Sources, agreements: dict[str, AgreementRecord]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the masks that people drew, originals and revised ones; fill in how far annotators agree.

    Each mask is good until the next is asked for, which takes its memory.
    """
    memory = np.empty(sources.grid.n_voxels, np.uint8)
    for name in sources.of_kind("original"):
        files = [sources.place.original / f"{part}{MASK}" for part in sources.parts[name]]
        mask = _mask(files[0], sources.grid, memory)
        for file in files[1:]:
            mask |= _mask(file, sources.grid)
        yield name, mask
    for name, revised in sources.revised.items():
        numbers = {*revised.used, *revised.people}
        drawn = {number: sources.place.revision(number) / f"{name}{MASK}" for number in numbers}
        if revised.people:
            votes = Votes.of(_mask(drawn[number], sources.grid, memory) for number in revised.people)
            agreements[name] = _agreement(votes, revised.people, sources.grid)
        if len(revised.used) > 1:
            yield name, CONSENSUS[sources.annotators](votes)
        else:
            yield name, _mask(drawn[revised.used[0]], sources.grid, memory)


def _agreement(votes: Votes, revisions: tuple[int, ...], grid: Grid) -> AgreementRecord:
    found, estimated = agreement(votes), staple(votes)
    return AgreementRecord(
        revisions=revisions,
        dice=found.dice,
        lowest_dice=found.lowest_dice,
        kappa=found.kappa,
        disputed_ml=found.disputed_voxels * grid.voxel_ml,
        sensitivity=tuple(estimated.sensitivity.tolist()),
        specificity=tuple(estimated.specificity.tolist()),
    )


def labels_of(member: Member, sources: Sources) -> np.ndarray:
    """Return a member's label map in the ids of the atlas; structures that the atlas does not have become nothing."""
    path = member.folder / "labels.nii.gz"
    labels = _on_grid(path, sources.grid).labels
    table, listed = np.zeros(256, np.uint8), np.zeros(256, bool)
    listed[[0, *member.known]] = True
    for number, name in member.known.items():
        table[number] = sources.ids.get(name, 0)
    if strangers := [number for number in ids_in(labels) if number > 255 or not listed[number]]:
        value = strangers[0]
        raise ScanError(f"{path}: holds label {value}, which its labels.json does not name; predict the case again")
    same = (table[listed] == np.flatnonzero(listed)).all()
    return labels if same and labels.dtype == np.uint8 else table[labels]


def _mask(path: Path, grid: Grid, memory: np.ndarray | None = None) -> np.ndarray:
    """Read a mask, bool; in the memory given where that does."""
    labels = _on_grid(path, grid, memory).labels
    mask = labels.view(np.bool_) if labels.dtype == np.uint8 else np.empty(labels.shape, np.bool_, order="F")
    np.not_equal(labels, 0, out=mask)
    return mask


def _on_grid(path: Path, grid: Grid, memory: np.ndarray | None = None) -> LabelMap:
    """Read labels that must lie on the scan's voxels."""
    found = read_labels(path, memory)
    if not found.grid.is_like(grid):
        shapes = (" x ".join(map(str, one.shape)) for one in (found.grid, grid))
        raise ScanError("{}: lies on another grid ({} voxels) than the scan ({})".format(path, *shapes))
    return found


def _has_probabilities(member: Member, ids: Mapping[str, int]) -> bool:
    return all(_map_file(member, name).is_file() for name in member.known.values() if name in ids)


def _map_file(member: Member, name: str) -> Path:
    return member.folder / "probabilities" / f"{name}{MASK}"


def probability_maps(members: Sequence[Member], name: str) -> Iterator[tuple[np.ndarray, Grid]]:
    """Yield the probabilities of a structure by every member that knows it."""
    for member in members:
        if name in member.known.values() and _map_file(member, name).is_file():
            found = read_labels(_map_file(member, name))
            yield found.labels, found.grid


def _probability(members: Sequence[Member], grid: Grid, name: str, points: np.ndarray) -> np.ndarray | None:
    there = any(name in member.known.values() and _map_file(member, name).is_file() for member in members)
    return mean_probability(probability_maps(members, name), grid, points) if there else None
