"""Every model against every other: the rows of `pairwise.csv` and `effects.csv`.

Source of the protocol: Wiesenfarth et al. 2021 (challengeR), also used by Touchstone: a one-sided Wilcoxon signed-rank
test of every ordered pair, Holm over a stated family. Its faults are mended: one set of cases for all pairs, identical
scores give p = 1, and an effect size stands beside every p-value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ctatlas.benchmark.correction import holm
from ctatlas.benchmark.resampling import Resampling, interval
from ctatlas.benchmark.scores import Scores
from ctatlas.benchmark.signed_rank import DECIMALS, Zeros, one_sided, rank_biserial

Family = Literal["map", "metric", "all"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One ordered pair, and whether the one is better than the other.

    Attributes
    ----------
    n : int
        Cases in which all models have a value; equal for all pairs of a structure.
    p, p_holm : float
    significant : bool
        Whether `p_holm` is below alpha.
    """

    structure: str
    metric: str
    better: str
    worse: str
    n: int
    p: float
    p_holm: float
    significant: bool


FAMILIES: dict[Family, Callable[[Comparison], tuple[str, ...]]] = {
    "map": lambda one: (one.metric, one.structure),
    "metric": lambda one: (one.metric,),
    "all": lambda _: (),
}


@dataclass(frozen=True, slots=True)
class Effect:
    """How much two models differ, whatever the p-value says.

    Attributes
    ----------
    difference, ci_low, ci_high : float
        Mean of model_a minus model_b over the same cases, in the metric's unit; 95 % bootstrap by patient.
    wins, ties, losses : int
        Cases in which model_a is better, equal, worse.
    rank_biserial : float
        (W+ - W-) / (W+ + W-) of the signed ranks, from -1 to 1; above 0 where model_a is better.
    """

    structure: str
    metric: str
    model_a: str
    model_b: str
    n: int
    difference: float
    ci_low: float
    ci_high: float
    wins: int
    ties: int
    losses: int
    rank_biserial: float


def compare(scores: Scores, zeros: Zeros) -> list[Comparison]:
    """Test every ordered pair on every structure and the average; uncorrected."""
    label = scores.metric.label
    found: list[Comparison] = []
    for column in scores.columns():
        names = [scores.models[m] for m in column.models]
        better, worse = np.nonzero(~np.eye(len(names), dtype=np.bool_))
        good = scores.metric.goodness(column.values)
        p = one_sided(good[better] - good[worse], zeros)
        found += [
            Comparison(column.structure, label, names[a], names[b], column.n, float(each), np.nan, significant=False)
            for a, b, each in zip(better, worse, p, strict=True)
        ]
    return found


def corrected(comparisons: Sequence[Comparison], family: Family, alpha: float) -> list[Comparison]:
    """Correct the p-values by Holm within their families.

    Parameters
    ----------
    family : str
        What is one family of hypotheses: "map": all ordered pairs on one structure and metric; "metric": these of all
        structures; "all": these of all metrics, too.
    """
    places: dict[tuple[str, ...], list[int]] = {}
    for place, one in enumerate(comparisons):
        places.setdefault(FAMILIES[family](one), []).append(place)
    found = list(comparisons)
    for members in places.values():
        p = holm(np.array([comparisons[place].p for place in members]))
        for place, each in zip(members, p, strict=True):
            found[place] = replace(comparisons[place], p_holm=float(each), significant=bool(each < alpha))
    return found


def effects(scores: Scores, resampling: Resampling) -> Iterator[Effect]:
    """Yield the effect of every pair of models, once."""
    label = scores.metric.label
    for column in scores.columns():
        first, second = np.triu_indices(len(column.models), k=1)
        drawn = resampling.of_cases(column.cases).means(column.values.T)
        low, high = interval(drawn[:, first] - drawn[:, second])
        good = scores.metric.goodness(column.values)
        gained = np.round(good[first] - good[second], DECIMALS)
        biserial = rank_biserial(gained)
        for pair, (a, b) in enumerate(zip(first, second, strict=True)):
            difference = float((column.values[a] - column.values[b]).mean())
            won, lost = int((gained[pair] > 0).sum()), int((gained[pair] < 0).sum())
            names = scores.models[column.models[a]], scores.models[column.models[b]]
            yield Effect(
                column.structure, label, *names, column.n, difference, float(low[pair]), float(high[pair]),
                won, column.n - won - lost, lost, float(biserial[pair]),
            )  # fmt: skip
