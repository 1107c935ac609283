"""Who is first, and how sure that is: the rows of `ranks.csv`.

Source: Wiesenfarth et al. 2021 (challengeR): rankings by mean, by mean rank within cases and by tests won; their
stability from bootstrap draws of cases, each ranked anew, and compared with the full ranking by Kendall's tau-b.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ctatlas.benchmark.pairwise import Comparison
from ctatlas.benchmark.resampling import CONFIDENCE, Resampling
from ctatlas.benchmark.scores import AVERAGE, Column, Floats, Scores, nan_mean

METHODS = ("mean", "median", "mean_rank", "tests_won")
EVERYTHING = "all"  # structures and metrics: the ranking by the mean of all ranks
_TAILS = (100 * (1 - CONFIDENCE) / 2, 100 * (1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True)
class RankRow:
    """The place of one model in one ranking of the cases that all models have.

    Attributes
    ----------
    mean_kind : str
        As in `summary.csv`.
    method : str
        "mean" and "median" of the values; "mean_rank": the mean of the ranks within cases; "tests_won": how many models
        it is significantly better than.
    value : float
        What was ranked.
    rank : float
        1 is best; models with equal values share the mean of their places.
    rank_low, rank_high : float
        95 % percentile interval over the draws; nan where the method was not drawn anew.
    first_share : float
        The share of draws in which the model is first; shared places count in parts.
    tied_with_first : bool
        Whether the model with the best value is not significantly better (Holm).
    tau_median, tau_low, tau_high : float
        Kendall's tau-b between the rankings of the draws and this one; the same for all models of the ranking.
    """

    metric: str
    structure: str
    mean_kind: str
    method: str
    model: str
    n: int
    value: float
    rank: float
    rank_low: float
    rank_high: float
    first_share: float
    tied_with_first: bool
    tau_median: float
    tau_low: float
    tau_high: float


@dataclass(frozen=True)
class Ranking:
    """One ranking with its draws.

    Attributes
    ----------
    models : tuple of str
    values, ranks : (models,) float64
    drawn : (resamples, models) float64
        Ranks of each draw; no rows where the method was not drawn anew.
    tied : (models,) bool
    """

    metric: str
    structure: str
    mean_kind: str
    method: str
    models: tuple[str, ...]
    n: int
    values: Floats
    ranks: Floats
    drawn: Floats
    tied: npt.NDArray[np.bool_]

    @property
    def taus(self) -> Floats:
        """Return Kendall's tau-b of each draw to the ranking."""
        return kendall(self.drawn, self.ranks)

    @property
    def first_share(self) -> Floats:
        """Return the share of draws in which each model is first."""
        if not len(self.drawn):
            return np.full(len(self.models), np.nan)
        best = self.drawn == self.drawn.min(axis=1, keepdims=True)
        return np.asarray((best / best.sum(axis=1, keepdims=True)).mean(axis=0))

    def rows(self) -> Iterator[RankRow]:
        """Yield a row a model, the best first."""
        several = len(self.models) > 1 and len(self.drawn) > 0
        low, high = np.percentile(self.drawn, _TAILS, axis=0) if several else np.full((2, len(self.models)), np.nan)
        tau = np.nanpercentile(self.taus, (50, *_TAILS)) if several else np.full(3, np.nan)
        share = self.first_share
        for m in np.argsort(self.ranks, kind="stable"):
            yield RankRow(
                self.metric, self.structure, self.mean_kind, self.method, self.models[m], self.n,
                float(self.values[m]), float(self.ranks[m]), float(low[m]), float(high[m]), float(share[m]),
                bool(self.tied[m]), *map(float, tau),
            )  # fmt: skip


def rankings(scores: Scores, resampling: Resampling, comparisons: Sequence[Comparison]) -> list[Ranking]:
    """Rank the models by every method, on every structure and on the average."""
    found: list[Ranking] = []
    claims: dict[str, list[Comparison]] = defaultdict(list)
    for one in comparisons:
        if one.significant and one.metric == scores.metric.label:
            claims[one.structure].append(one)
    for column in scores.columns():
        beaten = _beaten(scores, column, claims[column.structure])
        names = tuple(scores.models[m] for m in column.models)
        kind = "per_case" if column.structure == AVERAGE else "structure"
        draws = resampling.of_cases(column.cases)
        for method, (values, good, drawn) in _by_methods(scores, column, draws, beaten).items():
            found.append(
                _ranking(scores, (column.structure, kind, method), (names, column.n), (values, good, drawn), beaten)
            )
        if column.structure == AVERAGE:
            values, good, drawn = _per_structure(scores, resampling, column)
            words = (AVERAGE, "per_structure", "mean")
            found.append(_ranking(scores, words, (names, column.n), (values, good, drawn), beaten))
    return found


