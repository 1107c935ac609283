"""Rules about pieces and sizes: how many components a structure has, how small or large it may be, holes in it."""

from __future__ import annotations

import fill_voids
import numpy as np

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.components import Parts
from ctatlas.anatomy_rules.findings import NOTHING, Finding, Outcome
from ctatlas.anatomy_rules.landmarks import Anatomy  # noqa: TC001 (the registry reads annotations)
from ctatlas.anatomy_rules.registry import rule


def dropped(name: str, parts: Parts, labels: list[int], *, kind: str, why: str) -> Outcome:
    """Take components away, and say so."""
    if not labels:
        return NOTHING
    kept = parts.without(labels)
    return Outcome({name: kept}, (Finding(name, kind, why, removed_ml=parts.volume_ml - kept.volume_ml),))


@rule("keep_largest")
def keep_largest(name: str, anatomy: Anatomy, *, count: int = 1, at_least_of_largest: float = 0.0) -> Outcome:
    """Keep the largest components, as many as `count`, and of these only what is not too small beside the largest."""
    parts = anatomy.parts(name)
    if not parts.components:
        return NOTHING
    enough_ml = at_least_of_largest * parts.components[0].volume_ml
    labels = [c.label for at, c in enumerate(parts.components) if at >= count or c.volume_ml < enough_ml]
    why = f"{len(labels)} smaller pieces beside {len(parts.components) - len(labels)} kept"
    return dropped(name, parts, labels, kind="keep_largest", why=why)


@rule("drop_small")
def drop_small(name: str, anatomy: Anatomy, *, below_ml: float, unless_at_edge: bool = False) -> Outcome:
    """Drop components below a volume; where `unless_at_edge`, not those that the end of the scan may have cut."""
    parts = anatomy.parts(name)
    labels = [c.label for c in parts.components if c.volume_ml < below_ml and not (unless_at_edge and c.at_edge)]
    return dropped(name, parts, labels, kind="drop_small", why=f"{len(labels)} pieces below {below_ml:g} mL")


@rule("plausible_volume")
def plausible_volume(
    name: str, anatomy: Anatomy, *, at_least_ml: float | None = None, at_most_ml: float | None = None
) -> Outcome:
    """Drop a structure smaller than can be, flag one larger; limits not given are those of the table of structures.

    A structure that touches an end of the scan is never too small.
    """
    parts = anatomy.parts(name)
    known = structures().get(name)
    low = at_least_ml if at_least_ml is not None else known.at_least_ml if known else None
    high = at_most_ml if at_most_ml is not None else known.at_most_ml if known else None
    if low and parts.components and parts.volume_ml < low and not any(c.at_edge for c in parts.components):
        why = f"{parts.volume_ml:.1f} mL in all; at least {low:g} mL expected"
        return dropped(name, parts, [c.label for c in parts.components], kind="plausible_volume", why=why)
    if high and parts.volume_ml > high:
        why = f"{parts.volume_ml:.0f} mL in all; at most {high:g} mL expected; left as it is"
        return Outcome(findings=(Finding(name, "plausible_volume", why),))
    return NOTHING


@rule("fill_holes")
def fill_holes(name: str, anatomy: Anatomy) -> Outcome:
    """Fill what a structure encloses on all sides, unless another structure (but the body) is there."""
    parts = anatomy.parts(name)
    if not parts.components:
        return NOTHING
    mask = parts.mask()
    filled = fill_voids.fill(mask)
    holes = filled & ~mask
    if not holes.any():
        return NOTHING
    for other in anatomy.names:
        if other not in (name, "body"):
            holes &= ~anatomy.within(other, parts.box)
    added_ml = int(np.count_nonzero(holes)) * parts.grid.voxel_ml
    if not added_ml:
        return NOTHING
    finding = Finding(name, "fill_holes", "enclosed on all sides", added_ml=added_ml)
    return Outcome({name: Parts.of(mask | holes, parts.grid, parts.box)}, (finding,))
