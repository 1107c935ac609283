"""One case, what a model finds in it, and how good that is: a row per structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ctatlas.anatomy_rules.components import label_components, measure_components
from ctatlas.measure.case import measure_case
from ctatlas.models import card
from ctatlas.pipeline import segment
from ctatlas.training.evaluation.cases import Case
from ctatlas.training.evaluation.position import PAIRS
from ctatlas.volume import Segmentation, Volume

# Source: Wasserthal et al. 2023 (TotalSegmentator) report the normalised surface distance at 3 mm.
NSD_TOLERANCE_MM = 3.0
# Counted with the first wherever reference or model does not tell them apart: TotalSegmentator has no rectum.
COUNTED_WITH = {"colon": "rectum", "small_bowel": "duodenum"}


@dataclass(frozen=True, slots=True)
class Score:
    """A structure of one case.

    Attributes
    ----------
    sort, case, structure : str
    dice, nsd, volume_error : float or None
        Volume error: (found - true) / true. None where the structure is not there.
    position_dice : float or None
        Of the guess from place alone.
    reference_ml, predicted_ml : float
    invented_ml : float
        Found of a structure that is not there.
    stray_ml : float
        Largest connected piece found that does not touch the structure.
    """

    sort: str
    case: str
    structure: str
    dice: float | None
    nsd: float | None
    volume_error: float | None
    position_dice: float | None
    reference_ml: float
    predicted_ml: float
    invented_ml: float
    stray_ml: float


def find(volume: Volume, models: Sequence[str]) -> Segmentation:
    """Find everything that the first model names, whatever its card thinks of it."""
    return segment(volume, model=models, structures=list(card(models[0]).structures))


def score(case: Case, found: Segmentation, position: Mapping[str, float]) -> list[Score]:
    """Score what was found in a case, as far as the case's truth reaches.

    Parameters
    ----------
    case : Case
    found : Segmentation
        On the case's grid.
    position : mapping
        Structure -> Dice of the guess from place alone.
    """
    truth, found = comparable(case.truth, found)
    wanted = [name for name in found.names if name in truth.names]
    rows = measure_case(
        truth, found, case=case.name, structures=wanted, metrics=("dsc", "nsd", "volume_error"),
        tolerances=(NSD_TOLERANCE_MM,),
    )  # fmt: skip
    values = {(row.structure, row.metric): row.value for row in rows}
    ml, true, seen = truth.grid.voxel_ml, truth.n_voxels(), found.n_voxels()
    return [
        Score(
            case.sort,
            case.name,
            name,
            values[name, "dsc"] if true[name] else None,
            values[name, "nsd"] if true[name] else None,
            values[name, "volume_error"] if true[name] else None,
            position.get(name),
            true[name] * ml,
            seen[name] * ml,
            0.0 if true[name] else seen[name] * ml,
            stray_ml(name, truth, found) if true[name] else 0.0,
        )
        for name in sorted(wanted)
    ]


def comparable(truth: Segmentation, found: Segmentation) -> tuple[Segmentation, Segmentation]:
    """Fuse on both sides what one of them does not tell apart, and add pairs of sided organs."""
    for whole, part in COUNTED_WITH.items():
        if (part in truth.names) != (part in found.names):
            truth, found = (_fused(each, whole, part) for each in (truth, found))
    for pair, sides in PAIRS.items():
        truth, found = (_paired(each, pair, sides) for each in (truth, found))
    return truth, found


def _fused(segmentation: Segmentation, whole: str, part: str) -> Segmentation:
    if not {whole, part} <= set(segmentation.names):
        return segmentation
    mask = segmentation.mask(whole) | segmentation.mask(part)
    return segmentation.select([name for name in segmentation.names if name not in (whole, part)]).add(whole, mask)


def _paired(segmentation: Segmentation, pair: str, sides: tuple[str, ...]) -> Segmentation:
    if pair in segmentation.names or not set(sides) <= set(segmentation.names):
        return segmentation
    return segmentation.add(pair, np.logical_or.reduce([segmentation.mask(side) for side in sides]))


def stray_ml(name: str, truth: Segmentation, found: Segmentation) -> float:
    """Return the volume of the largest connected piece found that does not touch the structure."""
    box = found.box(name)
    if box is None:
        return 0.0
    pieces = label_components(found.within(name, box))
    touching = set(np.unique(pieces[truth.within(name, box)]).tolist())
    measured = measure_components(pieces, found.grid)
    return max((piece.volume_ml for piece in measured if piece.label not in touching), default=0.0)
