"""The tables of the attention: limits of the maps, minutes of an annotator."""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Limits:
    """`data/limits.toml`, flat: what each number means stands there with its source."""

    entropy_at_least: float
    disagreement_at_least: float
    overlap_risk: float
    contradiction_risk: float
    prior_risk: dict[str, float]
    edge_sure: float
    edge_model_voxels: float
    piece_at_least_wrong_ml: float
    hot_spot_at_most_mm: float
    hot_spot_at_least_score_a_minute: float
    hot_spots_of_a_structure: int
    hot_spots_at_most: int


@dataclass(frozen=True, slots=True)
class Minutes:
    """`data/minutes.csv`: how long an annotator takes."""

    open_case: float
    open_spot: float
    look: float
    correct: float
    review_structure: float
    draw_structure: float
    revise_case: float

    def of_spot(self, extent_mm: float, wrong_ml: float, share: float = 1.0) -> float:
        """Return the expected time to correct a box: find it, scroll along its slices, paint what is wrong.

        Painting a `share` of a structure takes no longer than that share of drawing all of it anew.
        """
        painting = min(self.correct * wrong_ml, self.draw_structure * share)
        return float(self.of_look(np.float64(extent_mm))) + painting

    def of_look(self, extent_mm: np.ndarray | np.float64) -> np.ndarray:
        """Return the expected time to find boxes so many mm long and to scroll along their slices."""
        return np.asarray(self.open_spot + self.look * np.ceil(extent_mm / _LOOK_MM))


_LOOK_MM = 5.0  # the unit of `look`


@cache
def limits() -> Limits:
    """Read the table of limits."""
    table = tomllib.loads((_DATA / "limits.toml").read_text(encoding="utf-8"))
    return Limits(
        entropy_at_least=table["entropy"]["at_least"],
        disagreement_at_least=table["disagreement"]["at_least"],
        overlap_risk=table["overlap"]["risk"],
        contradiction_risk=table["contradiction"]["risk"],
        prior_risk={severity: row["risk"] for severity, row in table["prior"].items()},
        edge_sure=table["edge"]["sure"],
        edge_model_voxels=table["edge"]["model_voxels"],
        piece_at_least_wrong_ml=table["piece"]["at_least_wrong_ml"],
        hot_spot_at_most_mm=table["hot_spot"]["at_most_mm"],
        hot_spot_at_least_score_a_minute=table["hot_spot"]["at_least_score_a_minute"],
        hot_spots_of_a_structure=table["hot_spot"]["at_most_of_a_structure"],
        hot_spots_at_most=table["hot_spot"]["at_most_in_a_case"],
    )


@cache
def minutes() -> Minutes:
    """Read the table of minutes."""
    with (_DATA / "minutes.csv").open(encoding="utf-8", newline="") as file:
        return Minutes(**{row["activity"]: float(row["minutes"]) for row in csv.DictReader(file, strict=True)})
