"""What a person should know about a case beside its numbers: one row of `warnings.csv` each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "all_background",  # every mask of a side is empty
    "mirrored",  # the prediction would fit far better if it were flipped
    "no_lesions",  # lesions were asked for of what no case compares
    "not_annotated",  # predicted, but nobody looked for it in the reference
    "not_predicted",  # annotated, but no prediction of any case tells about it
    "put_together",  # a structure of one side is a union of structures of the other
    "remark",  # what reading had to decide
    "resampled",  # the prediction was brought onto the reference's grid
    "surplus_prediction",  # a prediction without a reference
    "swapped_sides",  # left and right would fit far better the other way round
    "thick_slices",  # on such voxels a metric says less
    "ties_at_tolerance",  # rounding decides whether a part of the surfaces is within the tolerance
    "unknown_label",  # a number that the label set does not have
]


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to know; `structure` is empty where it concerns the case, `case` where it concerns all of them."""

    kind: Kind
    message: str
    structure: str = ""
    case: str = ""