def over_everything(rankings: Sequence[Ranking]) -> list[Ranking]:
    """Rank by the mean rank over all structures of all metrics, of the models that stand in all of these rankings."""
    parts = [each for each in rankings if each.method == "mean" and each.mean_kind == "structure"]
    if len(parts) < 2:
        return []
    models = tuple(name for name in parts[0].models if all(name in each.models for each in parts))
    if len(models) < 2:
        return []
    places = [[each.models.index(name) for name in models] for each in parts]
    values = np.mean([each.ranks[place] for each, place in zip(parts, places, strict=True)], axis=0)
    drawn = np.mean([each.drawn[:, place] for each, place in zip(parts, places, strict=True)], axis=0)
    n = min(each.n for each in parts)
    tied = np.zeros(len(models), np.bool_)  # no test stands behind a mean of ranks
    words = (EVERYTHING, EVERYTHING, "structure", "mean_rank")
    return [Ranking(*words, models, n, values, ranked(-values[None])[0], ranked(-drawn), tied)]


def ranked(good: Floats) -> Floats:
    """Rank the columns of each row, the highest first; equal values share the mean of their places, nan is last."""
    from scipy import stats

    return np.asarray(stats.rankdata(-np.nan_to_num(good, nan=-np.inf), axis=1))


def kendall(drawn: Floats, ranks: Floats) -> Floats:
    """Return Kendall's tau-b between each row of (draws, models) and (models,); nan where all ranks are equal."""
    first, second = np.triu_indices(len(ranks), k=1)
    there = np.sign(ranks[first] - ranks[second])
    here = np.sign(drawn[:, first] - drawn[:, second])
    norm = np.sqrt((here != 0).sum(axis=1) * (there != 0).sum())
    return np.asarray(np.divide(here @ there, norm, out=np.full(len(drawn), np.nan), where=norm > 0))


def _by_methods(
    scores: Scores, column: Column, draws: Resampling, beaten: npt.NDArray[np.bool_]
) -> dict[str, tuple[Floats, Floats, Floats]]:
    """Return of each method the values, the values turned so that more is better, and these of every draw."""
    metric = scores.metric
    good = metric.goodness(column.values)
    means = column.values.mean(axis=1)
    within = ranked(good.T)  # (cases, models)
    won = beaten.sum(axis=1).astype(float)
    # a median costs a sort a model: drawn anew for the average only
    medians = draws.medians(good.T) if column.structure == AVERAGE else np.empty((0, len(column.models)))
    mean_good = good.mean(axis=1) if metric.better in ("zero", "one") else metric.goodness(means)
    median = np.median(column.values, axis=1)
    median_good = np.median(good, axis=1)
    mean_rank = within.mean(axis=0)
    return {
        "mean": (means, mean_good, draws.means(good.T)),
        "median": (median, median_good, medians),
        "mean_rank": (mean_rank, -mean_rank, -draws.means(within)),
        "tests_won": (won, won, np.empty((0, len(won)))),
    }


def _per_structure(scores: Scores, resampling: Resampling, column: Column) -> tuple[Floats, Floats, Floats]:
    common = scores.of_cohort("common")[column.models][:, :, scores.common_structures]
    good = scores.metric.goodness(common)
    values = nan_mean(nan_mean(common, axis=1), axis=1)
    drawn = nan_mean(resampling.means(np.moveaxis(good, 1, 0)), axis=2)
    return values, nan_mean(nan_mean(good, axis=1), axis=1), drawn


def _ranking(
    scores: Scores,
    words: tuple[str, str, str],
    who: tuple[tuple[str, ...], int],
    numbers: tuple[Floats, Floats, Floats],
    beaten: npt.NDArray[np.bool_],
) -> Ranking:
    values, good, drawn = numbers
    ranks = ranked(np.round(good[None], 9))[0]
    tied = ~beaten[int(good.argmax())]
    drawn_ranks = ranked(drawn) if len(drawn) else drawn
    return Ranking(scores.metric.label, *words, *who, values, ranks, drawn_ranks, tied)


def _beaten(scores: Scores, column: Column, claims: Sequence[Comparison]) -> npt.NDArray[np.bool_]:
    """Return (models, models): whether the one is significantly better than the other."""
    place = {scores.models[m]: row for row, m in enumerate(column.models)}
    beaten = np.zeros((len(place), len(place)), np.bool_)
    for one in claims:
        beaten[place[one.better], place[one.worse]] = True
    return beaten
