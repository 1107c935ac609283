"""The attention of one case, all structures: what the step writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ctatlas.atlas.attention.boxed import NOWHERE, Boxed
from ctatlas.atlas.attention.ensemble import Ensemble, Member, combined
from ctatlas.atlas.attention.hotspots import StructureAttention, attention_of, by_gain
from ctatlas.atlas.attention.limits import limits
from ctatlas.atlas.attention.maps import Doubt, Prior, doubt
from ctatlas.atlas.attention.overlaps import overlaps
from ctatlas.atlas.records import AttentionRecord, HotSpot, HotSpotsRecord
from ctatlas.volume import Grid

MembersOf = Callable[[str], Sequence[Member]]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """All that the attention knows of one structure.

    Attributes
    ----------
    structure : str
    grid : Grid
        Of the scan.
    mask : Boxed
        bool, what would go into the atlas.
    ensemble : Ensemble
    doubt : Doubt
    found : StructureAttention
        Map, record and hot spots: what is written.
    """

    structure: str
    grid: Grid
    mask: Boxed
    ensemble: Ensemble
    doubt: Doubt
    found: StructureAttention


def ensemble_masks(structures: Iterable[str], members_of: MembersOf, grid: Grid) -> dict[str, Boxed]:
    """Return the masks of the ensemble, bool: where a structure is more likely than not by the members' mean."""
    return {name: combined(members_of(name), grid).mask for name in structures}


def attend(
    structures: Iterable[str],
    members_of: MembersOf,
    masks: Mapping[str, Boxed],
    grid: Grid,
    priors: Mapping[str, tuple[Prior, ...]] | None = None,
    *,
    kept: Mapping[str, Boxed] | None = None,
) -> Iterator[Seen]:
    """Yield where to look, one structure after the other; of probabilities only one structure's are held.

    Parameters
    ----------
    structures : iterable of str
        Those without a trusted label.
    members_of : callable
        Gives the members of the ensemble for a structure; asked once for each.
    masks : mapping of str to Boxed
        bool, of all structures that may collide, those with a trusted label too: from `ensemble_masks`, or those that
        an assembly would choose.
    grid : Grid
        Of the scan.
    priors : mapping, optional
        The rules that a structure breaks.
    kept : mapping of str to Boxed, optional
        bool, what an assembly makes of `masks`: tidied, without collisions; default: they go there as they are.
    """
    collisions = overlaps(masks)
    nothing = Boxed.zeros(grid.shape, NOWHERE, np.bool_)
    for name in structures:
        broken = (priors or {}).get(name, ())
        mask = (kept or masks).get(name, nothing)
        ensemble = combined(members_of(name), grid)
        maps = doubt(ensemble, mask, grid, collisions.get(name), broken)
        mask_ml = int(np.count_nonzero(mask.values)) * grid.voxel_ml
        yield Seen(name, grid, mask, ensemble, maps, attention_of(name, maps, mask_ml, grid, broken))


def hot_spots_record(
    found: Mapping[str, StructureAttention], members: Sequence[str], preset: str = "default"
) -> HotSpotsRecord:
    """Gather a case's hot spots, the most gain a minute first; the longest lists are cut at their end."""
    spots = sorted((spot for each in found.values() for spot in each.hotspots), key=by_gain)
    listed = tuple(spots[: limits().hot_spots_at_most])
    return HotSpotsRecord(
        preset=preset,
        members=tuple(members),
        structures={name: _with_rest(name, each.record, listed) for name, each in found.items()},
        hotspots=listed,
    )


def _with_rest(name: str, record: AttentionRecord, listed: Sequence[HotSpot]) -> AttentionRecord:
    """Say what of a structure is not listed; a hot spot of the whole scan holds no voxels of the map."""
    own = [spot for spot in listed if spot.structure == name]
    ml = record.ml - sum(spot.ml for spot in own if not spot.absent)
    score = record.score - sum(spot.score for spot in own)
    return record.model_copy(update={"unlisted_ml": max(0.0, ml), "unlisted_score": max(0.0, score)})
