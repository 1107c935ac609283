"""From a dataset's own label map to the structures it annotates: numbers to names, unions filled, both sides parted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctatlas.anatomy import LabelSet, structures
from ctatlas.anatomy_rules.apply import apply_rules
from ctatlas.anatomy_rules.registry import rules_from
from ctatlas.volume import Grid, Segmentation

if TYPE_CHECKING:
    from ctatlas.anatomy_rules.registry import Rule

LANDMARKS = ("vertebrae", "body")  # what a midline is found by


def annotated_structures(
    labels: np.ndarray, grid: Grid, label_set: LabelSet, *, landmarks: Segmentation | None = None
) -> Segmentation:
    """Take every structure that a label set annotates out of a label map.

    Parameters
    ----------
    labels : (i, j, k) uint8 or uint16
        Numbered as the dataset numbers. Numbers that the set does not have are left out.
    grid : Grid
    label_set : LabelSet
        Its `also` fills organs with their tumors, its `split` parts what holds both sides.
    landmarks : Segmentation, optional
        Vertebrae or a body outline of the same scan, by which its midline is found. By default those of `labels`, or
        else the middle of the scan.

    Returns
    -------
    Segmentation
        `label_set.annotated`, in that order. What is annotated and absent is an empty mask.
    """
    values = np.asfortranarray(labels)
    found = Segmentation.from_labels(grid, values, label_set.labels)
    found = found.replace(
        {
            name: found.mask(name) | np.isin(values, numbers)
            for name, numbers in _numbers_besides(label_set).items()
            if name in found.names
        }
    )
    if landmarks is not None:
        more = [name for name in landmarks.names if name not in found.names and _is_landmark(name)]
        found = found.with_masks((name, landmarks.mask(name)) for name in more)
    return apply_rules(found, _splits(label_set)).segmentation.select(label_set.annotated)


def _numbers_besides(label_set: LabelSet) -> dict[str, list[int]]:
    """Return structure → the labels of others that count for it, too."""
    names = dict.fromkeys(name for several in label_set.also.values() for name in several)
    return {name: [number for number, several in label_set.also.items() if name in several] for name in names}


def _is_landmark(name: str) -> bool:
    return name in LANDMARKS or name in structures()["vertebrae"].parts


def _splits(label_set: LabelSet) -> tuple[Rule, ...]:
    rows = []
    for number, kind in label_set.split.items():
        name = label_set.labels[number]
        sides: dict[str, str] = {structures()[part].side: part for part in structures()[name].parts}
        rows.append({"kind": kind, "structure": name, **sides, "source": f"label set {label_set.name}"})
    return rules_from(rows)
