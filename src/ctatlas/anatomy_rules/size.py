"""Rules about pieces and sizes: how many components a structure has, how small or large it may be, holes in it."""

from __future__ import annotations

from collections.abc import Iterable

import fill_voids

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.anatomy import Anatomy
from ctatlas.anatomy_rules.components import Component
from ctatlas.anatomy_rules.findings import Change, Outcome
from ctatlas.anatomy_rules.registry import rule


def dropped(anatomy: Anatomy, name: str, components: Iterable[Component], why: str, *, to: str = "") -> Outcome:
    """Take components away from a structure."""
    return Outcome(tuple(Change(name, to, c.box, anatomy.voxels(name, c), why, c) for c in components))


@rule("keep_largest")
def keep_largest(name: str, anatomy: Anatomy, *, count: int = 1, at_least_of_largest: float = 0.0) -> Outcome:
    """Keep the largest components, as many as `count`, and of these only what is not too small beside the largest."""
    components = anatomy.components(name)
    small = [
        component
        for at, component in enumerate(components)
        if at >= count or component.volume_ml < at_least_of_largest * components[0].volume_ml
    ]
    return dropped(anatomy, name, small, f"smaller pieces beside the {len(components) - len(small)} kept")


@rule("drop_small")
def drop_small(name: str, anatomy: Anatomy, *, below_ml: float, unless_at_edge: bool = False) -> Outcome:
    """Drop components below a volume; where `unless_at_edge`, not those that the end of the scan may have cut."""
    small = [c for c in anatomy.components(name) if c.volume_ml < below_ml and not (unless_at_edge and c.at_edge)]
    return dropped(anatomy, name, small, f"pieces below {below_ml:g} mL")


@rule("plausible_volume")
def plausible_volume(
    name: str, anatomy: Anatomy, *, at_least_ml: float | None = None, at_most_ml: float | None = None
) -> Outcome:
    """Drop a structure smaller than can be, note one larger; limits not given are those of the table of structures.

    A structure that the end of the scan may have cut is never too small.
    """
    known, components, volume_ml = structures().get(name), anatomy.components(name), anatomy.volume_ml(name)
    low = at_least_ml if at_least_ml is not None else known.at_least_ml if known else None
    high = at_most_ml if at_most_ml is not None else known.at_most_ml if known else None
    if low is not None and volume_ml < low and not any(component.at_edge for component in components):
        return dropped(anatomy, name, components, f"{volume_ml:.1f} mL in all, at least {low:g} mL expected")
    if high is not None and volume_ml > high:
        return Outcome(notes=(f"{volume_ml:.0f} mL in all, at most {high:g} mL expected; left as it is",))
    return Outcome()


@rule("fill_holes")
def fill_holes(name: str, anatomy: Anatomy) -> Outcome:
    """Fill what a component encloses on all sides, unless another structure (but the body) is there."""
    changes = []
    for component in anatomy.components(name):
        mask = anatomy.voxels(name, component)
        holes = fill_voids.fill(mask) & ~mask
        if holes.any():
            for other in anatomy.names:
                if other != "body":
                    holes &= ~anatomy.within(other, component.box)
        if holes.any():
            changes.append(Change("", name, component.box, holes, "enclosed on all sides", component))
    return Outcome(tuple(changes))
