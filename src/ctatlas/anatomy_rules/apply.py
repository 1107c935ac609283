"""Carry rules out on a segmentation, one after the other, and write back what they changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.anatomy_rules.findings import Finding, Tidied
from ctatlas.anatomy_rules.landmarks import Anatomy
from ctatlas.anatomy_rules.registry import RULES, Rule
from ctatlas.volume.segmentation import Segmentation

if TYPE_CHECKING:
    from ctatlas.anatomy_rules.components import Parts


def apply_rules(segmentation: Segmentation, rules: Sequence[Rule]) -> Tidied:
    """Tidy a segmentation.

    Parameters
    ----------
    segmentation : Segmentation
        On any grid: a network's coarse one or a scan's. Structures that serve as references only (`body`, `vertebrae`,
        auxiliary classes) may be in it; what is not there is not asked for.
    rules : sequence of Rule
        Carried out in this order, each structure as the rules before left it.

    Returns
    -------
    Tidied
        A structure from which all is removed keeps its name: looked for, not found.
    """
    anatomy = Anatomy(segmentation)
    findings: list[Finding] = []
    gone: list[str] = []
    for row in rules:
        for name in row.structures:
            if name not in anatomy.names or name in gone:
                continue
            outcome = RULES[row.kind](name, anatomy, **row.parameters)
            for changed, parts in outcome.changed.items():
                anatomy.put(changed, parts)
            findings += outcome.findings
            gone += outcome.gone
    return Tidied(_written_back(segmentation, anatomy.changed, gone), tuple(findings))


def _written_back(segmentation: Segmentation, changed: dict[str, Parts], gone: list[str]) -> Segmentation:
    """Return the segmentation with changed structures; one that no longer fits into its layer goes to another."""
    if not changed:
        return segmentation
    layers = list(segmentation.layers)
    places = {name: place for name, place in segmentation.places.items() if name not in gone}
    for name in {*changed, *gone} & segmentation.places.keys():
        place = segmentation.places[name]
        if layers[place.layer] is segmentation.layers[place.layer]:
            layers[place.layer] = layers[place.layer].copy(order="F")
        layer = layers[place.layer]
        layer[layer == place.value] = 0
    for name in changed:
        places.pop(name, None)
    whole = Segmentation(segmentation.grid, tuple(layers), places).with_masks(
        (name, _mask(parts)) for name, parts in changed.items() if name not in gone
    )
    order = [name for name in segmentation.names if name not in gone]
    return whole.select([*order, *(name for name in whole.names if name not in order)])


def _mask(parts: Parts) -> np.ndarray:
    """Return a structure's voxels on the whole grid."""
    mask = np.zeros(parts.grid.shape, dtype=bool, order="F")
    mask[parts.box] = parts.mask()
    return mask
